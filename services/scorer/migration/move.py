"""Move everything to a new generation, step by step; what is broken off is gone on with by the same command.

    say that it moves     scorers end, the ingest answers 503
    make the new topics   empty, with their seeds
    be the last scorer    the old log to its end, a last tick, close it to every writer, to its end again
    regroup               states of the old partitions -> checkpoints and snapshots of the new ones
    cut over              one entry in `churn.context.v1`: what reads it uses the new names

Until that entry nothing but the new topics has changed, and they are emptied when the move begins again; so it may be
killed at any point. Redis is not touched: the new scorers fill it, and theirs is the higher generation.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.scorer import context as contexts
from services.scorer.app import columnar
from services.scorer.checkpoint import Activity
from services.scorer.context import Context
from services.scorer.core.partition import Partition
from services.scorer.core.regroup import homes_in, regroup, sources_of
from services.scorer.eventlog import EventLog
from services.scorer.migration.new import NextGeneration
from services.scorer.migration.old import LastScorer
from services.scorer.migration.plan import Order, carried, check_imports, done_lines, goal_of, plan_lines, unfinished
from services.scorer.migration.seal import seal, unseal
from services.scorer.outputs import KafkaOutputs
from services.scorer.settings import ScorerSettings
from shared import clock, kafka
from shared.contracts.context import Import, ImportState
from shared.contracts.events import tick_record
from shared.contracts.topics import SCORER_GROUP
from shared.contracts.topology import Standing, Topology, TopologyState
from shared.kafka import partition_counts
from shared.topology import TopologyProblem, first_topology

POLL_S: Final = 0.5
PROBE: Final = tick_record(0, context=-1)
"""A tick before every other: where it is taken it changes nothing."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a move works with; all of it is connected."""

    settings: ScorerSettings
    producer: AIOKafkaProducer
    context: Context
    admin: AIOKafkaAdminClient
    say: Say

    @property
    def kafka(self) -> str:
        """Kafka's servers."""
        return self.settings.kafka

    @property
    def key(self) -> bytes:
        """The deployment's secret."""
        return self.settings.dead_letter_key.get_secret_value()


async def migrate(settings: ScorerSettings, order: Order, *, say: Say) -> None:
    """Do what was asked for; raises TopologyProblem when it may not be done, saying what to do instead."""
    async with AsyncExitStack() as stack:
        tools = await _connected(settings, stack, say=say)
        standing = tools.context.standing or Standing(current=await first_topology(tools.kafka))
        old = standing.current
        found = (await partition_counts(tools.kafka, [old.events]))[old.events]
        goal = goal_of(standing, partitions=order.partitions, found=found)
        if goal is None:
            say(f"nothing to do: generation {old.generation} has {old.partitions} partitions")
            return
        if not order.end_imports:
            check_imports(_unfinished(tools))
        for line in plan_lines(old, goal, found=found, accounts=await _accounts(tools, old, stack)):
            say(line)
        if not order.dry_run:
            await _move(
                tools, order, old=old, goal=msgspec.structs.replace(goal, run=uuid.uuid4().hex[:8]), found=found
            )


async def give_up(settings: ScorerSettings, *, say: Say) -> None:
    """Call off a move that has begun: the old generation goes on where it was."""
    async with AsyncExitStack() as stack:
        tools = await _connected(settings, stack, say=say)
        standing = tools.context.standing
        if standing is None or standing.moving is None:
            raise TopologyProblem("no move has begun")
        events = standing.current.events
        found = (await partition_counts(tools.kafka, [events]))[events]
        await unseal(tools.admin, tools.kafka, events, probe=PROBE, partitions=found)
        await tools.context.note(msgspec.structs.replace(standing.moving, state=TopologyState.GIVEN_UP))
        say(f"given up: generation {standing.current.generation} goes on with {standing.current.partitions} partitions")


async def _connected(settings: ScorerSettings, stack: AsyncExitStack, *, say: Say) -> Tools:
    producer = await stack.enter_async_context(kafka.producer(settings.kafka))
    context = Context(contexts.reader(settings.kafka), producer)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await _start(stack, context)
    await admin.start()
    stack.push_async_callback(admin.close)
    return Tools(settings=settings, producer=producer, context=context, admin=admin, say=say)


async def _start(stack: AsyncExitStack, part: Any) -> None:
    stack.push_async_callback(part.stop)
    await part.start()


async def _move(tools: Tools, order: Order, *, old: Topology, goal: Topology, found: int) -> None:
    context, say = tools.context, tools.say
    await context.check_secrets({"dead_letter_key": tools.key})
    if context.standing is None:
        await context.note(old)
    await context.note(goal)
    say("moving: the ingest answers 503, scorers end")
    await _until_gone(tools, wait_s=order.wait_s)
    async with AsyncExitStack() as stack:
        states, seeds = await _last_scored(tools, order, old=old, goal=goal, found=found, stack=stack)
        for guard in carried(_guards(context, old), now=states[0].clock or 0, old=old, new=goal):
            await context.tell(guard)
        await _fill(tools, states, goal=goal, seeds=seeds, stack=stack)
    await _cut_over(tools, goal)
    for line in done_lines(old, goal):
        say(line)


async def _last_scored(
    tools: Tools, order: Order, *, old: Topology, goal: Topology, found: int, stack: AsyncExitStack
) -> tuple[list[Partition], list[int]]:
    """Return the states of all old partitions at the end of the log, which is closed then, and where seeds begin."""
    new = NextGeneration(tools.kafka, goal, producer=tools.producer, admin=tools.admin)
    await new.make(old)
    seeds = list(await new.seed(clock.now_ms()))
    tools.say("the new topics are made")
    last = LastScorer(
        tools.kafka,
        old,
        core=columnar(old, tools.key),
        context=tools.context,
        outputs=KafkaOutputs(tools.producer, dead_letter_key=tools.key, topology=old),
        carry=new.carry,
    )
    activity = Activity(tools.kafka, tools.producer, topic=old.activity)
    events = EventLog(tools.kafka, group=SCORER_GROUP, topology=old)
    await _start(stack, activity)
    await _start(stack, events)
    # an earlier try may have closed it, and it must take the last ticks
    await unseal(tools.admin, tools.kafka, old.events, probe=PROBE, partitions=found)
    await last.take(activity, events)
    await last.follow()
    tools.say("the old log is scored to its end")
    at = await _last_tick(tools, last, old=old)
    await seal(tools.admin, tools.kafka, old.events, probe=PROBE, partitions=found)
    tools.say(f"{old.events} takes nothing any more")
    await last.follow()
    await last.empty_others(found)
    if set(last.clocks().values()) != {at}:
        raise TopologyProblem("a last tick was refused: set the clock of this machine, and run this again")
    if order.end_imports:
        await _end_imports(tools)
    check_imports(_unfinished(tools))
    return list(last.states.values()), seeds


async def _last_tick(tools: Tools, last: LastScorer, *, old: Topology) -> int:
    """Append the same tick to every partition, so that all of them are judged at one moment; return its T."""
    known = [at for at in last.clocks().values() if at is not None]
    # where something else writes the time into the topic, it may be another one than ours
    now = clock.now_ms() if tools.settings.scorer_ticks or not known else 0
    at = max([now, *(at + 1 for at in known)])
    value = tick_record(at, context=tools.context.offset)
    sent = [await tools.producer.send(old.events, value=value, partition=number) for number in range(old.partitions)]
    await asyncio.gather(*sent)
    return at


async def _fill(
    tools: Tools, states: list[Partition], *, goal: Topology, seeds: list[int], stack: AsyncExitStack
) -> None:
    core = columnar(goal, tools.key)
    new = NextGeneration(tools.kafka, goal, producer=tools.producer, admin=tools.admin)
    topics = [Activity(tools.kafka, tools.producer, topic=name) for name in (goal.snapshots, goal.activity)]
    for topic in topics:
        await _start(stack, topic)
    homes = [homes_in(state, partitions=goal.partitions) for state in states]
    for number in range(goal.partitions):
        sources = [(states[n], homes[n]) for n in sources_of(number, old=len(states), new=goal.partitions)]
        state = regroup(sources, new=core.empty(number), seeds=seeds[number])
        await new.write(state, core=core, into=topics)
        tools.say(f"partition {number} of {goal.partitions}: {state.accounts} accounts")


async def _cut_over(tools: Tools, goal: Topology) -> None:
    await tools.context.read_on()
    standing = tools.context.standing
    if standing is None or standing.moving != goal:
        raise TopologyProblem("the same move was begun again elsewhere, or called off, meanwhile: this one ends here")
    await tools.context.note(msgspec.structs.replace(goal, state=TopologyState.CURRENT, run=""))


async def _until_gone(tools: Tools, *, wait_s: float) -> None:
    """Return when no scorer is left in the group; raises TopologyProblem when some stay."""
    deadline = time.monotonic() + wait_s
    while members := await _members(tools.admin):
        if time.monotonic() > deadline:
            raise TopologyProblem(
                f"{len(members)} scorers still run ({', '.join(members)}): stop them, and run this again"
            )
        await asyncio.sleep(POLL_S)


async def _members(admin: AIOKafkaAdminClient) -> list[str]:
    try:
        answers = await admin.describe_consumer_groups([SCORER_GROUP])
    except KafkaError as fault:
        return [repr(fault)]
    return [f"{host} {client}" for answer in answers for group in answer.groups for _, client, host, *_ in group[5]]


async def _accounts(tools: Tools, old: Topology, stack: AsyncExitStack) -> int:
    """Return how many accounts the last checkpoints held."""
    activity, core, total = Activity(tools.kafka, tools.producer, topic=old.activity), columnar(old, tools.key), 0
    await _start(stack, activity)
    for number in range(old.partitions):
        records, _ = await activity.read(number, progress=lambda: None)
        markers = [marker for _, value in records if (marker := core.marker_of(value)) is not None]
        total += markers[-1].accounts if markers else 0
    return total


def _unfinished(tools: Tools) -> list[str]:
    return list(unfinished(tools.context.known_at(tools.context.offset, 0).imports))


async def _end_imports(tools: Tools) -> None:
    for job in _unfinished(tools):
        await tools.context.tell(Import(job=job, state=ImportState.ENDED, at=clock.now_ms()))


def _guards(context: Context, old: Topology) -> Iterable[Any]:
    for number in range(old.partitions):
        yield from context.known_at(context.offset, number).guards.values()
