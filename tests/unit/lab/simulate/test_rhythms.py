"""People work by their own clock, rest on the holidays of their country, and some do so in bursts."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import numpy.typing as npt
import pytest

from lab.simulate.places import date_of, is_closed, offset_ms
from lab.simulate.population import Population, population_of
from lab.simulate.run import simulate
from lab.simulate.usage import NOBODY, SYNC, Columns, joined
from lab.simulate.vendor import DAY, HOUR, Vendor

AUGUST = 1_785_456_000_000
"""2026-07-31, 00:00 UTC."""
VENDOR = Vendor(accounts=200, days=30, seed=6, start=AUGUST, user_events_a_day=1.0, joining=0.0)

Ints = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def population() -> Population:
    return population_of(VENDOR)


@pytest.fixture(scope="module")
def events(population: Population) -> Columns:
    return joined([day.events for day in simulate(VENDOR, population)])


@pytest.fixture(scope="module")
def local(population: Population, events: Columns) -> Ints:
    """Return the local time of each event (ms): no zone here changes its clock in August."""
    ahead = np.array([offset_ms(country, date(2026, 8, 1)) for country in VENDOR.countries])
    moments: Ints = events.at + ahead[population.country[events.account]]
    return moments


def by_date(moments: Ints) -> Mapping[date, int]:
    days, counts = np.unique(moments // DAY * DAY, return_counts=True)
    return {date_of(day): count for day, count in zip(days.tolist(), counts.tolist(), strict=True)}


def test_in_japan_nobody_works_at_obon_and_on_mountain_day(
    population: Population, events: Columns, local: Ints
) -> None:
    """Draw August 2026, closed days as `x`, those people work on as `.`, weekends as `-`.

    3 . . . . . - -
    10 . x . x x x x     the 11th is Mountain Day, the 13th to the 16th Obon
    17 . . . . . - -
    """
    japanese = population.country[events.account] == VENDOR.countries.index("JP")
    people = by_date(local[japanese & (events.user != NOBODY)])
    programs = by_date(local[japanese & (events.what == SYNC)])
    closed = [date(2026, 8, day) for day in (11, 13, 14, 15, 16)]
    assert [people.get(day, 0) for day in closed] == [0] * 5
    assert all(programs[day] > 0 for day in closed)
    assert min(people[date(2026, 8, day)] for day in (3, 4, 5, 6, 7, 10, 12, 17)) > 200


def test_elsewhere_they_do(population: Population, events: Columns, local: Ints) -> None:
    abroad = population.country[events.account] == VENDOR.countries.index("DE")
    people = by_date(local[abroad & (events.user != NOBODY)])
    assert min(people[date(2026, 8, day)] for day in (11, 13, 14)) > 100


@pytest.mark.parametrize(
    ("country", "day"),
    [
        ("JP", date(2026, 12, 30)),
        ("JP", date(2027, 1, 3)),
        ("JP", date(2026, 5, 5)),
        ("DE", date(2026, 10, 3)),
        ("US", date(2026, 11, 26)),
        ("GB", date(2026, 12, 25)),
    ],
)
def test_holidays_are_those_of_the_country(country: str, day: date) -> None:
    assert is_closed(country, day)
    assert not is_closed(country, date(2026, 6, 10))


def test_weekends_are_quiet_and_work_is_done_by_day(population: Population, events: Columns, local: Ints) -> None:
    people = local[events.user != NOBODY]
    weekday, hour = (people // DAY + 3) % 7, people % DAY // HOUR
    assert 0.01 < np.mean(weekday >= 5) < 0.1
    assert np.mean((hour >= 7) & (hour < 20)) > 0.9
    user = events.user[events.user != NOBODY]
    into = (people % DAY / HOUR - population.begins[user]) / population.span[user]
    morning, lunch, afternoon = (np.mean(abs(into - at) < 0.05) for at in (0.25, 0.47, 0.7))
    assert lunch < 0.6 * min(morning, afternoon)


def test_users_have_weeks_of_their_own(population: Population, events: Columns, local: Ints) -> None:
    """Of somebody busy the share of Mondays varies more from user to user than chance would have it."""
    people = events.user != NOBODY
    weekday = (local // DAY + 3) % 7
    whole = np.bincount(events.user[people], minlength=len(population.account))
    mondays = np.bincount(events.user[people & (weekday == 0)], minlength=len(whole))
    busy = whole >= 60
    share = mondays[busy] / whole[busy]
    by_chance = np.mean(share * (1 - share) / whole[busy])
    assert busy.sum() > 20
    assert share.var() > 1.5 * by_chance


def test_some_accounts_are_bursty(population: Population, events: Columns, local: Ints) -> None:
    """Compare the variance of an account's workdays with their mean: 1 is what Poisson gives."""
    day = (local - VENDOR.start) // DAY
    people = (events.user != NOBODY) & ((day + 4) % 7 < 5) & (day < 10)
    counts = np.zeros((10, len(population)))
    np.add.at(counts, (day[people], events.account[people]), 1)
    workdays = counts[[d for d in range(10) if (d + 4) % 7 < 5]]
    dispersion = workdays.var(axis=0, ddof=1) / np.maximum(1, workdays.mean(axis=0))
    big = population.volume > 10
    assert np.median(dispersion[big & (population.burst < 2)]) > 2 * np.median(
        dispersion[big & (population.burst > 10)]
    )
