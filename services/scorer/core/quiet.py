"""Notice that a source does not begin again after a night, a weekend, a holiday: the accounts it feeds are missed."""

import math
from collections.abc import Container, Mapping
from typing import Final, NamedTuple, Protocol

from services.scorer.core.absence import LONGEST, Absence
from services.scorer.core.activity import FED
from services.scorer.core.days import DAY, HOUR

CHANCE: Final = -math.log(1e-9)
"""So unlikely it must be that nothing comes: once in 10⁹."""
TURNOUT: Final = 0.1
"""What share of the accounts came in other weeks by now: of many accounts the first alone may be late together."""
EVERY_MS: Final = 5 * 60_000
PROMPT_MS: Final = 10 * 60_000
"""A source whose events mostly come later says nothing by its silence: it sends what was done in parcels."""


class Fed(Protocol):
    """What a watch asks of the accounts of its partitions."""

    @property
    def imported(self) -> int:
        """When an import was heard of last (epoch ms), 0: never."""

    def accounts(self, source: str) -> int:
        """Return how many accounts a source feeds."""

    def lasts(self) -> Mapping[str, int]:
        """Return the latest presence through each source (epoch ms)."""

    def absence(self, source: str, *, ends: Mapping[str, int], until: int) -> Absence:
        """Say how much the accounts a source feeds are missed; see `core.absence`."""


class Heard(NamedTuple):
    """The last event of a source since the start (epoch ms), and whether what comes through it comes at once."""

    last: int
    is_prompt: bool


class Missed(NamedTuple):
    """A source that does not begin again, and its last event (epoch ms)."""

    source: str
    last: int


class Pauses:
    """Looks at one source at a time, at each every five minutes: what it asks takes some milliseconds a partition."""

    def __init__(self) -> None:
        self._looked = 0
        self._waiting: list[str] = []

    def missed(
        self, now: int, *, heard: Mapping[str, Heard], held: Container[str], fed: Fed, fewest_accounts: int
    ) -> Missed | None:
        """Return a source, but none that is held, whose accounts are missed at a moment (epoch ms)."""
        if not self._waiting and now < self._looked + EVERY_MS:
            return None
        ends = _ends(heard, lasts=fed.lasts())
        if not self._waiting:
            self._looked, self._waiting = now, sorted(ends, reverse=True)
        while self._waiting:
            name = self._waiting.pop()
            until = _until(now, heard=heard.get(name), imported=fed.imported)
            if name not in held and name in ends and HOUR < until - ends[name] < LONGEST:
                there = fed.absence(name, ends=ends, until=until)
                is_missed = there.hazard >= CHANCE and there.turnout >= TURNOUT
                return Missed(name, ends[name]) if is_missed and there.accounts >= fewest_accounts else None
        return None


def _ends(heard: Mapping[str, Heard], *, lasts: Mapping[str, int]) -> Mapping[str, int]:
    """Return when each source that is known of accounts sent last (epoch ms)."""
    return {name: max(last, heard[name].last) if name in heard else last for name, last in lasts.items()}


def _until(now: int, *, heard: Heard | None, imported: int) -> int:
    """Return until when what was done must have come by now (epoch ms), 0 where that can't be told.

    A source that was not heard since the start is given a day, for nobody knows how late its events come; and after an
    import nothing is said of it for four weeks: an import names sources that never send.
    """
    if heard is None:
        return now - DAY if now > imported + FED else 0
    return now if heard.is_prompt else 0
