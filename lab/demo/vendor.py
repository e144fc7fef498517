"""Tell the past of the demo's vendor: three products, customers in six countries, 90 days up to now, fates known.

The lives are those of `lab/simulate.py`; here they get names, owners, countries and the hours of their own time zone.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

import numpy as np

from lab.demo.customers import CURRENCIES, OWNERS, SHARES, SOURCES, TIMEZONES, ZONES, name_of
from lab.demo.row import Row
from lab.simulate import DAY, Accounts, Day, Vendor, simulate
from shared.contracts.events import Kind, parse_time

ACCOUNTS: Final = 300
DAYS: Final = 90
SPARE_DAYS: Final = 2
"""Simulated before and after, so that 90 whole days are there in every time zone."""
EVENTS_A_USER_AND_DAY: Final = 0.42
MOST_EVENTS: Final = 250_000
HOUR: Final = 3_600_000
A_YEN: Final = 150
"""Yen a unit of another currency, for prices that look like prices."""


class Fate(StrEnum):
    """What becomes of a customer; the truth, which nothing but the demo's own judgement reads."""

    HEALTHY = "healthy"
    DECLINE = "gradual decline"
    STOP = "sudden stop"
    PAYMENT = "payment trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One customer; `left_at` (epoch ms) is when it cancelled, None while it stays."""

    account: str
    name: str
    owner: str
    country: str
    sources: Sequence[str]
    fate: Fate
    left_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Everything that happened, in time order, and the truth about every account, by its id."""

    rows: Sequence[Row]
    accounts: Mapping[str, Account]

    def healthy(self) -> list[Account]:
        """Return who stays and does well: those the live traffic is of."""
        return [account for account in self.accounts.values() if account.fate is Fate.HEALTHY and not account.left_at]


def past_of(*, now: int, seed: int = 7, accounts: int = ACCOUNTS) -> Past:
    """Return the 90 days before `now` (epoch ms)."""
    start = (now // DAY - DAYS - SPARE_DAYS) * DAY
    vendor = Vendor(
        accounts=accounts,
        days=DAYS + 2 * SPARE_DAYS,
        seed=seed,
        start=start,
        user_events_a_day=EVENTS_A_USER_AND_DAY,
    )
    places = _places(accounts, seed=seed)
    lived: list[Row] = []
    ends: list[Accounts] = []
    for day, accounts_then in simulate(vendor):
        lived += _rows(day, places)
        ends = [accounts_then]
    rows = sorted((row for row in lived if row.at < now), key=attrgetter("at"))
    rows = [row for row in rows if row.kind == Kind.ACCOUNT or row.at >= now - DAYS * DAY]
    return Past(rows=rows, accounts=_truth(places, ends[0], rows=rows))


def _rows(day: Day, places: Mapping[str, "_Place"]) -> Iterator[Row]:
    for line in day.lines:
        event = json.loads(line)
        place = places[event["subject"]]
        at = (parse_time(event["time"]) or 0) - place.zone_ms
        kind = event["type"].split(".")[1]
        data = event["data"]
        if event["source"] == "/sources/crm":
            told = place.described(data) if kind == Kind.ACCOUNT else data
            yield Row(account=place.account, at=at, kind=kind, source="crm", data=told)
        else:
            user = data["user"][-8:]
            source = place.source_of(event["source"])
            yield Row(account=place.account, at=at, kind=kind, source=source, user=user, name=data.get("name"))


def _truth(places: Mapping[str, "_Place"], end: Accounts, *, rows: Sequence[Row]) -> dict[str, Account]:
    left = {row.account: row.at for row in rows if row.data and row.data.get("status") == "cancelled"}
    return {
        place.account: Account(
            account=place.account,
            name=place.name,
            owner=place.owner,
            country=place.country,
            sources=place.sources,
            fate=_fate(end, row),
            left_at=left.get(place.account),
        )
        for row, place in enumerate(places.values())
    }


def _fate(end: Accounts, row: int) -> Fate:
    if end.declined[row] >= 0:
        return Fate.STOP if end.fade[row] == 0 else Fate.DECLINE
    return Fate.PAYMENT if end.unpaid[row] else Fate.HEALTHY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Who stands for a simulated account."""

    account: str
    name: str
    country: str
    owner: str
    sources: Sequence[str]

    @property
    def zone_ms(self) -> int:
        return int(ZONES[self.country] * HOUR)

    def described(self, data: Mapping[str, Any]) -> dict[str, object]:
        currency = CURRENCIES[self.country]
        arr = data["arr"] * (A_YEN if currency == "JPY" else 1)
        own = {"name": self.name, "owner": self.owner, "country": self.country, "timezone": TIMEZONES[self.country]}
        return {**data, **own, "arr": arr, "currency": currency}

    def source_of(self, simulated: str) -> str:
        """Return the product for one of the simulator's: most customers use one, some a second one on the phone."""
        return self.sources[-1] if simulated == "/sources/mobile" else self.sources[0]


def _places(count: int, *, seed: int) -> dict[str, _Place]:
    rng = np.random.default_rng(seed)
    countries = rng.choice(list(SHARES), count, p=list(SHARES.values())).tolist()
    numbers: Counter[str] = Counter()
    places = {}
    for row, country in enumerate(countries):
        number = numbers[country]
        numbers[country] += 1
        first = SOURCES[row % len(SOURCES)]
        second = [SOURCES[(row + 1) % len(SOURCES)]] if row % 5 == 0 else []
        places[f"acct-{row:06d}"] = _Place(
            account=f"{country.lower()}-{number + 1:03d}",
            name=name_of(number, country=country),
            country=country,
            owner=OWNERS[country][number % len(OWNERS[country])],
            sources=(first, *second),
        )
    return places
