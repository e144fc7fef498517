"""Say for how long the most active user of an account is gone, beyond what its own week allows (docs/scoring.md §5)."""

from typing import Final

import numpy as np

from services.scorer.core.rhythm import day_hazards
from services.scorer.core.table import Flags, Hashes, Ints
from services.scorer.core.view import MISSING, View

LEAST_DAYS: Final = 8
"""Active days in four weeks without which nobody is a champion."""
WEEK_OFF: Final = 7
"""Everybody takes one now and then: it is added to what chance allows."""
LONGEST: Final = 84
_WEEKS: Final = 4
_PRIOR: Final = np.array([512] * 5 + [128] * 2)
_PRIOR_WEEKS: Final = 2
_MONTH: Final = np.uint64((1 << 7 * _WEEKS) - 1)
_SAME_WEEKDAY: Final = np.uint64(sum(1 << 7 * week for week in range(_WEEKS)))


def champion_silence(view: View) -> Ints:
    """Return by how many days the champion of each account is past its deadline, MISSING where there is no champion."""
    where, days, last = view.days_of_users()
    days = days & _MONTH
    chosen = _leads(where, np.bitwise_count(days).astype(np.int64), accounts=len(view.rows))
    where, last = where[chosen], last[chosen]
    allowed = allowed_days(days[chosen], last=last, hazards_to_pass=view.bundle.hazards_to_pass)
    beyond = np.full(len(view.rows), MISSING)
    beyond[where] = np.maximum(0, view.day[where] - last - allowed)
    return beyond


def _leads(where: Ints, counts: Ints, *, accounts: int) -> Flags:
    """Say which users were active on more days than every other one of their account."""
    most = np.zeros(accounts, np.int64)
    np.maximum.at(most, where, counts)
    leads: Flags = (counts == most[where]) & (counts >= LEAST_DAYS)
    alone: Flags = leads & (np.bincount(where[leads], minlength=accounts)[where] == 1)
    return alone


def allowed_days(days: Hashes, *, last: Ints, hazards_to_pass: Ints) -> Ints:
    """Return how many whole days a user may be gone for; `days` has bit n for `last` - n."""
    back = np.arange(7)
    active = np.bitwise_count(days[:, None] >> back.astype(np.uint64) & _SAME_WEEKDAY).astype(np.int64)
    prior = _PRIOR[(last[:, None] + 3 - back) % 7]
    chances = np.clip((1024 * active + _PRIOR_WEEKS * prior) // (_WEEKS + _PRIOR_WEEKS), 16, 1008)
    needed = hazards_to_pass[np.clip(32 * chances.sum(axis=1) // 1024, 1, 224)]
    silent = np.arange(1, LONGEST)
    passed = np.cumsum(day_hazards()[chances][:, -silent % 7].astype(np.int64), axis=1)
    allowed: Ints = WEEK_OFF + 1 + np.count_nonzero(passed < needed[:, None], axis=1)
    return allowed
