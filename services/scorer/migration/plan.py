"""Decide what a move does: to which generation, whether it may begin, and what it carries over. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

import msgspec

from shared.contracts.context import LONGEST_HOLD, Guard, GuardState, Import, ImportState
from shared.contracts.topology import Standing, Topology, TopologyState, topics_of
from shared.topology import TopologyProblem

MOST_PARTITIONS = 1000
WAIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for."""

    partitions: int
    dry_run: bool = False
    end_imports: bool = False
    wait_s: float = WAIT_S


def goal_of(standing: Standing, *, partitions: int, found: int) -> Topology | None:
    """Return the generation to move to, None when nothing is to be done; `found` is what the broker has now.

    A move that was begun is gone on with. Raises TopologyProblem when another one was, or the number can't be.
    """
    if not 1 <= partitions <= MOST_PARTITIONS:
        raise TopologyProblem(f"--partitions {partitions}: must be 1 to {MOST_PARTITIONS}")
    moving, current = standing.moving, standing.current
    if moving is not None and moving.partitions != partitions:
        raise TopologyProblem(
            f"a move to {moving.partitions} partitions has begun and not ended: run it again with"
            f" `--partitions {moving.partitions}`, or call it off with `churnwatch migrate --give-up`"
        )
    if moving is not None:
        return moving
    if current.partitions == partitions == found:
        return None
    return Topology(generation=standing.highest + 1, partitions=partitions, state=TopologyState.MOVING)


def unfinished(imports: Mapping[str, Import]) -> Sequence[str]:
    """Return the imports that nobody has ended: of their rows some partitions may have more than others."""
    return sorted(job for job, entry in imports.items() if entry.state is ImportState.RUNNING)


def check_imports(jobs: Sequence[str]) -> None:
    """Raise TopologyProblem when imports are not ended."""
    if jobs:
        raise TopologyProblem(
            f"imports have not ended: {', '.join(jobs)}; run the same `churnwatch import` to its end first, or end them"
            " as they are with `--end-imports`: rows of them sent again later may then be left out"
        )


def carried(guards: Iterable[Guard], *, now: int, old: Topology, new: Topology) -> list[Guard]:
    """Return the guards to tell anew: a source held somewhere is held in all new partitions, for as long as it was.

    Partitions that are no more are let go of, for those who count them.
    """
    held: dict[str, Guard] = {}
    for guard in guards:
        if guard.state is GuardState.HELD and now < guard.at + LONGEST_HOLD:
            before = held.get(guard.key, guard)
            held[guard.key] = max(before, guard, key=lambda one: one.at)
    everywhere, gone = list(range(new.partitions)), list(range(new.partitions, old.partitions))
    told = [msgspec.structs.replace(guard, partitions=everywhere) for guard in held.values()]
    over = [msgspec.structs.replace(guard, partitions=gone, state=GuardState.OVER) for guard in held.values() if gone]
    return told + over


def plan_lines(old: Topology, goal: Topology, *, found: int, accounts: int) -> list[str]:
    """Return what a move will do, for people."""
    shared = old.partitions // gcd(old.partitions, goal.partitions)
    lines = [
        f"from generation {old.generation}: {old.partitions} partitions, about {accounts} accounts",
        f"to generation {goal.generation}: {goal.partitions} partitions",
        f"topics to be made: {', '.join(topic.name for topic in topics_of(goal))}",
    ]
    if found != old.partitions:
        lines.append(
            f"events in partitions {old.partitions} to {found - 1} of {old.events} are moved to their accounts"
        )
    if shared > 1:
        lines.append(
            f"each new partition remembers the ids of {shared} old ones for a day: {shared} times the memory for ids; a"
            f" multiple of {old.partitions} partitions would cost nothing"
        )
    return lines


def done_lines(old: Topology, new: Topology) -> list[str]:
    """Return what is left for people to do."""
    return [
        f"generation {new.generation} with {new.partitions} partitions is in use: scorers and ingest go on",
        f"whoever writes to Kafka without the ingest must write to {new.events}: {old.events} takes nothing any more",
        f"the old topics stay: {old.events}, {old.activity}, {old.snapshots}; delete them when nobody looks back",
    ]
