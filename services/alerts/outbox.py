"""Bring deliveries to their providers: a line for each target, so that one that fails delays no other."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from services.alerts.channels.channel import Broken, Busy, Channel, ChannelProblem, Doubtful, Order, Receipt, Refused
from services.alerts.core.delivery import delivered, missed, owes_reply, refused, replied
from services.alerts.core.message import Background, message_of
from services.alerts.core.routing import ChannelName, Note, unknown
from services.alerts.desk import Desk, Job
from services.alerts.metrics import Call, Metrics
from shared.contracts.alerts import Alert, Delivery, DeliveryState

Line = tuple[str, str]
"""Channel and target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a line goes: seconds between two calls, and the backoff after failures (full jitter)."""

    between_s: float = 1.0
    first_s: float = 1.0
    longest_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What an outbox works with; `random` returns numbers in [0, 1)."""

    channels: Mapping[ChannelName, Channel]
    background: Background
    metrics: Metrics
    now_ms: Callable[[], int]
    random: Callable[[], float]
    pace: Pace = Pace()


class Outbox:
    """Deliver what the desk says is owed. Lines run in the given task group and end when they are empty.

    A line holds its jobs in the order of their turns: a dict, so that a storm's thousands are found at once.
    """

    def __init__(self, desk: Desk, post: Post, group: asyncio.TaskGroup) -> None:
        self._desk = desk
        self._post = post
        self._group = group
        self._lines: dict[Line, dict[Job, None]] = {}
        self._next_call: dict[Line, float] = {}
        self._uncertain: set[Job] = set()

    def resume(self) -> None:
        """Offer everything owed at start: each of these calls may have been made by a process that died in it."""
        for account in self._desk.accounts():
            self._uncertain.update(self._desk.jobs(account))
            self.offer(account)

    def offer(self, account: str) -> None:
        """Put what an account's alerts owe in line."""
        for job in self._desk.jobs(account):
            line = (job.channel, job.target)
            if line not in self._lines:
                self._lines[line] = {}
                self._group.create_task(self._serve(line), name=f"deliver {job.channel}")
            if job not in self._lines[line]:
                self._lines[line][job] = None
                self._post.metrics.waiting.labels(job.channel).inc()

    async def _serve(self, line: Line) -> None:
        jobs, failures = self._lines[line], 0
        loop = asyncio.get_running_loop()
        while jobs:
            await asyncio.sleep(self._next_call.get(line, 0.0) - loop.time())
            job = next(iter(jobs))
            problem = await self._attempt(job)
            failures = failures + 1 if problem else 0
            wait = self._wait_s(problem, failures) if problem else self._post.pace.between_s
            self._next_call[line] = loop.time() + wait
            del jobs[job]
            if self._desk.find(job) is None:
                self._post.metrics.waiting.labels(job.channel).dec()
            else:
                jobs[job] = None  # at the end: one message a provider chokes on must not stop those behind it
        del self._lines[line]

    async def _attempt(self, job: Job) -> ChannelProblem | None:
        await self._desk.secure(job.account)
        found = self._desk.find(job)
        if found is None:
            return None
        alert, delivery = found
        channel = ChannelName(delivery.channel)
        try:
            order = self._order(alert, delivery, certain=job not in self._uncertain)
            receipt = await self._call(channel, order)
        except ChannelProblem as problem:
            await self._failed(job, problem, alert=alert)
            return None if isinstance(problem, Refused) else problem
        self._uncertain.discard(job)
        self._count(channel, Call.FOUND if receipt.found else Call.DELIVERED)
        await self._desk.note(job, partial(_done, order=order, receipt=receipt))
        self._post.metrics.delay.labels(channel).observe((self._post.now_ms() - delivery.intended_at) / 1000)
        return None

    async def _call(self, channel: ChannelName, order: Order) -> Receipt:
        if channel not in self._post.channels:
            raise Refused(f"{channel} is not set up")
        try:
            return await self._post.channels[channel].tell(order)
        except ChannelProblem:
            raise
        except Exception as bug:
            # one alert nobody foresaw must not end the delivery of all others, again after each restart
            structlog.get_logger(__name__).exception("delivery_bug", channel=channel)
            raise Refused(f"bug: {type(bug).__name__}") from bug

    async def _failed(self, job: Job, problem: ChannelProblem, *, alert: Alert) -> None:
        call = call_of(problem)
        self._count(ChannelName(job.channel), call)
        log = structlog.get_logger(__name__)
        log.warning("delivery_failed", channel=job.channel, alert=job.alert, outcome=call, error=str(problem)[:200])
        if isinstance(problem, Refused):
            note = unknown(alert, job.target) if problem.person else Note.UNREACHABLE
            await self._desk.note(job, partial(refused, error=str(problem)[:200]), instead=note)
        else:
            doubtful = isinstance(problem, Doubtful)
            await self._desk.note(job, partial(missed, error=str(problem)[:200], doubtful=doubtful))
        self.offer(job.account)

    def _order(self, alert: Alert, delivery: Delivery, *, certain: bool) -> Order:
        # the reply goes first: an edit would settle the doubt about it
        reply = owes_reply(delivery) and delivery.handle is not None
        note = Note(delivery.note) if delivery.note else None
        return Order(
            message=message_of(alert, self._post.background, note=note),
            revision=delivery.reply_revision if reply else delivery.revision,
            target=delivery.target,
            handle=delivery.handle,
            reply=reply,
            doubtful=delivery.state is DeliveryState.UNKNOWN or not certain,
            since=delivery.intended_at,
        )

    def _wait_s(self, problem: ChannelProblem, failures: int) -> float:
        if isinstance(problem, Busy):
            return problem.wait_s
        pace = self._post.pace
        return float(self._post.random() * min(pace.longest_s, pace.first_s * 2 ** min(failures, 30)))

    def _count(self, channel: ChannelName, call: Call) -> None:
        self._post.metrics.calls.labels(channel, call).inc()


def _done(delivery: Delivery, *, order: Order, receipt: Receipt) -> Delivery:
    if order.reply:
        return replied(delivery, revision=order.revision)
    return delivered(delivery, revision=order.revision, handle=receipt.handle)


def call_of(problem: ChannelProblem) -> Call:
    """Return what a problem counts as."""
    match problem:
        case Refused():
            return Call.REFUSED
        case Busy():
            return Call.BUSY
        case Broken():
            return Call.BROKEN
    return Call.DOUBTFUL
