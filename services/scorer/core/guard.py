"""Notice that a source fell silent or lost an event name, or is back: its rules are held meanwhile.

Each worker watches the sources of its own partitions. What it saw of them is not kept over a restart: a source counts
as continuous again once a window has passed, an event name is expected again once a day has. Who is missed after a
pause is told by the accounts' own weeks, which are kept.
"""

from collections import deque
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from services.scorer.core.expected import Names
from services.scorer.core.quiet import CHANCE, Fed, Heard, Missed, Pauses
from services.scorer.core.step import Arrival
from shared.contracts.context import Guard, GuardState

SLOTS: Final = 60
CONTINUOUS: Final = 45
"""Of the slots of a window, how many must have had events for a pause to mean something: a nightly job never does."""
RECENT: Final = SLOTS // 12
MOST_COUNTED: Final = 8192
"""After so many events of a source, how many came at once counts half."""
MOST_SOURCES: Final = 32
"""Whose event names are looked at: each takes 1.5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """When a source has fallen silent, and when it is back; times in ms."""

    window_ms: int
    after_ms: int
    catch_up_ms: int
    fewest_accounts: int

    @property
    def slot_ms(self) -> int:
        """The window's sixtieth."""
        return max(1, self.window_ms // SLOTS)


@dataclass(slots=True, kw_only=True)
class Source:
    """What arrived through one source lately: events by slot, the last one, and since when they come without a gap."""

    slots: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SLOTS))
    last: int
    since: int
    events: int = 0
    prompt: int = 0

    def take(self, arrival: Arrival, *, patience: Patience) -> None:
        """Count what one batch brought."""
        slot = arrival.last // patience.slot_ms
        gap = self.longest_gap(patience)
        if self.slots and self.slots[-1][0] >= slot:
            number, count = self.slots.pop()
            self.slots.append((number, count + arrival.events))
        else:
            self.slots.append((slot, arrival.events))
        if self.events >= MOST_COUNTED:
            self.events, self.prompt = self.events // 2, self.prompt // 2
        self.events, self.prompt = self.events + arrival.events, self.prompt + arrival.prompt
        self.since = arrival.last if arrival.last - self.last > gap else self.since
        self.last = max(self.last, arrival.last)

    def is_continuous(self, patience: Patience) -> bool:
        """Say whether events came all the time in the window before the last one."""
        return len(self._within(SLOTS, patience)) >= CONTINUOUS

    def rate(self, patience: Patience) -> float:
        """Return events a ms: the lower of that over the window and that of late, for a day that draws to its end."""
        return min(sum(self._within(n, patience)) / (n * patience.slot_ms) for n in (SLOTS, RECENT))

    def longest_gap(self, patience: Patience) -> float:
        """Return how long a pause (ms) says nothing."""
        if not self.is_continuous(patience):
            return max(patience.catch_up_ms / 3, patience.window_ms / 12)
        return max(patience.catch_up_ms / 3, CHANCE * patience.window_ms / sum(self._within(SLOTS, patience)))

    def _within(self, slots: int, patience: Patience) -> list[int]:
        first = self.last // patience.slot_ms - slots
        return [count for slot, count in self.slots if slot > first]


class Watch:
    """The sources of one worker's partitions."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._sources: dict[str, Source] = {}
        self._names: dict[str, Names] = {}
        self._pauses = Pauses()

    def note(self, arrived: Mapping[str, Arrival]) -> None:
        """Take what a batch brought (live presence only)."""
        for name, arrival in arrived.items():
            source = self._sources.setdefault(name, Source(last=arrival.last, since=arrival.last))
            source.take(arrival, patience=self._patience)
            if name not in self._names and len(self._names) < MOST_SOURCES:
                self._names[name] = Names(max(1, self._patience.window_ms // 6))
            if name in self._names:
                self._names[name].take(arrival.used, at=arrival.last)

    def decide(self, now: int, *, partitions: Iterable[int], held: Mapping[str, Guard], fed: Fed) -> list[Guard]:
        """Return what must be said at `now` (epoch ms), when nothing of our partitions is unread.

        `held` are by key the guards told there that are not over, even if their time is: what is missed still is not
        missed anew. `fed` tells of the accounts there.
        """
        ours, found = sorted(partitions), []
        for name, source in self._sources.items():
            if name in held:
                if self._is_back(source, held[name], now=now):
                    found.append(_guard(name, GuardState.OVER, source.last, partitions=ours, at=now, fed=fed))
            elif self._is_silent(source, now=now) and fed.accounts(name) >= self._patience.fewest_accounts:
                found.append(_guard(name, GuardState.HELD, source.last, partitions=ours, at=now, fed=fed))
        told = held.keys() | {guard.source for guard in found}
        if (missed := self._missed(now, held=told, fed=fed)) is not None:
            found.append(_guard(missed.source, GuardState.HELD, missed.last, partitions=ours, at=now, fed=fed))
        return found + self._names_now(now, partitions=ours, held=held)

    def _missed(self, now: int, *, held: Container[str], fed: Fed) -> Missed | None:
        heard = {name: Heard(source.last, 2 * source.prompt > source.events) for name, source in self._sources.items()}
        fewest = self._patience.fewest_accounts
        return self._pauses.missed(now, heard=heard, held=held, fed=fed, fewest_accounts=fewest)

    def _names_now(self, now: int, *, partitions: list[int], held: Mapping[str, Guard]) -> list[Guard]:
        """Return what must be said of event names; of a source that is silent there is nothing to say."""
        found: list[Guard] = []
        for source, names in self._names.items():
            about = Guard(source=source, partitions=partitions, state=GuardState.HELD, at=now)
            found += [
                replace(about, state=GuardState.OVER, event=guard.event, accounts=guard.accounts)
                for guard in held.values()
                if guard.source == source and guard.event and names.is_back(guard.event, since=guard.at, now=now)
            ]
            if source in held:
                continue
            for name, last, accounts in names.missing(fewest_accounts=self._patience.fewest_accounts):
                guard = replace(about, event=name, last_event=last, accounts=accounts)
                if guard.key not in held:
                    found.append(guard)
        return found

    def _is_silent(self, source: Source, *, now: int) -> bool:
        patience = self._patience
        if not source.is_continuous(patience):
            return False
        return now - source.last > max(patience.after_ms, CHANCE / source.rate(patience))

    def _is_back(self, source: Source, guard: Guard, *, now: int) -> bool:
        patience = self._patience
        began = max(source.since, guard.at)
        return source.last - began >= patience.catch_up_ms and now - source.last <= source.longest_gap(patience)


def _guard(name: str, state: GuardState, last: int, *, partitions: list[int], at: int, fed: Fed) -> Guard:
    accounts = fed.accounts(name)
    return Guard(source=name, partitions=partitions, state=state, at=at, last_event=last, accounts=accounts)
