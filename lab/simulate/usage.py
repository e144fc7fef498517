"""Draw what people and programs do on a day, as columns: Poisson counts with the own rhythm of each user.

A user's rate is that of the weekday, times what the account's story makes of it, times the account's luck of the day:
gamma-distributed with mean 1, so that a bursty account does nothing on one day and much on another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.simulate.scene import Scene
from lab.simulate.vendor import AUTOMATION, BOOKS, DAY, HOUR, Flags, Floats, Ints, Vendor
from shared.contracts.events import Kind

NOBODY: Final = -1
SECOND_APP: Final = 0.25

ACTIONS: Final = (
    (Kind.LOGIN, None),
    (Kind.USAGE, "Report Viewed"),
    (Kind.USAGE, "Record Edited"),
    (Kind.USAGE, "Comment Added"),
    (Kind.USAGE, "Export Run"),
    (Kind.USAGE, "Error Shown"),
    (Kind.USAGE, "Role Changed"),
    (Kind.USAGE, "User Removed"),
    (Kind.USAGE, "Export All Records"),
    (Kind.OUTCOME, "Order Closed"),
    (Kind.USAGE, "Sync Run"),
    (Kind.TICKET, "opened"),
    (Kind.TICKET, "closed"),
)
"""Kind and name of everything that is done often; the index is the `what` of an event."""
_PER_MILLE: Final = (150, 330, 330, 120, 45, 15, 10)
"""How often people do the first of them."""
_MIX: Final = np.repeat(np.arange(len(_PER_MILLE)), _PER_MILLE)


def action(name: str | None, kind: Kind = Kind.USAGE) -> int:
    """Return the `what` of an action."""
    return ACTIONS.index((kind, name))


LOGIN: Final = action(None, Kind.LOGIN)
ERROR, EXPORT_ALL, SYNC = action("Error Shown"), action("Export All Records"), action("Sync Run")
ROLE_CHANGED, REMOVED = action("Role Changed"), action("User Removed")
OUTCOME, OPENED, CLOSED = (
    action("Order Closed", Kind.OUTCOME),
    action("opened", Kind.TICKET),
    action("closed", Kind.TICKET),
)

BY_NOBODY: Final = frozenset({SYNC, OPENED, CLOSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Events by row: `at` is ms (of the local day, or of the epoch), `user` NOBODY where no person did it.

    `what` counts ACTIONS, and from their end on facts; `app` counts `apps_of` the vendor.
    """

    account: Ints
    user: Ints
    what: Ints
    app: Ints
    at: Ints

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.at)

    def take(self, rows: Ints | Flags | slice) -> "Columns":
        """Return some of the events."""
        return Columns(
            account=self.account[rows],
            user=self.user[rows],
            what=self.what[rows],
            app=self.app[rows],
            at=self.at[rows],
        )


def apps_of(vendor: Vendor) -> Sequence[str]:
    """Return every source: those people use, then that of automation, then that of facts and tickets."""
    return (*vendor.sources, AUTOMATION, BOOKS)


def joined(parts: Sequence[Columns]) -> Columns:
    """Return events one part after the other."""
    return Columns(
        account=np.concatenate([part.account for part in parts]),
        user=np.concatenate([part.user for part in parts]),
        what=np.concatenate([part.what for part in parts]),
        app=np.concatenate([part.app for part in parts]),
        at=np.concatenate([part.at for part in parts]),
    )


def usage_of(scene: Scene, dice: np.random.Generator) -> Columns:
    """Return everything that is done in a day, `at` in ms of the local day, in no order."""
    conduct, population = scene.conduct, scene.population
    weekday = population.week[:, scene.vendor.weekday(scene.day)]
    pace = np.add.reduceat(weekday * population.rate, population.first[:-1]) / population.volume * scene.works
    return joined(
        [
            _routine(scene, dice),
            _by_people(scene, dice, conduct.exports * pace, what=EXPORT_ALL, champion=True),
            _by_people(scene, dice, conduct.admin * pace, what=LOGIN, champion=True),
            _by_people(scene, dice, conduct.admin * 0.5 * pace, what=ROLE_CHANGED, champion=True),
            _removals(scene, dice),
            _by_people(scene, dice, conduct.errors * pace, what=ERROR),
            _by_people(scene, dice, conduct.outcomes * pace, what=OUTCOME),
            _by_programs(scene, dice),
            _tickets(scene, dice, conduct.tickets * pace),
        ]
    )


def _routine(scene: Scene, dice: np.random.Generator) -> Columns:
    """Return what people do in their usual proportions."""
    population, conduct = scene.population, scene.conduct
    luck = dice.standard_gamma(population.burst) / population.burst
    of_account = conduct.hand * luck * (scene.here & scene.works)
    factor = of_account[population.account]
    factor[population.first[:-1]] *= conduct.champion
    factor[population.place >= conduct.staying[population.account]] = 0
    counts = dice.poisson(population.rate * population.week[:, scene.vendor.weekday(scene.day)] * factor)
    user = np.repeat(np.arange(len(counts)), counts)
    return _done(scene, dice, user, what=_MIX[dice.integers(0, len(_MIX), len(user))])


def _by_people(
    scene: Scene, dice: np.random.Generator, expected: Floats, *, what: int, champion: bool = False
) -> Columns:
    """Return Poisson events of each account, done by its champion or by any of the others."""
    population = scene.population
    rows = np.repeat(np.arange(len(population)), dice.poisson(expected * scene.here))
    others = np.maximum(1, scene.conduct.staying[rows] - 1)
    place = 0 if champion else 1 + (dice.random(len(rows)) * others).astype(np.int64)
    return _done(scene, dice, population.first[rows] + place, what=np.full(len(rows), what))


def _removals(scene: Scene, dice: np.random.Generator) -> Columns:
    """Return what the champion does to the users that are removed today."""
    rows = np.repeat(np.arange(len(scene.population)), scene.conduct.removing * (scene.here & scene.works))
    return _done(scene, dice, scene.population.first[rows], what=np.full(len(rows), REMOVED))


def _done(scene: Scene, dice: np.random.Generator, user: Ints, *, what: Ints) -> Columns:
    population = scene.population
    second = (dice.random(len(user)) < SECOND_APP).astype(np.int64)
    hours = population.begins[user] + population.span[user] * _quantile(dice.random(len(user)))
    return Columns(
        account=population.account[user],
        user=user,
        what=what,
        app=population.apps[user, second],
        at=(hours * HOUR).astype(np.int64),
    )


def _by_programs(scene: Scene, dice: np.random.Generator) -> Columns:
    """Return what programs do, at any hour of any day."""
    rows = np.repeat(np.arange(len(scene.population)), dice.poisson(scene.conduct.automation * scene.here))
    at = dice.integers(0, DAY, len(rows))
    return _by_nobody(rows, what=SYNC, app=len(scene.vendor.sources), at=at)


def _tickets(scene: Scene, dice: np.random.Generator, expected: Floats) -> Columns:
    books = len(scene.vendor.sources) + 1
    rows = np.repeat(np.arange(len(scene.population)), dice.poisson(expected * scene.here))
    opened = dice.integers(9 * HOUR, 18 * HOUR, len(rows))
    closed = opened + dice.integers(HOUR // 4, 5 * HOUR, len(rows))
    ends = dice.random(len(rows)) < scene.conduct.closes[rows]
    return joined(
        [
            _by_nobody(rows, what=OPENED, app=books, at=opened),
            _by_nobody(rows[ends], what=CLOSED, app=books, at=closed[ends]),
        ]
    )


def _by_nobody(rows: Ints, *, what: int, app: int, at: Ints) -> Columns:
    return Columns(
        account=rows, user=np.full(len(rows), NOBODY), what=np.full(len(rows), what), app=np.full(len(rows), app), at=at
    )


def _quantile(chance: Floats) -> Floats:
    """Return where in a working day, 0-1, so much of it is done: two humps, with lunch between."""
    return np.interp(chance, _DONE, _WHEN)


_WHEN: Final = np.linspace(0, 1, 257)
_PACE: Final = 0.15 + np.exp(-(((_WHEN - 0.25) / 0.13) ** 2)) + 0.9 * np.exp(-(((_WHEN - 0.7) / 0.16) ** 2))
_DONE: Final = np.concatenate([[0.0], np.cumsum((_PACE[1:] + _PACE[:-1]) / 2)]) / ((_PACE[1:] + _PACE[:-1]) / 2).sum()
