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


def back_from(rings: Ring, front: Ring, *, day: Ints, days: int) -> Ring:
    """Return what each ring holds for `day`, `day − 1`, … (`days` of them), newest first, 0 where it holds nothing.

    Shapes: rings (n, size), front and day (n), returned (days, n).
    """
    size, back = rings.shape[1], np.arange(days, dtype=np.int16)[:, None]
    values: Ring
    slot = (day % size).astype(np.int32)
    if len(rings) and (slot == slot[0]).all():
        values = rings.T[(slot[0] - back[:, 0]) % size]
    else:
        first = np.arange(0, size * len(rings), size, dtype=np.int32)
        values = rings.reshape(-1).take(first + slot - back + np.where(back > slot, np.int32(size), np.int32(0)))
    newest = np.clip(day - front, -days, days).astype(np.int16)
    late, early = max(0, int(newest.max(initial=0))), min(days, size + int(newest.min(initial=0)))
    values[:late][back[:late] < newest] = 0
    values[early:][back[early:] >= newest + size] = 0
    return values


def add_up(values: Ring) -> Ring:
    """Add to each row the ones before it, in place; along the first axis np.cumsum takes forty times as long."""
    for row in range(1, len(values)):
        values[row] += values[row - 1]
    return values
