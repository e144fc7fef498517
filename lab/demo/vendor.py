"""Tell the past of the demo's vendor: three products, customers in six countries, 90 days up to now, fates known.

The lives are those of `lab/simulate`; here the customers get names and owners.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np

from lab.demo.customers import OWNERS, SOURCES, name_of
from lab.demo.row import Row
from lab.simulate.population import Population, population_of
from lab.simulate.run import Day, simulate
from lab.simulate.stories import COURSES, Story
from lab.simulate.vendor import AUTOMATION, DAY, Flags, Vendor
from shared.contracts.events import Kind, parse_time

ACCOUNTS: Final = 300
DAYS: Final = 90
SPARE_DAYS: Final = 2
"""Simulated before and after, so that 90 whole days are there in every time zone."""
EVENTS_A_USER_AND_DAY: Final = 0.5
MOST_EVENTS: Final = 250_000


class Fate(StrEnum):
    """What becomes of a customer; the truth, which nothing but the demo's own judgement reads."""

    HEALTHY = "healthy"
    DECLINE = "gradual decline"
    STOP = "sudden stop"
    EXIT = "exit intent"
    CHAMPION = "champion left"
    STALLED = "onboarding stalled"
    PAYMENT = "payment trouble"
    SUPPORT = "support trouble"


_FATES: Final = {
    Story.EXIT_INTENT: Fate.EXIT,
    Story.SUDDEN_STOP: Fate.STOP,
    Story.GRADUAL_DECLINE: Fate.DECLINE,
    Story.CHAMPION_LEAVES: Fate.CHAMPION,
    Story.STALLED_ONBOARDING: Fate.STALLED,
    Story.PAYMENT_FAILURE: Fate.PAYMENT,
    Story.SUPPORT_TROUBLE: Fate.SUPPORT,
}
"""The first that happened to a customer is its fate."""
PRESSES: Final = np.array([course.effect > 0 for course in COURSES.values()])
"""By story: whether an account in it is likelier to leave."""
_DOES: Final = frozenset({Kind.LOGIN, Kind.USAGE, Kind.OUTCOME, Kind.TICKET})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One customer; `left_at` (epoch ms) is when it cancelled, None while it stays.

    `pressed` are the stories that made it likelier to leave: on the day it left, or ever if it stays.
    """

    account: str
    name: str
    owner: str
    country: str
    sources: Sequence[str]
    fate: Fate
    left_at: int | None
    pressed: Sequence[Story]


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
    vendor = Vendor(
        accounts=accounts,
        days=DAYS + 2 * SPARE_DAYS,
        seed=seed,
        start=(now // DAY - DAYS - SPARE_DAYS) * DAY,
        user_events_a_day=EVENTS_A_USER_AND_DAY,
        sources=SOURCES,
    )
    population = population_of(vendor)
    places = _places(vendor, population)
    lived: list[Row] = []
    happened, pressed = np.zeros((2, len(Story), accounts), bool)
    for day in simulate(vendor, population):
        lived += _rows(day, places)
        if vendor.midnight(day.scene.day) < now:
            scene = day.scene
            happened |= scene.lives.began & scene.here
            presses = PRESSES[:, None] & scene.lives.running() & scene.here
            pressed = np.where(scene.leaves, presses, pressed | presses)
    rows = sorted((row for row in lived if row.at < now), key=attrgetter("at"))
    rows = [row for row in rows if row.kind == Kind.ACCOUNT or row.at >= now - DAYS * DAY]
    return Past(rows=rows, accounts=_truth(places, happened, pressed=pressed, rows=rows))


class _Event(msgspec.Struct):
    source: str
    type: str
    subject: str
    time: str
    data: dict[str, Any]


def _rows(day: Day, places: Mapping[str, "_Place"]) -> Iterator[Row]:
    decoder = msgspec.json.Decoder(_Event)
    for event in (decoder.decode(line) for block in day.blocks() for line in block.splitlines()):
        place, at = places[event.subject], parse_time(event.time) or 0
        kind, source = event.type.split(".")[1], event.source.rpartition("/")[2]
        user = event.data["user"][-8:] if "user" in event.data else None
        if kind in _DOES:
            source = place.sources[0] if source == AUTOMATION else source
            yield Row(account=place.account, at=at, kind=kind, source=source, user=user, name=event.data.get("name"))
        else:
            told = {name: value for name, value in event.data.items() if name != "user"}
            told |= {"name": place.name, "owner": place.owner} if kind == Kind.ACCOUNT else {}
            yield Row(account=place.account, at=at, kind=kind, source=source, user=user, data=told)


def _truth(
    places: Mapping[str, "_Place"], happened: Flags, *, pressed: Flags, rows: Sequence[Row]
) -> dict[str, Account]:
    left = {row.account: row.at for row in rows if row.data and row.data.get("status") == "cancelled"}
    return {
        place.account: Account(
            account=place.account,
            name=place.name,
            owner=place.owner,
            country=place.country,
            sources=place.sources,
            fate=_fate(happened[:, number].tolist()),
            left_at=left.get(place.account),
            pressed=[Story(story) for story in np.flatnonzero(pressed[:, number]).tolist()],
        )
        for number, place in enumerate(places.values())
    }


def _fate(happened: Sequence[bool]) -> Fate:
    return next((fate for story, fate in _FATES.items() if happened[story]), Fate.HEALTHY)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Who stands for a simulated account."""

    account: str
    name: str
    country: str
    owner: str
    sources: Sequence[str]


def _places(vendor: Vendor, population: Population) -> dict[str, _Place]:
    numbers: Counter[str] = Counter()
    places = {}
    for row, simulated in enumerate(population.names):
        country = vendor.countries[int(population.country[row])]
        number = numbers[country]
        numbers[country] += 1
        apps = dict.fromkeys(population.apps[population.first[row]].tolist())
        places[simulated] = _Place(
            account=f"{country.lower()}-{number + 1:03d}",
            name=name_of(number, country=country),
            country=country,
            owner=OWNERS[country][number % len(OWNERS[country])],
            sources=tuple(SOURCES[app] for app in apps),
        )
    return places
