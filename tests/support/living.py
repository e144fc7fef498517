"""Let accounts live whose rates are known: which hours of which days they are active in, and how they fall silent."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.calendar import compile_calendars, local_time
from services.scorer.core.days import DAY, HORIZON_DAYS, HOUR
from services.scorer.core.rhythm import deadlines, hazard_table
from services.scorer.core.table import Ints

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HISTORY: Final = 42
KINDS: Final = ("daily", "three days a week", "weekly")
BURSTS: Final = ("independent", "sessions", "busy and slack days", "busy and slack weeks")
_ANY_DAY: Final = 0.02
"""Events a day beside all habits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """Some accounts: codes of KINDS and BURSTS, events a day by weekday (accounts × 7), and when in a day (× 24)."""

    kind: Ints
    burst: Ints
    events: Floats
    hours: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Silences:
    """One silence for each active day: its account, last activity, deadline and the return (ms; local time is UTC)."""

    account: Ints
    last: Ints
    deadline: Ints
    returns: Ints

    @property
    def is_false(self) -> Flags:
        """Whether the rule opens though the account lives."""
        opens: Flags = self.returns > self.deadline
        return opens


def accounts(count: int, *, seed: int) -> Living:
    """Draw accounts: every kind with every burst, half of them on weekdays of their own, the others on any workday."""
    rng = np.random.default_rng(seed)
    number = np.arange(count)
    kind, is_fixed, burst = number % 3, number // 3 % 2 == 0, number // 6 % 4
    events = np.zeros((count, 7))
    for row in range(count):
        width = (5, 3, 1)[kind[row]] if is_fixed[row] else 5
        most = ((1.5, 6.0), (1.0, 4.0), (1.0, 4.0))[kind[row]]
        few = ((1.5, 6.0), (0.6, 1.5), (0.15, 0.4))[kind[row]]
        days = rng.choice(5, width, replace=False)
        events[row, days] = rng.uniform(*(most if is_fixed[row] else few))
    noon, spread = rng.normal(13, 2.5, (count, 1)), rng.uniform(2, 5, (count, 1))
    hours = np.exp(-0.5 * ((np.arange(24) - noon) / spread) ** 2) + 0.01
    return Living(kind=kind, burst=burst, events=events + _ANY_DAY, hours=hours / hours.sum(axis=1, keepdims=True))


def live(living: Living, *, days: int, seed: int) -> npt.NDArray[np.uint32]:
    """Return the hours in which each account is active on each day, a bit an hour; day 0 is a Monday."""
    rng = np.random.default_rng(seed)
    count = len(living.kind)
    burst = living.burst[:, None]
    weeks = rng.gamma(6, 1 / 6, (count, days // 7 + 2))
    begins = rng.integers(0, 7, (count, 1))
    slack_weeks = np.take_along_axis(weeks, (np.arange(days) + begins) // 7, axis=1)
    mood = np.where(burst == 2, rng.exponential(1, (count, days)), np.where(burst == 3, slack_weeks, 1))
    events = living.events[:, np.arange(days) % 7] * mood
    active = rng.random((count, days, 24)) < 1 - np.exp(-events[:, :, None] * living.hours[:, None, :])
    session = active.copy()
    for hour in (1, 2):
        session[:, :, hour:] |= active[:, :, :-hour]
    active[living.burst == 1] = session[living.burst == 1]
    bits: npt.NDArray[np.uint32] = (active * (1 << np.arange(24))).sum(axis=2).astype(np.uint32)
    return bits


def silences(
    bits: npt.NDArray[np.uint32], *, first_day: Ints, days: tuple[int, int], seed: int, alpha_permille: int
) -> Silences:
    """Return the silences that begin on the days from `days[0]` on and before `days[1]` and end."""
    rng = np.random.default_rng(seed)
    account, day = np.nonzero(bits)
    word = bits[account, day].astype(np.int64)
    start, end = np.frexp((word & -word).astype(float))[1] - 1, np.frexp(word.astype(float))[1] - 1
    came = day * DAY + start * HOUR + rng.integers(0, HOUR, len(day))
    left = day * DAY + end * HOUR + rng.integers(0, HOUR, len(day))
    where = np.flatnonzero((account[:-1] == account[1:]) & (day[:-1] >= days[0]) & (day[:-1] < days[1]))
    deadline = [
        _deadlines(bits, account=account[some], last=left[some], first_day=first_day, alpha_permille=alpha_permille)
        for some in np.array_split(where, max(1, len(where) // 4096))
    ]
    return Silences(
        account=account[where], last=left[where], deadline=np.concatenate(deadline), returns=came[where + 1]
    )


def _deadlines(
    bits: npt.NDArray[np.uint32], *, account: Ints, last: Ints, first_day: Ints, alpha_permille: int
) -> Ints:
    day = last // DAY
    days = day[:, None] - np.arange(HORIZON_DAYS)
    held = np.where(days >= first_day[account][:, None], bits[account[:, None], np.maximum(days, 0)], np.uint32(0))
    ring = np.zeros_like(held)
    np.put_along_axis(ring, days % HORIZON_DAYS, held, axis=1)
    nowhere: dict[str, Any] = {"roll": 0 * last, "zone": 0 * last, "country": 0 * last}
    # day 0 is a Monday here, a Thursday in the core: both by four days
    shifted = last + 4 * DAY
    ring = np.roll(ring, 4, axis=1)
    local = local_time(shifted, **nowhere, closures=[], calendars=compile_calendars(None))
    found: Ints = deadlines(
        shifted,
        first_day=first_day[account] + 4,
        front=day + 4,
        hours=ring,
        local=local,
        hazards_to_pass=np.array(hazard_table(alpha_permille), np.int64),
    )
    return found - 4 * DAY
