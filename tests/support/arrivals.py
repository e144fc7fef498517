"""What a simulated vendor's log would show a watch, minute by minute, and what the watch makes of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from lab.simulate.places import PLACES, date_of, offset_ms
from lab.simulate.population import population_of
from lab.simulate.run import simulate
from lab.simulate.usage import ACTIONS, NOBODY, Columns, apps_of, joined
from lab.simulate.vendor import Ints, Vendor
from services.scorer.config import load_bundle
from services.scorer.core.absence import Absence, absence
from services.scorer.core.activity import Activity, Applied
from services.scorer.core.calendar import Calendars, Tables, compile_calendars, country_key, zone_key
from services.scorer.core.decode import Code
from services.scorer.core.expected import Used
from services.scorer.core.guard import Watch
from services.scorer.core.step import Arrival
from shared.contracts.context import Guard, GuardState
from shared.contracts.events import Kind, source_of
from tests.support.log import MINUTE
from tests.support.outage import PATIENCE

PRESENCE: Final = (Kind.LOGIN, Kind.USAGE, Kind.OUTCOME)
CONFIG: Final = Path(__file__).parents[2] / "config"

EMPTY: Final = 5
"""Of minutes in which nothing comes, every fifth is looked at."""

Lost = Callable[[str, str, int], bool]
"""Say of an event whether it is lost: its source, its name and when it occurred."""


class Accounts:
    """A vendor's accounts as a scorer keeps them, up to the minute; `tell` is the share that tells where it is."""

    imported = 0

    def __init__(self, vendor: Vendor, *, tell: float) -> None:
        population = population_of(vendor)
        self._activity, self._calendars = Activity(), _calendars()
        self._waiting: list[Columns] = []
        self._lasts: dict[str, int] = {}
        rows = self._activity.add_accounts(population.names, hashes=np.arange(1, vendor.accounts + 1, dtype=np.uint64))
        tells = np.arange(vendor.accounts) < tell * vendor.accounts
        countries = [vendor.countries[number] for number in population.country.tolist()]
        for name, keys in (
            ("country", [country_key(code) for code in countries]),
            ("zone", [zone_key(PLACES[code].timezone) for code in countries]),
        ):
            self._activity.accounts[name][rows] = np.where(tells, np.array(keys), 0)
        self._apps = [source_of(app) for app in apps_of(vendor)]
        self._sources = np.array([self._activity.source(app) for app in self._apps])

    def take(self, events: Columns) -> None:
        """Take events; they are folded when something is asked."""
        self._waiting.append(events)
        for app in np.unique(events.app).tolist():
            self._lasts[self._apps[app]] = int(events.at[events.app == app].max())

    def _fold(self) -> None:
        if not self._waiting:
            return
        events, self._waiting = joined(self._waiting), []
        self._activity.fold(
            Applied(
                account=events.account,
                at=events.at,
                code=np.full(len(events), Code.USAGE, np.int8),
                signal=np.full(len(events), -1),
                source=self._sources[events.app],
                user=np.zeros(len(events), np.uint64),
            )
        )

    def accounts(self, source: str) -> int:
        self._fold()
        return int(self._activity.fed_by(source).sum())

    def lasts(self) -> Mapping[str, int]:
        return self._lasts

    def absence(self, source: str, *, ends: Mapping[str, int], until: int) -> Absence:
        self._fold()
        return absence(self._activity, source=source, ends=ends, until=until, calendars=self._calendars)


def guards_in(vendor: Vendor, *, lost: Lost = lambda *_: False, tell: float = 1.0) -> list[Guard]:
    """Return what a watch says of a vendor's life, looked at once a minute."""
    watch, held, said = Watch(PATIENCE), dict[str, Guard](), list[Guard]()
    accounts = Accounts(vendor, tell=tell)
    for minute, came, arrived in _minutes(vendor, lost=lost):
        for guard in watch.decide(minute * MINUTE, partitions=[0], held=held, fed=accounts):
            said.append(guard)
            if guard.state is GuardState.HELD:
                held[guard.key] = guard
            else:
                del held[guard.key]
        watch.note(arrived)
        accounts.take(came)
    return said


def _minutes(vendor: Vendor, *, lost: Lost) -> Iterator[tuple[int, Columns, Mapping[str, Arrival]]]:
    """Yield minutes, and the presence that arrived in it."""
    sources = [source_of(app) for app in apps_of(vendor)]
    is_presence = np.array([kind in PRESENCE for kind, _ in ACTIONS])
    minute, end = vendor.start // MINUTE, _end(vendor) // MINUTE
    for day in simulate(vendor, population_of(vendor)):
        events = day.events.take(day.events.what < len(ACTIONS))
        events = events.take(is_presence[events.what])
        names = [ACTIONS[what][1] or "login" for what in events.what.tolist()]
        kept = [
            not lost(sources[app], name, at)
            for app, name, at in zip(events.app.tolist(), names, events.at.tolist(), strict=True)
        ]
        events = events.take(np.array(kept, bool))
        of_minute: Ints = events.at // MINUTE
        changes = (np.flatnonzero(of_minute[1:] != of_minute[:-1]) + 1).tolist()
        ends, start = [*changes, len(events)] if len(events) else [], 0
        for stop in ends:
            if of_minute[start] >= end:
                return
            for empty in range(-(-(minute + 1) // EMPTY) * EMPTY, int(of_minute[start]), EMPTY):
                yield empty, events.take(slice(0, 0)), {}
            minute = int(of_minute[start])
            came = events.take(slice(start, stop))
            yield minute, came, _arrivals(came, sources=sources)
            start = stop


def _end(vendor: Vendor) -> int:
    """Return when the last day begins to be over (epoch ms): where it ends first, nobody lives any more."""
    last = vendor.midnight(vendor.days)
    return last - max(offset_ms(country, date_of(last)) for country in vendor.countries)


def _arrivals(came: Columns, *, sources: list[str]) -> Mapping[str, Arrival]:
    counts, used, last = Counter[str](), dict[str, set[Used]](), dict[str, int]()
    for at, account, user, what, app in zip(
        *(column.tolist() for column in (came.at, came.account, came.user, came.what, came.app)), strict=True
    ):
        source = sources[app]
        counts[source] += 1
        last[source] = at
        used.setdefault(source, set()).add((account, ACTIONS[what][1] or "login", user != NOBODY))
    return {key: Arrival(counts[key], last[key], frozenset(used[key]), counts[key]) for key in counts}


@cache
def _calendars() -> Calendars:
    """Return the shipped calendars of the countries that are simulated."""
    told: dict[str, Any] = msgspec.json.decode(load_bundle(CONFIG, year=2026).config)["calendars"]
    zones = {place.timezone for place in PLACES.values()}
    told["zones"] = [zone for zone in told["zones"] if set(zone["names"]) & zones]
    told["countries"] = {code: told["countries"][code] for code in PLACES}
    return compile_calendars(msgspec.convert(told, Tables))
