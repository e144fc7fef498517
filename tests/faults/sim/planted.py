"""Bugs to plant, each of which the simulator must find: what the checks are worth.

A bug is a class or function put in the place of the right one while it is planted, in the loop or in the core.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from services.scorer import checkpoint
from services.scorer import loop as loop_module
from services.scorer.checkpoint import Cycles
from services.scorer.loop import Loop
from services.scorer.outputs import KafkaOutputs
from tests.faults.sim import cases
from tests.faults.sim import process as process_module
from tests.faults.sim.bugs import (
    BoastfulRedis,
    CarelessRedis,
    CommitLoop,
    EagerLane,
    FloatSum,
    ForgetfulLoop,
    HastyCycles,
    LastOffset,
    LastWritten,
    MarkerFirst,
    NotReentered,
    RandomId,
    StaleChunk,
    TrimFirst,
    Unfenced,
    WallClock,
    WithoutIds,
    drop_dead,
    last_cycle_written,
    mark_anyway,
    nobody_ahead,
    plain_set,
    send_and_hope,
    send_once,
    take_kept,
)
from tests.faults.sim.explore import FILLING, Case, Explorer, Found, Violation
from tests.faults.sim.oracle_core import OracleCore
from tests.faults.sim.oracle_state import OracleState
from tests.faults.sim.servers import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """What is put where, and the families that should find it."""

    core: type[OracleCore] = OracleCore
    put: Sequence[tuple[object, str, object]] = ()
    families: Sequence[str] = ("crashes",)
    cases: Callable[[], Iterator[Case]] = cases.mixed


PLANTED: Mapping[str, Bug] = {
    "acknowledged before its outputs are durable": Bug(put=[(loop_module, "Lane", EagerLane)]),
    "no fence: an account applies what its chunk contains": Bug(core=Unfenced),
    "state stored before its outputs": Bug(put=[(loop_module, "Cycles", HastyCycles)]),
    "state stored before Redis has it": Bug(put=[(process_module, "Loop", CarelessRedis)]),
    "a cycle said to be in Redis before it is": Bug(
        put=[(process_module, "Loop", BoastfulRedis)], families=("redis_downs",)
    ),
    "wall clock instead of tick time in health": Bug(core=WallClock),
    "float sums that depend on the batches": Bug(core=FloatSum),
    "the cycle written last wins, not the highest base": Bug(
        core=LastWritten, put=[(checkpoint, "last_marker", last_cycle_written)], families=("zombies",)
    ),
    "a stale chunk wins": Bug(core=StaleChunk, families=("zombies",)),
    "a stale process deletes the owner's cycle": Bug(
        put=[(Cycles, "_is_ahead", nobody_ahead)], families=("zombies",), cases=cases.many_cycles
    ),
    "duplicates by last offset": Bug(core=LastOffset),
    "a fenced event does not enter its id again": Bug(core=NotReentered),
    "ids not restored": Bug(core=WithoutIds),
    "Redis written without compare-and-set": Bug(put=[(Store, "put", plain_set)], families=("zombies",)),
    "Redis not filled again after it was lost": Bug(
        put=[(process_module, "Loop", ForgetfulLoop)], families=("redis_losses",)
    ),
    "Redis filled before a replay has come to where its accounts are": Bug(
        put=[(OracleState, "is_replaying", False)], families=("redis_losses",), cases=cases.overlapping
    ),
    "Redis lost while it was filled, and marked as full": Bug(
        put=[(Store, "mark", mark_anyway)], families=("redis_losses",)
    ),
    "random episode id": Bug(core=RandomId),
    "an exception of a send swallowed": Bug(put=[(KafkaOutputs, "send", send_and_hope)], families=("failed_sends",)),
    "a dead letter dropped": Bug(put=[(KafkaOutputs, "_send_dead", drop_dead)]),
    "nothing sent again after a crash between outputs and state": Bug(put=[(KafkaOutputs, "send", send_once)]),
    "marker written before its chunks": Bug(put=[(loop_module, "Cycles", MarkerFirst)]),
    "deletion before the marker is durable": Bug(put=[(loop_module, "Cycles", TrimFirst)]),
    "position from the commit instead of the marker": Bug(put=[(process_module, "Loop", CommitLoop)]),
    "kept state reused although somebody else wrote": Bug(
        put=[(Loop, "_take_kept", take_kept)], families=("handovers",)
    ),
}


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Put a bug in its place, and take it away again."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in bug.put]
    for owner, name, wrong in bug.put:
        setattr(owner, name, wrong)
    try:
        yield
    finally:
        for owner, name, right in before:
            setattr(owner, name, right)


def hunt(bug: Bug) -> tuple[int, Violation | None]:
    """Run schedules until one is violated; return how many it took and what was found."""
    found = Found()
    with planted(bug):
        for case in bug.cases():
            case.new_core = partial(bug.core, case.contexts, partitions=2)
            for family in bug.families:
                if family in FILLING:
                    case.pace = replace(case.pace, refill=True)
                getattr(Explorer(case, found, is_enough=lambda: bool(found.violations)), family)()
                if found.violations:
                    return found.total, found.violations[0]
    return found.total, None
