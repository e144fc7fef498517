"""Say into how many partitions the event log is cut, under which names, and what to do when a broker differs.

The number of partitions of the event log never changes in place: accounts would move away from their state. It changes
with a new *generation*: new topics, filled from the state of the old ones by `churnwatch migrate`. Entries of kind
`topology` in `churn.context.v1` tell it:

    generation 1 current ......... generation 2 moving ......... generation 2 current
    old names                      nobody writes events          new names: the cut-over
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from math import gcd
from typing import Final

import msgspec

from shared.contracts.partition import partition_of
from shared.contracts.topics import ACTIVITY, EVENTS, SNAPSHOTS, TOPICS, Topic

FOLLOWING: Final = (EVENTS, ACTIVITY, SNAPSHOTS)
"""The topics of a generation. All others keep their own number of partitions for ever."""


class TopologyState(StrEnum):
    """Whether a generation is the one in use, is being made, or will not be."""

    CURRENT = "current"
    MOVING = "moving"
    GIVEN_UP = "given_up"


class Topology(msgspec.Struct, frozen=True, kw_only=True):
    """One generation: its number and into how many partitions it cuts the event log."""

    generation: int
    partitions: int
    state: TopologyState = TopologyState.CURRENT
    run: str = ""
    """Which run of the command moves: a later one takes the move over from an earlier one."""

    @property
    def events(self) -> str:
        """The event log's topic."""
        return self.name(EVENTS)

    @property
    def activity(self) -> str:
        """The checkpoint's topic."""
        return self.name(ACTIVITY)

    @property
    def snapshots(self) -> str:
        """The topic of snapshots."""
        return self.name(SNAPSHOTS)

    def name(self, topic: str) -> str:
        """Return the name under which a topic is kept in this generation."""
        return topic if self.generation == 1 or topic not in FOLLOWING else f"{topic}.g{self.generation}"

    def count(self, topic: str) -> int:
        """Return how many partitions a topic (by its plain name) has."""
        return self.partitions if topic in FOLLOWING else TOPICS[topic].partitions

    def home(self, topic: str, key: bytes) -> int:
        """Return the partition of a topic (by its plain name) in which what belongs to a key lies."""
        return _partition(key, self.count(topic))

    def sharing(self, topic: str, partition: int) -> range:
        """Return the partitions of a topic in which accounts of a partition of the event log may lie."""
        count = self.count(topic)
        step = gcd(count, self.partitions)
        return range(partition % step, count, step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Which generation is in use, and to which one it is being moved, if it is.

    `since` and `until` are offsets of the context topic between which (both exclusive) what names partitions by number
    is meant for the present generation; `highest` is the greatest generation ever named.
    """

    current: Topology
    moving: Topology | None = None
    since: int = -1
    until: int | None = None
    highest: int = 1

    def holds(self, offset: int) -> bool:
        """Say whether partition numbers in the entry at an offset are those of the present generation."""
        return offset > self.since and (self.until is None or offset < self.until)


def after(standing: Standing | None, entry: Topology, *, offset: int) -> Standing | None:
    """Return how things stand after an entry: the first `current` entry of a generation decides."""
    if standing is None:
        return Standing(current=entry, highest=entry.generation) if entry.state is TopologyState.CURRENT else None
    highest = max(standing.highest, entry.generation)
    if entry.generation <= standing.current.generation:
        return standing
    match entry.state:
        case TopologyState.MOVING:
            return replace(standing, moving=entry, until=offset, highest=highest)
        case TopologyState.GIVEN_UP:
            return replace(standing, moving=None, until=None, highest=highest)
        case TopologyState.CURRENT:
            since = offset if standing.until is None else standing.until
            return Standing(current=entry, since=since, highest=highest)


def agreed_topics(standing: Standing | None) -> list[Topic]:
    """Return the topics as they must exist; None: nobody has started here yet."""
    own = [topic for topic in TOPICS.values() if topic.name not in FOLLOWING]
    return own + (topics_of(standing.current) if standing else [TOPICS[name] for name in FOLLOWING])


def topics_of(topology: Topology) -> list[Topic]:
    """Return the topics of a generation."""
    return [replace(TOPICS[name], name=topology.name(name), partitions=topology.partitions) for name in FOLLOWING]


def difference(topology: Topology, *, found: int) -> str | None:
    """Return what is wrong, and the command that mends it, when the event log has another number of partitions."""
    if found == topology.partitions:
        return None
    return (
        f"{topology.events} has {found} partitions, but its accounts were scored in {topology.partitions}: the number"
        f" was changed in place, so events may lie where nobody looks for them; {remedy(found)}, or with"
        f" {topology.partitions} to go on with as many as before"
    )


def remedy(partitions: int) -> str:
    """Return the command that mends it."""
    return f"run `churnwatch migrate --partitions {partitions}`, which moves everything into new topics"


@lru_cache(maxsize=1 << 16)
def _partition(key: bytes, count: int) -> int:
    return partition_of(key, partitions=count)
