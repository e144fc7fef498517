"""The true hazard: proportional hazards in discrete time, the complementary log-log model of survival analysis.

On day d an account that is still there leaves with the probability

    p = 1 - exp(-rate),   rate = BASE[segment] · exp(Σ effect · severity) · (RENEWAL on its renewal day)

with the sum over its stories (Prentice and Gloeckler 1978; effects are log hazard ratios). So the chance to leave
within h days is 1 - exp(-(rate of day d + ... + rate of day d + h - 1)), exactly.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.simulate.population import Population
from lab.simulate.stories import COURSES, Lives
from lab.simulate.vendor import Floats, Vendor

BASE: Final = {"smb": 0.0010, "mid": 0.0005, "enterprise": 0.0002}
"""The rate of a day by segment, where nothing happens."""
RENEWAL: Final = 20.0
HORIZONS_DAYS: Final = (30, 60, 90)

_BASE: Final = np.array(list(BASE.values()))
_EFFECTS: Final = np.array([course.effect for course in COURSES.values()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """Each account's true risk at the start of a day: to leave on it, and within each horizon (horizons, N)."""

    today: Floats
    within: Floats


def rates(population: Population, lives: Lives, *, day: int) -> Floats:
    """Return the rate of each account on the day its lives are at (N)."""
    effect = (_EFFECTS[:, None] * lives.severity()).sum(axis=0)  # no BLAS: it adds in an order of the machine's own
    renewal = np.where(population.renews(day), RENEWAL, 1.0)
    result: Floats = _BASE[population.segment] * np.exp(effect) * renewal
    return result


def probability(rate: Floats) -> Floats:
    """Return the chance to leave where rates add up to `rate`."""
    result: Floats = -np.expm1(-rate)
    return result


def risks(vendor: Vendor, population: Population) -> Iterator[Risk]:
    """Yield each day's risk. The stories are lived a second time, as far ahead as the longest horizon.

    What lies ahead is the account's own future, stories that have not begun included: no model can know as much.
    """
    lives, ahead = Lives(vendor, population), deque[Floats](maxlen=HORIZONS_DAYS[-1])
    for day in range(vendor.days + HORIZONS_DAYS[-1] - 1):
        lives.live()
        ahead.append(rates(population, lives, day=day))
        if len(ahead) == HORIZONS_DAYS[-1]:
            yield Risk(today=probability(ahead[0]), within=probability(_sums(ahead)))


def _sums(ahead: Sequence[Floats]) -> Floats:
    """Return the sum of the first rates of each horizon's length (horizons, N)."""
    so_far, sums = np.zeros_like(ahead[0]), []
    for days, rate in enumerate(ahead, 1):
        so_far += rate
        if days in HORIZONS_DAYS:
            sums.append(so_far.copy())
    return np.stack(sums)
