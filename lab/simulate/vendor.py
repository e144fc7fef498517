"""Say what to simulate, and where each part of it takes its randomness from."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.simulate.places import PLACES

DAY: Final = 86_400_000
HOUR: Final = 3_600_000
MONDAY: Final = 1_767_571_200_000
"""2026-01-05, 00:00 UTC."""
AUTOMATION: Final = "api"
"""The source of what no person does."""
BOOKS: Final = "crm"
"""The source of facts and tickets."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Dice(IntEnum):
    """What is drawn by itself: the truth, say, stays as it is however much use there is."""

    POPULATION = 0
    STORIES = 1
    LEAVING = 2
    USE = 3
    FACTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What to simulate: everybody lives `days` days of the own calendar, from the date of `start` (epoch ms, UTC) on.

    `joining` is the share of the accounts that sign up in the first three quarters of these days; the others are
    customers already, and steady. `sources` are the apps people use, `countries` codes of `places.PLACES`.
    """

    accounts: int = 300
    days: int = 90
    seed: int = 7
    start: int = MONDAY
    user_events_a_day: float = 3.0
    joining: float = 0.15
    sources: Sequence[str] = ("web", "mobile")
    countries: Sequence[str] = tuple(PLACES)

    def dice(self, what: Dice, day: int = 0) -> np.random.Generator:
        """Return the randomness of one part of one day: a function of the seed alone."""
        return np.random.default_rng([self.seed, int(what), day])

    def midnight(self, day: int) -> int:
        """Return the start of a day in UTC (epoch ms)."""
        return self.start + day * DAY

    def weekday(self, day: int) -> int:
        """Return the weekday of a day, 0 is Monday."""
        return (self.midnight(day) // DAY + 3) % 7

    def date(self, day: int) -> str:
        """Return the date of a day, YYYY-MM-DD."""
        return str(np.datetime64(self.midnight(day), "ms").astype("datetime64[D]"))
