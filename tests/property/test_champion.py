"""A champion who is gone is missed by its own deadline, and one with its weekends and holidays is not."""

import numpy as np
import pytest

from services.scorer.core.champion import LEAST_DAYS, allowed_days
from services.scorer.core.rhythm import hazard_table

ALPHA_PERMILLE = 10
TO_PASS = np.array(hazard_table(ALPHA_PERMILLE), np.int64)
WEEKS = 52
WORKDAYS = np.array([1, 1, 1, 1, 1, 0, 0])


def lives(*, users: int, seed: int, most: float) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return active days (users × days, a Monday first) of users with a rate each, and a week off each half year."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.3, most, (users, 1)) * np.clip(rng.normal(1, 0.2, (users, 7)), 0.2, 1.3) * WORKDAYS
    active = rng.random((users, 7 * WEEKS)) < np.tile(np.minimum(rate, 0.98), WEEKS)
    for half in (0, 26):
        week = rng.integers(half + 5, half + 25, users)
        for day in range(7):
            active[np.arange(users), 7 * week + day] = False
    return active


def openings(active: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> tuple[int, float]:
    """Return how often a silence passed its deadline, and for how many times 28 days there was a champion to watch."""
    users, days = active.shape
    last, bits = np.full(users, -1), np.zeros(users, np.uint64)
    opened, watched = 0, 0
    for day in range(days):
        now = active[:, day]
        gone = day - last
        asked = (day >= 35) & (last >= 0) & (np.bitwise_count(bits) >= LEAST_DAYS)
        watched += int(asked.sum())
        ends = np.flatnonzero(asked & now & (gone > 7))
        allowed = allowed_days(bits[ends], last=last[ends] + 4, hazards_to_pass=TO_PASS)  # day 4 is a Monday
        opened += int((gone[ends] - 1 >= allowed).sum())
        step = np.where(now, np.minimum(gone, 63), 0).astype(np.uint64)
        bits = (bits << step | now) & np.uint64((1 << 28) - 1)
        last = np.where(now, day, last)
    return opened, watched / 28


@pytest.mark.parametrize("most", [0.6, 1.0])
def test_weekends_and_a_week_off_are_rarely_taken_for_a_leave(most: float) -> None:
    opened, months = openings(lives(users=600, seed=5, most=most))
    assert opened <= months * ALPHA_PERMILLE / 1000


def test_a_daily_user_is_missed_after_a_week_of_its_own_and_a_week_off_and_a_rare_one_later() -> None:
    daily = sum(0b0011111 << 7 * week for week in range(4))  # back from a Friday
    twice = sum(0b0010001 << 7 * week for week in range(4))
    allowed = allowed_days(np.array([daily, twice], np.uint64), last=np.array([1, 1]), hazards_to_pass=TO_PASS)
    assert allowed[0] == 7 + 7  # from a Tuesday: five workdays, a weekend, and a week off
    assert 14 + 7 <= allowed[1] < 28
