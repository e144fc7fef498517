"""Nothing is told before it is durable, and nothing by a process that may not be the active one any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.alerts.channels.channel import Broken, Order, Receipt
from services.alerts.core.alert import Position
from services.alerts.core.message import Message
from services.alerts.core.routing import ChannelName, Receiver
from services.alerts.desk import Desk, Fenced, Surroundings
from services.alerts.metrics import Metrics
from services.alerts.outbox import Outbox, Pace, Post
from shared.contracts.alerts import Alert
from shared.contracts.risk import Change, Transition
from tests.support.risk import T0, background, routes, transition


class Log:
    """A producer whose broker answers when it is told to."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.answering = True
        self._held: list[asyncio.Future[None]] = []

    async def send(self, _topic: str, value: bytes, *, key: bytes) -> asyncio.Future[None]:
        alert = msgspec.json.decode(value, type=Alert)
        assert alert.account == key.decode()
        self.alerts.append(alert)
        answer = asyncio.get_running_loop().create_future()
        self._held.append(answer)
        if self.answering:
            self.answer()
        return answer

    def answer(self) -> None:
        for held in self._held:
            if not held.done():
                held.set_result(None)
        self._held.clear()


@dataclass
class Told:
    """A channel that writes down what it was told; it may be broken at first."""

    broken: asyncio.Event = field(default_factory=asyncio.Event)
    orders: list[Order] = field(default_factory=list)

    async def tell(self, order: Order) -> Receipt:
        if self.broken.is_set():
            raise Broken("no connection")
        self.orders.append(order)
        return Receipt(handle="C1/1.0")


@dataclass(frozen=True, kw_only=True)
class Office:
    desk: Desk
    outbox: Outbox
    log: Log
    slack: Told
    watch: asyncio.Event

    async def take(self, offset: int, one: Transition) -> None:
        """Take a transition as the consumer does."""
        account = self.desk.hear(one, Position(topic="r", partition=0, offset=offset))
        assert account is not None
        await self.desk.keep([account])
        self.outbox.offer(account)


@asynccontextmanager
async def office() -> AsyncIterator[Office]:
    log, fenced, metrics = Log(), asyncio.Event(), Metrics(CollectorRegistry())
    producer: Any = log
    around = Surroundings(
        producer=producer,
        topic="alerts",
        routes=routes(receivers={"owner": Receiver(slack=["owner"])}),
        metrics=metrics,
        now_ms=lambda: T0,
        may_write=lambda: not fenced.is_set(),
    )
    desk, slack = Desk({}, around), Told()
    async with asyncio.TaskGroup() as group:
        post = Post(
            channels={ChannelName.SLACK: slack},
            background=background(),
            metrics=metrics,
            now_ms=lambda: T0,
            random=lambda: 1.0,
            pace=Pace(between_s=0.0, first_s=0.0),
        )
        yield Office(desk=desk, outbox=Outbox(desk, post, group), log=log, slack=slack, watch=fenced)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_process_fenced_while_a_delivery_waited_tells_nobody() -> None:
    with pytest.RaisesGroup(Fenced):
        async with office() as at:
            at.slack.broken.set()
            await at.take(0, transition())
            await settle()
            at.watch.set()
            at.slack.broken.clear()
            await settle()
    assert at.slack.orders == []


async def test_an_alert_that_is_not_durable_yet_is_not_told_by_a_line_of_the_one_before() -> None:
    async with office() as at:
        at.slack.broken.set()
        await at.take(0, transition())
        await settle()
        at.log.answering = False
        for offset, one in ((1, transition(Change.RESOLVED, at=T0 + 1)), (2, transition(opened_at=T0 + 2))):
            at.desk.hear(one, Position(topic="r", partition=0, offset=offset))
        at.slack.broken.clear()
        await settle()
        assert at.slack.orders == []
        at.log.answering = True
        at.log.answer()
        await settle()
        assert len({order.message.alert for order in at.slack.orders}) == 2


async def test_a_cancelled_write_ends_when_kafka_has_answered() -> None:
    async with office() as at:
        at.log.answering = False
        account = at.desk.hear(transition(), Position(topic="r", partition=0, offset=0))
        assert account is not None
        keeping = asyncio.ensure_future(at.desk.keep([account]))
        await settle()
        keeping.cancel()
        await settle()
        assert not keeping.done()
        at.log.answer()
        await settle()
        assert keeping.cancelled()


async def test_a_line_gives_every_job_its_turn() -> None:
    async with office() as at:
        at.slack.broken.set()
        for offset in range(3):
            await at.take(offset, transition(account=f"a{offset}"))
        await settle()
        at.slack.broken.clear()
        await settle()
        told = [order.message for order in at.slack.orders if isinstance(order.message, Message)]
        assert sorted(message.account for message in told) == ["a0", "a1", "a2"]


async def test_a_storm_waits_for_kafka_once_and_not_for_each_alert() -> None:
    async with office() as at:
        at.log.answering = False
        storm = [transition(account=f"a{n}") for n in range(200)]
        heard = [at.desk.hear(one, Position(topic="r", partition=0, offset=n)) for n, one in enumerate(storm)]
        keeping = asyncio.ensure_future(at.desk.keep([account for account in heard if account]))
        await asyncio.sleep(0)
        assert len(at.log.alerts) == 200
        at.log.answer()
        await keeping
