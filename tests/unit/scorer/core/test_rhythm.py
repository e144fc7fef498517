"""Silence deadlines against hand-made weeks. Exactness is the oracle's; here is the sense of it."""

import numpy as np

from services.scorer.core.calendar import compile_calendars, local_time
from services.scorer.core.days import DAY, HORIZON_DAYS, HOUR
from services.scorer.core.rhythm import LONGEST, deadlines, hazard_table

MONDAY = 20_514  # 2026-03-02


def deadline(active: dict[int, list[int]], *, last: int, alpha: int = 10) -> int:
    """Return the deadline of one account by its active hours by day."""
    hours = np.zeros((1, HORIZON_DAYS), np.uint32)
    for day, found in active.items():
        hours[0, day % HORIZON_DAYS] = sum(1 << hour for hour in found)
    return int(
        deadlines(
            np.array([last]),
            first_day=np.array([min(active)]),
            front=np.array([max(active)]),
            hours=hours,
            local=local_time(
                np.array([last]),
                roll=np.array([0]),
                zone=np.array([0]),
                country=np.array([0]),
                closures=[],
                calendars=compile_calendars(None),
            ),
            hazards_to_pass=np.array(hazard_table(alpha)),
        )[0]
    )


def workdays(weeks: int) -> dict[int, list[int]]:
    return {MONDAY + 7 * week + day: [9, 10, 14] for week in range(weeks) for day in range(5)}


def test_a_workday_account_is_not_missed_over_the_weekend_but_by_midweek() -> None:
    active = workdays(12)
    friday = max(active)
    found = deadline(active, last=friday * DAY + 14 * HOUR)
    monday_after = friday + 3
    assert monday_after * DAY < found < (monday_after + 3) * DAY
    assert (found // DAY + 3) % 7 < 5


def test_hazard_accrues_where_the_account_is_used_to_be_active() -> None:
    found = deadline(workdays(12), last=max(workdays(12)) * DAY + 14 * HOUR)
    assert 9 <= found % DAY // HOUR <= 20


def test_a_rarely_active_account_is_given_weeks() -> None:
    monthly = {MONDAY + 28 * month: [10] for month in range(4)}
    last = max(monthly) * DAY + 10 * HOUR
    assert 14 * DAY < deadline(monthly, last=last) - last <= LONGEST


def test_the_deadline_comes_sooner_when_more_false_openings_are_allowed() -> None:
    active = workdays(8)
    last = max(active) * DAY + 10 * HOUR
    found = [deadline(active, last=last, alpha=alpha) for alpha in (1, 10, 100)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 3


def test_an_account_active_every_hour_is_missed_on_the_second_day() -> None:
    always = {MONDAY + day: list(range(24)) for day in range(84)}
    last = max(always) * DAY + 23 * HOUR
    assert last + DAY <= deadline(always, last=last, alpha=500) < last + 2 * DAY
