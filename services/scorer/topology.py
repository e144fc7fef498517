"""Agree with the broker on how the event log is cut, and end the process as soon as it is cut otherwise.

A number of partitions changed in place sends events where no state of their account is; a move to a new generation
takes our state away. Neither can be mended by going on.
"""

import asyncio
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from services.scorer import metrics
from services.scorer.context import Context
from services.scorer.fence import Exit, end_process
from shared.contracts.topics import DEAD_LETTERS, RISK, SCORES
from shared.contracts.topology import Standing, Topology, difference
from shared.kafka import partition_counts
from shared.topology import TopologyProblem, first_topology

LOOK_S: Final = 2.0
MOVED_S: Final = 0.5
WRITTEN: Final = (RISK, SCORES, DEAD_LETTERS)
"""Topics with a number of partitions of their own, which we write to by account."""

log = structlog.get_logger(__name__)


async def agree(bootstrap: str, context: Context) -> Topology:
    """Return the generation to score, noting the first one if nobody has; waits while one is being made.

    Raises TopologyProblem with the remedy.
    """
    if context.standing is None:
        await context.note(await first_topology(bootstrap))
    if context.standing is None:
        raise TopologyProblem("the entry that tells how the event log is cut can't be read back")
    topology = await _moved(context, context.standing)
    said = await _differing(bootstrap, topology)
    if said is not None:
        raise TopologyProblem(said)
    counts = await partition_counts(bootstrap, WRITTEN)
    wrong = [
        f"{topic} has {count}, not {topology.count(topic)}"
        for topic, count in counts.items()
        if count < topology.count(topic)
    ]
    if wrong:
        raise TopologyProblem(
            f"partitions are missing: {', '.join(wrong)}; `churnwatch topics create` compares them all"
        )
    metrics.PARTITIONS.set(topology.partitions)
    return topology


async def watch(bootstrap: str, context: Context, topology: Topology) -> None:
    """End the process when the event log is no longer cut as `topology` says. The context must be kept reading."""
    while True:
        standing = context.standing
        said = None if standing is None else _moving(standing)
        if standing is not None and standing.current.generation != topology.generation:
            said = f"generation {standing.current.generation} is in use: start again"
        if said is None:
            said = await _differing_now(bootstrap, topology)
        if said is not None:
            end_process(Exit.TOPOLOGY, fault=said)
        await asyncio.sleep(LOOK_S)


async def _moved(context: Context, standing: Standing) -> Topology:
    """Return the generation in use once none is being made."""
    before: str | None = None
    while (said := _moving(standing)) is not None:
        if said != before:
            log.warning("waiting_for_move", fault=said)
        before = said
        await asyncio.sleep(MOVED_S)
        await context.read_on()
        standing = context.standing or standing
    return standing.current


def _moving(standing: Standing) -> str | None:
    moving = standing.moving
    if moving is None:
        return None
    return (
        f"the event log is being moved to generation {moving.generation} with {moving.partitions} partitions: when"
        f" `churnwatch migrate --partitions {moving.partitions}` is done this goes on; if it broke off, run it again"
    )


async def _differing(bootstrap: str, topology: Topology) -> str | None:
    names = (topology.events, topology.activity)
    counts = await partition_counts(bootstrap, names)
    missing = [name for name in names if not counts[name]]
    if missing:
        return f"missing: {', '.join(missing)}; `churnwatch topics create` creates them"
    return difference(topology, found=counts[topology.events])


async def _differing_now(bootstrap: str, topology: Topology) -> str | None:
    try:
        found = (await partition_counts(bootstrap, [topology.events]))[topology.events]
    except (KafkaError, OSError):  # nobody answers: what follows from that is not ours to say
        return None
    return difference(topology, found=found) if found else None
