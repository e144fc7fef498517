"""Nobody is missed on a holiday of their own; who stops before one is found soon after it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from lab.oracle import Bundle
from shared.contracts.risk import Change, Transition
from tests.support.histories import calendars, shipped
from tests.support.log import HOUR, MINUTE, Log, by_columns

SCORECARD, RULES = shipped()
EPOCH = date(1970, 1, 1)
WEEKS = 13
OFFICE = range(9, 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """A country's days of rest: the last working day before them and the first one after."""

    name: str
    country: str
    zone: str
    last: date
    back: date

    def is_off(self, day: date) -> bool:
        """Say whether nobody works there on a day."""
        country, number = calendars()["countries"][self.country], calendars()["first_day"]
        off = {number := number + step for step in country["off"]}
        return day.weekday() in country["weekend"] or (day - EPOCH).days in off


GOLDEN_WEEK = Holiday(
    name="Golden Week", country="JP", zone="Asia/Tokyo", last=date(2026, 4, 28), back=date(2026, 5, 7)
)
ORDINARY = Holiday(name="none", country="JP", zone="Asia/Tokyo", last=date(2026, 6, 16), back=date(2026, 6, 17))
LONG = (
    GOLDEN_WEEK,
    Holiday(name="Obon", country="JP", zone="Asia/Tokyo", last=date(2026, 8, 7), back=date(2026, 8, 17)),
    Holiday(name="New Year", country="JP", zone="Asia/Tokyo", last=date(2026, 12, 25), back=date(2027, 1, 5)),
    Holiday(name="Christmas", country="US", zone="America/New_York", last=date(2026, 12, 23), back=date(2027, 1, 4)),
)
THANKSGIVING = Holiday(
    name="Thanksgiving", country="US", zone="America/New_York", last=date(2026, 11, 25), back=date(2026, 11, 30)
)


def moment(day: date, hour: int, *, zone: str) -> int:
    local = datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone))
    return int(local.astimezone(UTC).timestamp() * 1000)


def told(holiday: Holiday, *, hours: range, until: date, **facts: object) -> list[Transition]:
    """Return what is told of an account that works in some hours of every working day, but never from `until` on.

        weeks of work      last       days of rest      back       five days more
    ------------------------|-----------------------------|-------------------------
                            tick tick tick …  an hour apart                     tick
    """
    first, end = holiday.last - timedelta(weeks=WEEKS), holiday.back + timedelta(days=5)
    work = [day for n in range((end - first).days) if not holiday.is_off(day := first + timedelta(days=n))]
    log, clock = Log(), moment(holiday.last, 0, zone=holiday.zone)
    log.event("a", "account", at=moment(first, 0, zone=holiday.zone), data=facts)
    log.tick(moment(first, 1, zone=holiday.zone))
    for day in (day for day in work if day < until):
        for hour in hours:
            at = moment(day, hour, zone=holiday.zone) + 10 * MINUTE
            while clock <= at:
                log.tick(clock)
                clock += HOUR
            log.event("a", "login", at=at, data={"user": f"u{hour % 3}"})
    while clock <= moment(end, 0, zone=holiday.zone):
        log.tick(clock)
        clock += HOUR
    bundle = Bundle(version="b_calendar", scorecard=SCORECARD, rules=RULES, calendars=calendars())
    return [one for one in by_columns(log.records, {0: bundle}).transitions if one.rule == "silence"]


@pytest.mark.parametrize("holiday", [*LONG, THANKSGIVING], ids=lambda holiday: holiday.name)
def test_nobody_is_missed_on_holidays(holiday: Holiday) -> None:
    at_home = {"country": holiday.country, "timezone": holiday.zone}
    assert told(holiday, hours=OFFICE, until=date.max, **at_home) == []


@pytest.mark.parametrize("holiday", LONG, ids=lambda holiday: holiday.name)
def test_whose_country_nobody_told_is_missed_until_they_are_back(holiday: Holiday) -> None:
    changes = [one.change for one in told(holiday, hours=OFFICE, until=date.max)]
    assert changes == [Change.OPENED, Change.RESOLVED]


def test_closures_of_its_own_are_as_good_as_holidays() -> None:
    closed = [{"from": "2026-04-29", "to": "2026-05-06"}]
    assert told(GOLDEN_WEEK, hours=OFFICE, until=date.max, closures=closed) == []


@pytest.mark.parametrize("hours", [OFFICE, range(24)], ids=["office hours", "round the clock"])
def test_a_stop_before_golden_week_is_found_as_soon_after_it_as_in_any_other_week(hours: range) -> None:
    # one silent working day is not enough: sixty of sixty days active leave 1 in 62 for the next, and of its twenty
    # working days in 28 each may err once in 2,000 (docs/scoring.md §6)
    at_home = {"country": GOLDEN_WEEK.country, "timezone": GOLDEN_WEEK.zone}
    [after_rest] = told(GOLDEN_WEEK, hours=hours, until=date(2026, 4, 29), **at_home)
    # Tue 28 April | rest | Thu 7 May, Fri 8 May        Tue 16 June | Wed 17, Thu 18
    assert _day(after_rest) in {date(2026, 5, 8), date(2026, 5, 9)}
    [any_week] = told(ORDINARY, hours=hours, until=date(2026, 6, 17), **at_home)
    assert _day(any_week) - _day(after_rest) == date(2026, 6, 18) - date(2026, 5, 8)


def _day(transition: Transition) -> date:
    return datetime.fromtimestamp(transition.at / 1000, ZoneInfo(GOLDEN_WEEK.zone)).date()
