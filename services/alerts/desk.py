"""Hold every account's alert while this process is the active one, and make each change durable."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from services.alerts.core.alert import OPEN_STATES, QUIET, Folded, Outcome, Position, fold, may_go, obey, withdraw
from services.alerts.core.delivery import PATIENCE_MS, owes, owes_reply, plan, settled, with_delivery, with_fallback
from services.alerts.core.open_list import OpenList, absent, is_listed, withdrawal
from services.alerts.core.routing import Note, Routes, Why, decide
from services.alerts.metrics import Metrics
from shared.contracts.alerts import Alert, Command, Delivery
from shared.contracts.risk import Transition
from shared.kafka import read_to_end


class Fenced(Exception):
    """This process was suspended so long that another may be active by now: it must not write, and restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One delivery of one alert."""

    account: str
    alert: str
    channel: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a desk works with. `may_write` tells whether this process is still surely the active one."""

    producer: AIOKafkaProducer
    topic: str
    routes: Routes
    metrics: Metrics
    now_ms: Callable[[], int]
    may_write: Callable[[], bool]
    stand_ins: Callable[[], Mapping[str, str]] = dict
    """Who is told for an owner on leave, now."""


class Desk:
    """The alerts of all accounts in memory, with `churn.alerts.v1` as their record.

    A change is made in memory at once and durable when `keep` returns; whoever tells a person awaits `secure` first.
    """

    def __init__(self, alerts: Mapping[str, Alert], around: Surroundings) -> None:
        self._alerts = dict(alerts)
        self._around = around
        self._order = asyncio.Lock()
        self._unkept: set[str] = set()
        self._held_back: set[str] = set()
        self._erased = {account for account, alert in self._alerts.items() if alert.erased}
        for account, alert in self._alerts.items():
            self._hold_back(account, decide(alert, around.routes, now=around.now_ms()).why)

    def hear(self, transition: Transition, position: Position) -> str | None:
        """Take a transition; return the account if its alert changed."""
        account = transition.account
        return self._took(account, fold(self._alerts.get(account), transition, position=position))

    def obey(self, command: Command, position: Position) -> str | None:
        """Take a command; return the account if its alert changed."""
        return self._took(command.account, obey(self._alerts.get(command.account), command, position=position))

    def correct(self, account: str, listed: OpenList) -> tuple[int, str | None]:
        """Take a list of open episodes as far as it concerns an account.

        Return how many reasons of its alert the list has, and the account if reasons it lacks were withdrawn.
        """
        alert = self._alerts[account]
        if not is_listed(alert, listed):
            return 0, None
        heard = sum(reason.episode in listed.episodes for reason in alert.reasons)
        gone = absent(alert, listed)
        if not gone:
            return heard, None
        outcome = Outcome.LEFT
        for reason in gone:
            folded = withdraw(alert, withdrawal(alert, reason, listed=listed))
            alert, outcome = folded.alert or alert, folded.outcome
        self._around.metrics.absent.inc(len(gone))
        return heard, self._took(account, Folded(alert=alert, outcome=outcome))

    async def keep(self, accounts: Iterable[str]) -> None:
        """Make the alerts of these accounts durable as they are now. Raises Fenced, KafkaError.

        Cancelled, it ends only when Kafka has answered: the process elected next must not read the log before.
        """
        taken: dict[str, Alert] = {}
        sent: list[asyncio.Future[object]] = []
        try:
            for account in dict.fromkeys(accounts):
                async with self._order:  # snapshots of one account reach the log in the order they were taken
                    if account not in self._alerts:  # let go of meanwhile
                        continue
                    self._check_fence()
                    taken[account] = self._alerts[account]
                    value = msgspec.json.encode(taken[account])
                    sent.append(await self._around.producer.send(self._around.topic, value, key=account.encode()))
            await asyncio.shield(asyncio.gather(*sent))
        except asyncio.CancelledError:
            await asyncio.gather(*sent, return_exceptions=True)
            raise
        self._unkept -= {account for account, alert in taken.items() if self._alerts.get(account) is alert}

    async def let_go(self, committed: Mapping[str, int]) -> None:
        """Take what is erased off the record and out of memory, as far as it is over. Raises Fenced, KafkaError.

        `committed` is how far transitions and commands are committed, by `topic/partition`: once the alert is gone,
        nothing else knows what it contained, and a replay would open it anew.
        """
        for account in sorted(self._erased - self._unkept):
            alert = self._alerts.get(account)
            if alert is None or not alert.erased:
                self._erased.discard(account)
            elif may_go(alert, committed):
                async with self._order:
                    self._check_fence()
                    sent = await self._around.producer.send(self._around.topic, None, key=account.encode())
                    try:
                        await asyncio.shield(sent)
                    except asyncio.CancelledError:
                        await asyncio.gather(sent, return_exceptions=True)
                        raise
                    del self._alerts[account]
                self._erased.discard(account)
                self._held_back.discard(account)

    async def secure(self, account: str) -> None:
        """Return when what an account's alerts intend is durable and we may act on it. Raises Fenced, KafkaError."""
        while account in self._unkept:
            await self.keep([account])
        self._check_fence()

    def jobs(self, account: str) -> Iterator[Job]:
        """Yield the deliveries of an account's alerts that owe something."""
        current = self._alerts.get(account)
        for alert in (current, *current.earlier) if current else ():
            for d in alert.deliveries:
                if owes(d) or owes_reply(d):
                    yield Job(account=account, alert=alert.id, channel=d.channel, target=d.target)

    def accounts(self) -> Iterable[str]:
        """Return every account that ever had an alert."""
        return tuple(self._alerts)

    def of(self, account: str) -> Alert | None:
        """Return the newest alert of an account."""
        return self._alerts.get(account)

    def held_back(self) -> Iterator[Alert]:
        """Yield the open alerts that nobody was told of one by one: they are for lists."""
        return (self._alerts[account] for account in self._held_back)

    def find(self, job: Job) -> tuple[Alert, Delivery] | None:
        """Return the alert and delivery of a job as they are now, or None when nothing is owed any more."""
        alert = self._alert(job)
        deliveries = alert.deliveries if alert else []
        delivery = next((d for d in deliveries if (d.channel, d.target) == (job.channel, job.target)), None)
        if alert is None or delivery is None or not (owes(delivery) or owes_reply(delivery)):
            return None
        return alert, delivery

    async def note(self, job: Job, change: Callable[[Delivery], Delivery], *, instead: Note | None = None) -> None:
        """Change a delivery durably; `instead` says why somebody else is told as well when it failed for good."""
        found = self.find(job)
        if found is None:
            return
        alert, delivery = found
        after = change(delivery)
        changed = with_delivery(alert, after)
        overdue = after.attempts > 0 and self._around.now_ms() - after.intended_at > PATIENCE_MS
        reason = instead or (Note.UNREACHABLE if overdue else None)
        if reason is not None:
            now = self._around.now_ms()
            changed = with_fallback(changed, after, routes=self._around.routes, note=reason, now=now)
            self._unkept.add(job.account)
        self._put(job, changed)
        await self.keep([job.account])

    def _took(self, account: str, folded: Folded) -> str | None:
        metrics = self._around.metrics
        metrics.outcomes.labels(folded.outcome).inc()
        if folded.alert is None or folded.outcome in QUIET:
            return None
        before, alert = self._alerts.get(account), folded.alert
        if folded.outcome is Outcome.ERASED:
            self._alerts[account] = alert
            self._erased.add(account)
            self._unkept.add(account)
            return account
        now = self._around.now_ms()
        decision = decide(alert, self._around.routes, now=now, stand_ins=self._around.stand_ins())
        metrics.decisions.labels(decision.why).inc()
        if before is None or (before.id, before.state) != (alert.id, alert.state):
            metrics.alerts.labels(alert.state).inc()
        planned = plan(before, alert, decision, outcome=folded.outcome, now=now)
        self._alerts[account] = planned
        self._hold_back(account, decision.why)
        self._unkept.add(account)
        return account

    def _hold_back(self, account: str, why: Why) -> None:
        alert = self._alerts[account]
        if alert.state in OPEN_STATES and not alert.deliveries and why is not Why.MUTED:
            self._held_back.add(account)
        else:
            self._held_back.discard(account)

    def _check_fence(self) -> None:
        if not self._around.may_write():
            raise Fenced("suspended longer than the group waits")

    def _alert(self, job: Job) -> Alert | None:
        current = self._alerts.get(job.account)
        return next((a for a in (current, *current.earlier) if a.id == job.alert), None) if current else None

    def _put(self, job: Job, changed: Alert) -> None:
        current = self._alerts[job.account]
        if current.id == job.alert:
            self._alerts[job.account] = settled(changed)
            return
        earlier = [changed if old.id == job.alert else old for old in current.earlier]
        self._alerts[job.account] = settled(replace(current, earlier=earlier))


async def read_alerts(bootstrap: str, topic: str) -> dict[str, Alert]:
    """Return every account's alert as the topic has it now."""
    alerts: dict[str, Alert] = {}
    async for record in read_to_end(bootstrap, topic):
        if record.key is not None and record.value is not None:
            alerts[record.key.decode()] = msgspec.json.decode(record.value, type=Alert)
        elif record.key is not None:
            alerts.pop(record.key.decode(), None)
    return alerts
