"""Keep numbers by account-day in rings: slot = day mod size, the latest day in a `front` column beside it."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.table import Ints

HOUR: Final = 3_600_000
DAY: Final = 86_400_000
HORIZON_DAYS: Final = 91
HORIZON: Final = HORIZON_DAYS * DAY
NO_DAY: Final = np.iinfo(np.int32).min
"""The front of a ring that is empty."""

Ring = npt.NDArray[Any]

_FEW: Final = 4
"""Distinct days up to which whole rows are read, one day after another: that is faster than value by value."""


def day_of(at: Ints, *, roll: Ints) -> Ints:
    """Return the account-day of moments (epoch ms) for accounts whose day begins `roll` ms after 00:00 UTC."""
    days: Ints = (at - roll) // DAY
    return days


def advance(ring: Ring, *, rows: Ints, was: Ints, to: Ints) -> None:
    """Clear the days that come into use when the fronts of distinct `rows` move from `was` to `to` (later or equal)."""
    size = ring.shape[1]
    gap = np.where(was == NO_DAY, size, to - was)
    ring[rows[gap >= size]] = 0
    near = (gap > 0) & (gap < size)
    rows, was, gap = rows[near], was[near], gap[near]
    for step in range(1, int(gap.max(initial=0)) + 1):
        moving = gap >= step
        ring[rows[moving], (was[moving] + step) % size] = 0


def slots(ring: Ring, *, rows: Ints, days: Ints) -> Ints:
    """Return the flat position of each (row, day) in the ring."""
    size = ring.shape[1]
    places: Ints = rows * size + days % size
    return places


def held(front: Ints, *, days: Ints, size: int) -> npt.NDArray[np.bool_]:
    """Say which days a ring with that front still holds: front − size < day ≤ front."""
    is_held: npt.NDArray[np.bool_] = (days <= front) & (days > front - size)
    return is_held


def latest(rows: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Return the distinct rows, ascending, and the greatest value of each."""
    order = np.lexsort((values, rows))
    rows, values = rows[order], values[order]
    last = np.flatnonzero(np.append(rows[1:] != rows[:-1], True)) if len(rows) else np.zeros(0, np.int64)
    return rows[last], values[last]


def back_from(ring: Ring, front: Ring, *, rows: Ints, day: Ints, days: int) -> Ring:
    """Return what the ring holds for `day`, `day − 1`, … (`days` of them), newest first, 0 where it holds nothing.

    Shape: (rows, days).
    """
    size, back = ring.shape[1], np.arange(days)
    distinct = np.unique(day)
    if len(distinct) <= _FEW:
        values = np.zeros((len(rows), days), ring.dtype)
        for one in distinct.tolist():
            its = np.flatnonzero(day == one)
            values[its] = ring[rows[its]][:, (one - back) % size]
    else:
        values = ring[rows[:, None], (day[:, None] - back) % size]
    newest = (day - front[rows])[:, None]
    values[(back < newest) | (back >= newest + size)] = 0
    return values
