"""Draw what goes wrong, where, when and for how long, from a seed: the schedule repeats, the interleaving doesn't."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.faults.real.points import POINTS, points_of

OVERLAP: Final = 0.2
"""Share of faults that come while the one before is still being recovered from."""


class Fault(StrEnum):
    """What can go wrong."""

    KILL = "kill -9"
    POINT = "kill -9 at a point"
    PAUSE = "suspended beyond its session"
    BROKER_KILL = "broker kill -9"
    BROKER_PAUSE = "broker suspended, scorer killed"
    REDIS_KILL = "redis kill -9, empty start"
    REDIS_FLUSH = "redis flushed"
    REDIS_FULL = "redis out of memory"
    REDIS_READ_ONLY = "redis read-only"
    STORM = "rebalances, 1 to 3 to 2 workers"
    LATENCY = "link slow"
    CUT = "link cut"
    HALF_OPEN = "link half-open"
    DISK_FULL = "broker's disk full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One fault. `after_s` counts from the recovery before it, or, if `overlaps`, from the healing before it."""

    fault: Fault
    target: str
    after_s: float
    for_s: float = 0.0
    overlaps: bool = False
    point: str | None = None
    """With its number of passages, `NAME:N`."""

    @property
    def label(self) -> str:
        """Return what the report counts it under."""
        return f"{self.fault}: {self.target}"


Kind = tuple[Fault, Sequence[str]]
"""A fault, and the targets one of which is drawn."""

_SCORERS: Final = ("scorer-1", "scorer-2")
_SECONDS: Final = {
    Fault.PAUSE: (8.0, 13.0),
    Fault.BROKER_KILL: (0.0, 8.0),
    Fault.BROKER_PAUSE: (4.0, 14.0),
    Fault.REDIS_KILL: (0.0, 6.0),
    Fault.REDIS_FULL: (2.0, 8.0),
    Fault.REDIS_READ_ONLY: (2.0, 8.0),
    Fault.STORM: (3.0, 8.0),
    Fault.LATENCY: (3.0, 9.0),
    Fault.CUT: (0.0, 5.0),
    Fault.HALF_OPEN: (4.0, 14.0),
    Fault.DISK_FULL: (5.0, 10.0),
}
_ROUND: Final[Sequence[Kind]] = (
    (Fault.KILL, ("ingest",)),
    (Fault.KILL, _SCORERS),
    (Fault.KILL, _SCORERS),
    (Fault.KILL, ("alerts",)),
    *[(Fault.POINT, ("scorer",))] * 4,
    *[(Fault.POINT, ("alerts",))] * 2,
    (Fault.POINT, ("ingest",)),
    (Fault.PAUSE, _SCORERS),
    (Fault.PAUSE, ("alerts",)),
    (Fault.BROKER_KILL, ("kafka",)),
    (Fault.BROKER_PAUSE, _SCORERS),
    (Fault.REDIS_KILL, ("redis",)),
    (Fault.REDIS_FLUSH, ("redis",)),
    (Fault.REDIS_FULL, ("redis",)),
    (Fault.REDIS_READ_ONLY, ("redis",)),
    (Fault.STORM, ("scorer",)),
    (Fault.LATENCY, ("redis", "slack", "ingest", "scorer", "alerts")),
    (Fault.CUT, ("redis", "slack", "ingest", "scorer", "alerts")),
    (Fault.CUT, ("slack",)),
    (Fault.HALF_OPEN, ("redis", "slack", "ingest", "scorer", "alerts")),
)
"""Each once a round, in a new order each round; one of the targets is drawn."""


FAMILIES: Final[Sequence[frozenset[Fault]]] = (
    frozenset({Fault.KILL}),
    frozenset({Fault.POINT}),
    frozenset({Fault.PAUSE}),
    frozenset({Fault.BROKER_KILL, Fault.BROKER_PAUSE}),
    frozenset({Fault.REDIS_KILL, Fault.REDIS_FLUSH, Fault.REDIS_FULL, Fault.REDIS_READ_ONLY}),
    frozenset({Fault.STORM}),
    frozenset({Fault.LATENCY, Fault.CUT, Fault.HALF_OPEN}),
    frozenset({Fault.DISK_FULL}),
)
"""One of each comes first, so that a short run has them all."""


def draw(seed: int, *, with_disk: bool = False) -> Iterator[Injection]:
    """Yield faults without end, at first one of each family; every point of a service comes before one comes again."""
    chance = random.Random(seed)
    points = {kind: _in_turn(points_of(kind), chance) for kind in ("ingest", "scorer", "alerts")}
    kinds = [*_ROUND, (Fault.DISK_FULL, ("kafka",))] if with_disk else list(_ROUND)
    is_first = True
    while True:
        chance.shuffle(kinds)
        for fault, targets in _one_of_each_first(kinds) if is_first else kinds:
            target, point = chance.choice(targets), None
            if fault is Fault.POINT:
                name = next(points[target])
                point = f"{name}:{chance.randint(1, POINTS[name].most)}"
                target = chance.choice(_SCORERS) if target == "scorer" else target
            overlaps = chance.random() < OVERLAP
            yield Injection(
                fault=fault,
                target=target,
                point=point,
                after_s=chance.uniform(0.1, 2.0) if overlaps else chance.uniform(0.5, 3.0),
                for_s=round(chance.uniform(*_SECONDS.get(fault, (0.0, 0.0))), 2),
                overlaps=overlaps,
            )
        is_first = False


def _one_of_each_first(kinds: Sequence[Kind]) -> Sequence[Kind]:
    places = [next((place for place, (fault, _) in enumerate(kinds) if fault in family), None) for family in FAMILIES]
    firsts = sorted(place for place in places if place is not None)
    return [*(kinds[place] for place in firsts), *(kind for place, kind in enumerate(kinds) if place not in firsts)]


def _in_turn(names: Sequence[str], chance: random.Random) -> Iterator[str]:
    order = list(names)
    while True:
        chance.shuffle(order)
        yield from order
