"""How much accounts are missed: against a reading of the words hour by hour, and in weeks drawn by hand."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from services.scorer.core.absence import SAMPLED, Absence, absence
from services.scorer.core.activity import Activity, Applied
from services.scorer.core.calendar import Calendars, Tables, compile_calendars, country_key, zone_key
from services.scorer.core.decode import Code
from services.scorer.core.facts import SUBSCRIPTIONS
from services.scorer.core.imports import NO_JOB
from shared.contracts.partition import roll_ms
from tests.support.histories import calendars
from tests.support.log import DAY, HOUR, MINUTE, START

WEB, APP = "/sources/web", "/sources/app"
NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who it is, what it did through which source (epoch ms), and what it told."""

    name: str
    did: Sequence[tuple[str, int]]
    zone: str = NEW_YORK
    country: str = "US"
    closed: Sequence[tuple[int, int]] = field(default=())

    @property
    def roll(self) -> int:
        return roll_ms(self.name.encode())

    def hour(self, at: int) -> int:
        """Return the account-hour of a moment, counted through all days."""
        return (at - self.roll) // HOUR

    def shift(self, at: int) -> int:
        """Return by how many hours local hours are ahead of account-hours at a moment."""
        ahead = 0
        if self.zone:
            ahead = int(datetime.fromtimestamp(at / 1000, ZoneInfo(self.zone)).utcoffset().total_seconds())  # type: ignore[union-attr]
        return (self.roll + 1000 * ahead) // HOUR

    def is_off(self, day: int) -> bool:
        near = [day] if self.zone else [day - 1, day, day + 1]
        return any(
            one in holidays(self.country) or any(begin <= one <= end for begin, end in self.closed) for one in near
        )


@cache
def holidays(country: str) -> frozenset[int]:
    """Return the days off of a country."""
    told, days = calendars(), set()
    day = told["first_day"]
    for step in told["countries"][country]["off"]:
        day += step
        days.add(day)
    return frozenset(days)


@cache
def shipped() -> Calendars:
    return compile_calendars(msgspec.convert(calendars(), Tables))


def missed(
    accounts: Sequence[Account],
    *,
    until: int,
    ends: Mapping[str, int] | None = None,
    columns: Mapping[str, int] | None = None,
) -> Absence:
    """Ask the columns; sources sent last what the accounts did last unless `ends` says otherwise.

    `columns` are of all accounts.
    """
    activity = Activity()
    names = [account.name for account in accounts]
    rows = activity.add_accounts(names, hashes=np.arange(1, len(names) + 1, dtype=np.uint64))
    activity.accounts["zone"][rows] = [zone_key(account.zone) if account.zone else 0 for account in accounts]
    activity.accounts["country"][rows] = [country_key(account.country) for account in accounts]
    for column, value in (columns or {}).items():
        activity.accounts[column][rows] = value
    activity.closures = {row: list(account.closed) for row, account in enumerate(accounts) if account.closed}
    done = [(row, source, at) for row, account in enumerate(accounts) for source, at in account.did]
    activity.fold(
        Applied(
            account=np.array([row for row, _, _ in done]),
            at=np.array([at for _, _, at in done]),
            code=np.full(len(done), Code.USAGE, np.int8),
            signal=np.full(len(done), -1),
            source=np.array([activity.source(source) for _, source, _ in done]),
            user=np.zeros(len(done), np.uint64),
        )
    )
    return absence(activity, source=WEB, ends={**activity.lasts(), **(ends or {})}, until=until, calendars=shipped())


def in_words(account: Account, *, since: int, until: int) -> float | None:
    """Return how much an account is missed, hour by hour, from the words of docs/alerts.md; None without an hour."""
    active = {account.hour(at) for _, at in account.did}
    first_day, front = min(active) // 24, max(active) // 24
    since, until_its = (since, until) if account.zone else (since + HOUR, until - HOUR)
    first, end = account.hour(since) + 1 + account.shift(since), account.hour(until_its) + account.shift(until_its)
    span = [hour for hour in range(first, end) if not account.is_off(hour // 24)]
    if not span:
        return None
    weeks = with_it = 0
    for back in range(1, 12):
        local = [hour - 7 * 24 * back for hour in span]
        moved = account.shift(until - 7 * DAY * back)
        days = [(24 * (hour // 24) - moved) // 24 for hour in local]
        if all(day > first_day and day > front - 91 for day in days) and not any(
            account.is_off(hour // 24) for hour in local
        ):
            weeks += 1
            with_it += any(hour - moved in active for hour in local)
    return math.log((weeks + 1) / (weeks - with_it + 1))


def drawn(rng: random.Random, number: int, *, before: int) -> Account:
    """Draw an account that lives up to a moment, through one source or two, at some hours of some weekdays."""
    since, rate = before - rng.randrange(10, 120) * DAY, rng.random() ** 2
    hours = rng.sample(range(24), rng.randrange(1, 6))
    moments = [
        day + hour * HOUR + rng.randrange(HOUR)
        for day in range(since // DAY * DAY, before, DAY)
        for hour in hours
        if rng.random() < rate
    ]
    did = [(rng.choice((WEB, WEB, APP)) if number % 3 == 0 else WEB, at) for at in moments if at <= before]
    closed = [(before // DAY - rng.randrange(60), before // DAY - rng.randrange(20))] if number % 7 == 0 else []
    zone = (NEW_YORK, TOKYO, "", "Asia/Kathmandu")[number % 4]
    return Account(
        name=f"n{number}", did=[*did, (WEB, before)], zone=zone, country=("JP", "US", "DE")[number % 3], closed=closed
    )


@pytest.mark.parametrize("seed", range(8))
def test_columns_say_what_the_words_say(seed: int) -> None:
    # around 8 March, when clocks change in New York, and Golden Week
    rng = random.Random(seed)
    last = START + rng.choice((5, 6, 7, 60, 62, 66)) * DAY + rng.randrange(DAY)
    until = last + rng.randrange(2 * HOUR, 6 * DAY)
    accounts = [drawn(rng, number, before=last - rng.randrange(3 * DAY)) for number in range(40)]
    ends = {WEB: last, APP: until - rng.randrange(1, 3 * DAY)}
    expected: list[float | None] = []
    for account in accounts:
        ours = max(at for _, at in account.did)
        app = max((at for source, at in account.did if source == APP), default=0)
        since = max(last, ours, ends[APP] if app and app >= ours - 28 * DAY else 0)
        expected.append(in_words(account, since=since, until=until))
    found = missed(accounts, until=until, ends=ends)
    assert found.accounts == len(expected) - expected.count(None)
    assert found.hazard == pytest.approx(sum(one or 0 for one in expected))


def at(day: int, hour: float, *, zone: str = NEW_YORK) -> int:
    """Return the moment of an hour by the clock of a zone, days after Monday, 2 March."""
    date = datetime.fromtimestamp((START + day * DAY) / 1000, UTC)
    local = datetime(date.year, date.month, date.day, int(hour), int(hour % 1 * 60), tzinfo=ZoneInfo(zone))
    return int(local.timestamp() * 1000)


def daily(*, weeks: int, until: int, country: str = "US") -> Account:
    """Return an account that works at 9:30 and at 16:30 of every workday for some weeks, up to the day `until`."""
    days = [day for day in range(until - 7 * weeks, until) if day % 7 < 5]
    return Account(name="daily", did=[(WEB, at(day, hour)) for day in days for hour in (9.5, 16.5)], country=country)


def test_a_night_and_a_weekend_are_silent_in_every_week() -> None:
    #  Friday 16:30 |-- silent --| Monday 9:00, and 11:00
    account = daily(weeks=6, until=49)
    assert missed([account], until=at(49, 9)).hazard == 0
    # of six weeks the five that lie after the account's first day as a whole
    found = missed([account], until=at(49, 11))
    assert found.hazard == pytest.approx(math.log(6))
    assert (found.accounts, found.came[:6], found.known[:6]) == (1, [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0])


def test_in_the_week_in_which_clocks_change_nobody_is_late() -> None:
    # 8 March: 9:30 in New York was 14:30 in UTC and is 13:30; 1 November: the other way (a Monday of five is off)
    spring, autumn = daily(weeks=6, until=7), daily(weeks=6, until=245)
    for account, day in ((spring, 7), (autumn, 245)):
        assert missed([account], until=at(day, 9)).hazard == 0
        assert missed([account], until=at(day, 11)).hazard == pytest.approx(math.log(5))


def test_a_holiday_is_no_silence_and_no_week_to_compare() -> None:
    # Monday, 25 May, is Memorial Day
    account = daily(weeks=6, until=84)
    assert missed([account], until=at(84, 17)).hazard == 0
    after = Account(name="daily", did=[(WEB, moment) for _, moment in account.did if moment < at(82, 0)])
    assert missed([after], until=at(91, 0), ends={WEB: at(90, 12)}).hazard == 0
    closed = Account(name="daily", did=account.did, closed=[(START // DAY + 85, START // DAY + 90)])
    assert missed([closed], until=at(85, 17)).hazard == 0


def test_an_account_that_comes_through_another_source_is_not_missed() -> None:
    account = daily(weeks=6, until=49)
    both = Account(name="daily", did=[*account.did, (APP, at(45, 12))])
    assert missed([both], until=at(49, 11), ends={APP: at(49, 10.5)}) == Absence()
    left = Account(name="daily", did=[*account.did, (APP, at(46, 16) - 28 * DAY)])
    assert missed([left], until=at(49, 11), ends={APP: at(49, 10.5)}).hazard == pytest.approx(math.log(6))


def test_who_tells_no_country_or_was_silent_for_two_weeks_is_not_looked_at() -> None:
    account = daily(weeks=6, until=49)
    assert missed([daily(weeks=6, until=49, country="")], until=at(49, 11)) == Absence()
    last = max(moment for _, moment in account.did)
    assert missed([account], until=last + 15 * DAY, ends={WEB: last + 14 * DAY}).accounts == 1
    assert missed([account], until=last + 15 * DAY, ends={WEB: last + 14 * DAY + 1}) == Absence()


@pytest.mark.parametrize("columns", [{"deleted": True}, {"subscription": SUBSCRIPTIONS.index("cancelled")}, {"job": 0}])
def test_who_ended_or_is_being_imported_is_not_looked_at(columns: Mapping[str, int]) -> None:
    account = daily(weeks=6, until=49)
    assert missed([account], until=at(49, 11), columns=columns) == Absence()
    assert (
        missed([account], until=at(49, 11), columns={"deleted": False, "subscription": 0, "job": NO_JOB}).accounts == 1
    )


def test_of_many_accounts_a_share_is_looked_at() -> None:
    did = [(WEB, at(day, 9.5)) for day in (28, 35)]
    many = [Account(name=f"many-{number}", did=did) for number in range(3 * SAMPLED)]
    found = missed(many, until=at(49, 11) - 30 * MINUTE)
    assert SAMPLED // 2 < found.accounts <= SAMPLED
