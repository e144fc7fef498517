"""Write events as lines of JSON, fast: every part of a line but its number and its time is made once."""

import json
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Final

import msgspec
import numpy as np

from lab.simulate.facts import Fact, user_name
from lab.simulate.population import Population
from lab.simulate.stories import Lives, Story
from lab.simulate.usage import ACTIONS, BY_NOBODY, NOBODY, Columns, apps_of
from lab.simulate.vendor import DAY, Ints, Vendor
from shared.contracts.events import source_of, type_of, wire_time

ROWS_A_BLOCK: Final = 50_000
MINUTE: Final = 60_000
MINUTES_A_DAY: Final = DAY // MINUTE
_HEAD: Final = '{"specversion":"1.0","id":"e'
_BOOKS: Final = -1


class Writer:
    """Renders columns of events; ids count on from block to block. Holds a text a user, so it grows with accounts."""

    def __init__(self, vendor: Vendor, population: Population) -> None:
        self._population = population
        self._users = len(population.account)
        self._whose = [self._whose_of(user) for user in range(self._users)]
        self._whose += [f'{name}","data":{{' for name in population.names]
        apps = apps_of(vendor)
        self._opened = [
            f'","source":"{source_of(app)}","type":"{type_of(kind)}","time":"' for app in apps for kind, _ in ACTIONS
        ]
        self._ended = [_end_of(what) for _ in apps for what in range(len(ACTIONS))]
        self._books = source_of(apps[_BOOKS])
        self._told = 0

    def follow(self, lives: Lives) -> None:
        """Take over new ids where a lost champion is followed by another today."""
        for row in np.flatnonzero(lives.ends(Story.CHAMPION_LEAVES)).tolist():
            user = int(self._population.first[row])
            self._whose[user] = self._whose_of(user, nth=int(lives.successors[row]))

    def blocks(self, events: Columns, facts: Mapping[int, Fact], *, rows: int = ROWS_A_BLOCK) -> Iterator[bytes]:
        """Yield the lines of events in the order given, `at` in epoch ms, some at a time; `facts` by their `what`."""
        for start in range(0, len(events), rows):
            yield self._block(events.take(slice(start, start + rows)), facts)

    def _block(self, events: Columns, facts: Mapping[int, Fact]) -> bytes:
        keys, opened, ended = self._keys(events, facts)
        whose = np.where(events.user == NOBODY, self._users + events.account, events.user)
        midnight = int(events.at[0]) // DAY * DAY
        minutes, rest = np.divmod(events.at - midnight, MINUTE)
        minute = [
            text for day in range(int(minutes[-1]) // MINUTES_A_DAY + 1) for text in _minutes(midnight + day * DAY)
        ]
        rests, texts, first = _rests(), self._whose, self._told
        self._told += len(events)
        columns = zip(
            range(first, self._told), keys.tolist(), minutes.tolist(), rest.tolist(), whose.tolist(), strict=True
        )
        return "".join(
            [f"{_HEAD}{n}{opened[k]}{minute[m]}{rests[r]}{texts[w]}{ended[k]}" for n, k, m, r, w in columns]
        ).encode()

    def _keys(self, events: Columns, facts: Mapping[int, Fact]) -> tuple[Ints, list[str], list[str]]:
        """Return for each event where it finds its parts; facts bring parts of their own."""
        keys = events.app * len(ACTIONS) + events.what
        told = np.flatnonzero(events.what >= len(ACTIONS))
        keys[told] = len(self._opened) + np.arange(len(told))
        some = [facts[what] for what in events.what[told].tolist()]
        opened = [f'","source":"{self._books}","type":"{type_of(fact.kind)}","time":"' for fact in some]
        return keys, self._opened + opened, self._ended + [_said(fact) for fact in some]

    def _whose_of(self, user: int, *, nth: int = 0) -> str:
        name = self._population.names[int(self._population.account[user])]
        return f'{name}","data":{{"user":"{user_name(self._population, user, nth=nth)}"'


def _end_of(what: int) -> str:
    """Return the end of the line of an action; what no person does has no user before its name."""
    _, name = ACTIONS[what]
    named = "" if name is None else f'"name":{json.dumps(name)}'
    return f"{named}}}}}\n" if what in BY_NOBODY or not named else f",{named}}}}}\n"


def _said(fact: Fact) -> str:
    return msgspec.json.encode(fact.data).decode()[1:] + "}\n"


@lru_cache(maxsize=4)
def _minutes(midnight: int) -> list[str]:
    date = wire_time(midnight)[:11]
    return [f"{date}{minute // 60:02d}:{minute % 60:02d}:" for minute in range(MINUTES_A_DAY)]


@cache
def _rests() -> list[str]:
    return [f'{ms // 1000:02d}.{ms % 1000:03d}Z","subject":"' for ms in range(MINUTE)]
