"""Let accounts live through an outage: the real core, watch and guarding, a tick a minute, and no broker."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from lab import oracle
from services.scorer.core.guard import Patience, Watch
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from services.scorer.guarding import Guarding
from shared.contracts.context import Guard, Import
from shared.contracts.risk import Transition
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, MINUTE, START, Configurations, Log, batch_of

PATIENCE: Final = Patience(window_ms=HOUR, after_ms=MINUTE, catch_up_ms=MINUTE, fewest_accounts=5)
ACCOUNTS: Final = 500
THE_DAY: Final = START + 44 * DAY
"""A Wednesday after six weeks of work."""
RESTING: Final = 58
"""So many accounts rest since the Friday before, and come back on the day at 9:30; the last of them never does."""
STOPPED: Final = f"a{RESTING - 1}"
OPENS: Final = 8 * HOUR + 30 * MINUTE
"""When work begins on the day: a source must have sent for an hour until its silence means something."""
NAMES: Final = ("login", "Report Viewed", "Record Edited")
EVERY: Final = 20
"""Minutes from one event of an account to its next on the day."""

Lost = Callable[[str, str, int], bool]
"""Say of an event whether it is lost: its source, its name and when it occurred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """Something an account did, `at` epoch ms."""

    account: str
    name: str
    source: str
    at: int


class Context:
    """The context topic: what was told, by offset."""

    def __init__(self, *, calendars: dict[str, Any] | None = None) -> None:
        self.entries: dict[int, oracle.Entry] = {0: replace(bundles()[0], calendars=calendars)}
        self._known = Configurations(self.entries)

    @property
    def offset(self) -> int:
        return max(self.entries)

    def known_at(self, offset: int, partition: int) -> Known:
        return self._known(offset, partition)

    async def tell(self, guard: Guard) -> None:
        self.add(guard)

    def add(self, entry: Guard | Import) -> None:
        self.entries[self.offset + 1] = entry
        self._known = Configurations(self.entries)

    @property
    def guards(self) -> list[Guard]:
        return [entry for entry in self.entries.values() if isinstance(entry, Guard)]


@dataclass(slots=True, kw_only=True)
class World:
    """One partition with its guards; `now` is the end of the last minute lived."""

    sources: Sequence[str]
    is_guarded: bool = True
    now: int = START
    log: Log = field(default_factory=Log)
    state: Partition = field(default_factory=lambda: Partition.empty(partition=0, partitions=1, seed=7))
    context: Context = field(default_factory=Context)
    watch: Watch = field(default_factory=lambda: Watch(PATIENCE))
    transitions: list[Transition] = field(default_factory=list)
    late: list[Did] = field(default_factory=list)
    _guarding: Guarding | None = None

    def restart(self) -> None:
        """Forget what was seen of sources, as a scorer that starts again; its state is kept."""
        self.watch, self._guarding = Watch(PATIENCE), None

    def copy(self) -> "World":
        """Return a world that goes on from here by itself."""
        new = deepcopy(self)
        new._guarding = None  # it asks this world for the time
        return new

    def source_of(self, account: int) -> str:
        return self.sources[account % len(self.sources)]

    def tell(self, accounts: Iterable[str], **facts: object) -> None:
        """Let facts be told of accounts, and a tick at `now`."""
        begin = len(self.log.records)
        for account in accounts:
            self.log.event(account, "account", at=self.now, data=facts, source="crm")
        self._take(begin)

    def live(self, did: Iterable[Did]) -> None:
        """Take what was done, then a tick at `now`, and look at the sources; what was done earlier comes late."""
        begin = len(self.log.records)
        arrival = self.log.records[-1].ts if begin else START
        for one in did:
            kind, data = ("login", {}) if one.name == "login" else ("usage", {"name": one.name})
            data |= {"user": f"u-{one.account}"}
            arrival = max(one.at, arrival)
            self.log.event(one.account, kind, at=one.at, ts=arrival, data=data, source=one.source)
        self._take(begin)

    def _take(self, begin: int) -> None:
        self.log.tick(self.now, context=self.context.offset)
        batch = batch_of(self.log.records[begin:], partition=0)
        outputs = step(self.state, batch, known_at=self.context.known_at)
        self.watch.note(outputs.arrived)
        self.transitions += [msgspec.json.decode(record.value, type=Transition) for record in outputs.transitions]
        if self.is_guarded:
            asyncio.run(self._look())

    async def _look(self) -> None:
        if self._guarding is None:
            self._guarding = Guarding(watch=self.watch, context=self.context, now_ms=lambda: self.now)
        await self._guarding.look({0: self.state}, {0: self.state.position})

    def work(self, days: range) -> None:
        """Let every account do something at 10 and at 11 on each workday; the resting ones until Friday."""
        for day in days:
            self.now = START + (day + 1) * DAY
            who = range(RESTING if day > 39 else 0, ACCOUNTS if day % 7 < 5 else 0)
            self.live(
                self._did(i, START + day * DAY + 10 * HOUR + i % 60 * MINUTE + n * HOUR, n) for i in who for n in (0, 1)
            )

    def work_the_day(
        self, *, until: int, lost: Lost, are_late: bool = False, day: int = THE_DAY, step: int = MINUTE
    ) -> None:
        """Let every account do something every twenty minutes until a moment of the day (ms), a tick a `step`.

        What is lost comes late when it `are_late`, together with the first event that is not lost; else never.
        """
        begin = max(self.now, day + OPENS)
        for start in range(begin, day + until, step):
            self.now = start + step
            minutes = range((start - day) // MINUTE, (self.now - day) // MINUTE)
            did = [one for minute in minutes for one in self._did_at(minute, day=day)]
            gone = [one for one in did if lost(one.source, one.name, one.at)]
            came = [one for one in did if one not in gone]
            if are_late:
                self.late += gone
                ready = {one.source for one in came}
                came = [one for one in self.late if one.source in ready] + came
                self.late = [one for one in self.late if one.source not in ready]
            self.live(came)

    def opened(self, *, since: int = THE_DAY) -> list[Transition]:
        """Return the silence episodes opened on the day, or since a moment."""
        return [t for t in self.transitions if t.rule == "silence" and t.change == "opened" and t.at > since]

    def _did_at(self, minute: int, *, day: int) -> list[Did]:
        at = day + minute * MINUTE
        is_back = at >= THE_DAY + 9 * HOUR + 30 * MINUTE
        active = range(minute % EVERY, ACCOUNTS, EVERY)
        return [self._did(i, at, minute // EVERY) for i in active if i >= RESTING or (is_back and i != RESTING - 1)]

    def _did(self, account: int, at: int, which: int) -> Did:
        # those who come back do one thing only
        name = NAMES[(account // len(self.sources) + which) % 3] if account >= RESTING or at < THE_DAY else NAMES[2]
        return Did(account=f"a{account}", name=name, source=self.source_of(account), at=at)
