"""Tell notices: each durable before it is told, told once, and edited in place; one after the other."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord
from msgspec.structs import replace

from services.alerts.channels.channel import Busy, Channel, ChannelProblem, Doubtful, Order, Refused
from services.alerts.core.lists import (
    Day,
    Gathering,
    elsewhere,
    ended,
    guarded_by,
    incident,
    is_past,
    of_incident,
    struck,
)
from services.alerts.core.notice_message import notice_message
from services.alerts.core.routing import ChannelName, Routes
from services.alerts.desk import Desk, Fenced
from services.alerts.metrics import Call, Metrics
from services.alerts.outbox import call_of
from shared.contracts.alerts import Delivery, DeliveryState
from shared.contracts.context import ContextKind, Guard, GuardState
from shared.contracts.notices import Notice
from shared.kafka import read_to_end

TURN_S: Final = 0.5
SWEEP_MS: Final = 60_000
LONGEST_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What telling notices stands on, passed in by the composition root. `desk` knows what was told of one by one."""

    producer: AIOKafkaProducer
    topic: str
    routes: Routes
    days: Mapping[str, Day]
    stand_ins: Callable[[], Mapping[str, str]]
    channels: Mapping[ChannelName, Channel]
    metrics: Metrics
    desk: Desk
    now_ms: Callable[[], int]
    may_write: Callable[[], bool]
    settle_ms: int


@dataclass(slots=True, kw_only=True)
class Incidents:
    """The guards that are held now, by key and partition, as the context topic tells them."""

    held: dict[str, dict[int, Guard]] = field(default_factory=dict)
    upto: int = -1
    """A follower that starts again tells everything again: what was over must not seem to begin."""

    def apply(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        """Take one entry of the context topic; others than guards say nothing here."""
        if record.offset <= self.upto:
            return
        self.upto = record.offset
        if record.key != ContextKind.GUARD.value.encode() or record.value is None:
            return
        try:
            guard = msgspec.json.decode(record.value, type=Guard)
        except msgspec.MsgspecError:
            structlog.get_logger(__name__).exception("unreadable_guard", offset=record.offset)
            return
        mine = self.held.setdefault(guard.key, {})
        for partition in guard.partitions:
            if guard.state is GuardState.HELD:
                mine.setdefault(partition, guard)
            else:
                mine.pop(partition, None)
        if not mine:
            del self.held[guard.key]


class Notices:
    """Every notice by id, with `churn.notices.v1` as their record; `run` is for the active process alone."""

    def __init__(self, notices: Mapping[str, Notice], board: Board, incidents: Incidents) -> None:
        self._notices = dict(notices)
        self._listed = {item.alert for notice in self._notices.values() for item in notice.items}
        self._board = board
        self._incidents = incidents
        by_mail_only = ChannelName.SLACK not in board.channels and ChannelName.MAIL in board.channels
        self._channel = ChannelName.MAIL if by_mail_only else ChannelName.SLACK
        self._gathering = Gathering(settle_ms=board.settle_ms, channel=self._channel)
        # each of these calls may have been made by a process that died in it
        self._uncertain = {notice.id for notice in self._notices.values() if _owes(notice.delivery)}
        self._wait_until: dict[str, float] = {}
        self._swept_at = 0

    async def run(self) -> None:
        """Gather and tell until cancelled. Raises Fenced, KafkaError."""
        while True:
            await self.turn()
            await asyncio.sleep(TURN_S)

    async def turn(self) -> None:
        """Make durable what must be told now, then tell what is owed."""
        now, board = self._board.now_ms(), self._board
        waiting = [alert for alert in board.desk.held_back() if alert.id not in self._listed]
        found = self._gathering.due(
            waiting, self._notices, board.routes, now=now, days=board.days, stand_ins=board.stand_ins()
        )
        for notice in [*found, *self._new_incidents(now)]:
            await self._keep(notice)
        await self._sweep(now)
        loop = asyncio.get_running_loop()
        for notice in list(self._notices.values()):
            if _owes(notice.delivery) and self._wait_until.get(notice.id, 0.0) <= loop.time():
                await self._tell(notice)

    async def _sweep(self, now: int) -> None:
        """Strike through what is over, and let go of what is past; now and then, for it looks at every account."""
        if now - self._swept_at < SWEEP_MS:
            return
        self._swept_at = now
        for notice in struck(list(self._notices.values()), self._board.desk.of, now=now):
            await self._keep(notice)
        for notice in [n for n in self._notices.values() if is_past(n, now=now)]:
            self._check_fence()
            await self._board.producer.send_and_wait(self._board.topic, None, key=notice.id.encode(), partition=0)
            del self._notices[notice.id]

    def _new_incidents(self, now: int) -> Iterable[Notice]:
        """Yield incidents that began or ended: one a guard, however many workers hold it, and one as its hold ends."""
        begun = [notice for notice in self._notices.values() if notice.source is not None and notice.ended_at is None]
        running = {(notice.kind, guarded_by(notice)): notice for notice in begun}
        for key, guards in self._incidents.held.items():
            since = min(guard.at for guard in guards.values())
            accounts = sum({guard.at: guard.accounts for guard in guards.values()}.values())
            for kind in of_incident(since=since, now=now):
                if (kind, key) not in running:
                    yield incident(
                        next(iter(guards.values())),
                        kind=kind,
                        since=since,
                        accounts=accounts,
                        routes=self._board.routes,
                        now=now,
                        channel=self._channel,
                    )
        for (_, key), notice in running.items():
            if key not in self._incidents.held:
                yield ended(notice, now=now)

    async def _tell(self, notice: Notice) -> None:
        order = Order(
            message=notice_message(notice),
            revision=notice.delivery.revision,
            target=notice.delivery.target,
            handle=notice.delivery.handle,
            reply=False,
            doubtful=notice.delivery.state is DeliveryState.UNKNOWN or notice.id in self._uncertain,
            since=notice.delivery.intended_at,
        )
        channel = ChannelName(notice.delivery.channel)
        try:
            if channel not in self._board.channels:
                raise Refused(f"{channel} is not set up")
            self._check_fence()
            receipt = await self._board.channels[channel].tell(order)
        except ChannelProblem as problem:
            self._board.metrics.calls.labels(channel, call_of(problem)).inc()
            await self._keep(self._after(notice, problem))
            return
        self._board.metrics.calls.labels(channel, Call.FOUND if receipt.found else Call.DELIVERED).inc()
        self._uncertain.discard(notice.id)
        done = replace(
            notice.delivery,
            handle=receipt.handle,
            delivered_revision=notice.delivery.revision,
            state=DeliveryState.DELIVERED,
            attempts=0,
            error=None,
        )
        await self._keep(replace(notice, delivery=done))

    def _after(self, notice: Notice, problem: ChannelProblem) -> Notice:
        """Return the notice after a call that failed: to be tried again, or elsewhere, or given up."""
        was, words = notice.delivery, str(problem)[:200]
        structlog.get_logger(__name__).warning("notice_failed", notice=notice.id, error=words)
        if isinstance(problem, Refused):
            return elsewhere(notice, self._board.routes, error=words, person=problem.person)
        wait_s = problem.wait_s if isinstance(problem, Busy) else min(LONGEST_WAIT_S, 2.0**was.attempts)
        self._wait_until[notice.id] = asyncio.get_running_loop().time() + wait_s
        state = DeliveryState.UNKNOWN if isinstance(problem, Doubtful) else was.state
        return replace(notice, delivery=replace(was, state=state, attempts=was.attempts + 1, error=words))

    async def _keep(self, notice: Notice) -> None:
        """Make a notice durable. Raises Fenced, KafkaError."""
        self._check_fence()
        self._notices[notice.id] = notice
        self._listed.update(item.alert for item in notice.items)
        value = msgspec.json.encode(notice)
        await self._board.producer.send_and_wait(self._board.topic, value, key=notice.id.encode(), partition=0)

    def _check_fence(self) -> None:
        if not self._board.may_write():
            raise Fenced("suspended longer than the group waits")


async def read_notices(bootstrap: str, topic: str) -> dict[str, Notice]:
    """Return every notice as the topic has it now."""
    notices: dict[str, Notice] = {}
    async for record in read_to_end(bootstrap, topic):
        if record.key is not None and record.value is not None:
            notices[record.key.decode()] = msgspec.json.decode(record.value, type=Notice)
        elif record.key is not None:
            notices.pop(record.key.decode(), None)
    return notices


def _owes(delivery: Delivery) -> bool:
    return delivery.state is not DeliveryState.FAILED and delivery.delivered_revision < delivery.revision
