"""Be the last scorer of a generation: fold its log to the end, and make durable all that follows from it."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.scorer.checkpoint import Activity, load
from services.scorer.context import Context
from services.scorer.core.batch import Batch
from services.scorer.core.fates import Moved
from services.scorer.core.partition import Partition
from services.scorer.cores import Columnar
from services.scorer.eventlog import EventLog
from services.scorer.feed import batch_of
from services.scorer.outputs import KafkaOutputs
from shared.contracts.topology import Topology
from shared.kafka import KafkaStalled

POLL_MS: Final = 200
STALLED_S: Final = 60.0
BATCH: Final = 5000

Carry = Callable[[Batch, Sequence[Moved]], Awaitable[None]]


class LastScorer:
    """The states of all partitions of a generation, and those of partitions somebody added in place.

    What lies in a partition that is not its account's is handed to `carry` instead of being forwarded.
    """

    def __init__(
        self,
        bootstrap: str,
        topology: Topology,
        *,
        core: Columnar,
        context: Context,
        outputs: KafkaOutputs,
        carry: Carry,
    ) -> None:
        self._bootstrap = bootstrap
        self._topology = topology
        self._core = core
        self._context = context
        self._outputs = outputs
        self._carry = carry
        self.states: dict[int, Partition] = {}

    async def take(self, activity: Activity, events: EventLog) -> None:
        """Load the state of every partition from its checkpoint. Raises what a scorer's start raises."""
        for number in range(self._topology.partitions):
            loaded = await load(activity, self._core, partition=number, progress=lambda: None)
            state = loaded.state
            if state is None:
                state = self._core.empty(number)
                state.position = await events.first_start(number)
            await events.check_position(number, position=state.position)
            self.states[number] = state

    async def follow(self) -> None:
        """Fold every partition to the end it has now."""
        await self._context.read_on()
        async with self._consumer() as consumer:
            tps = [TopicPartition(self._topology.events, number) for number in self.states]
            ends = await consumer.end_offsets(tps)
            for tp in tps:
                await self._follow(consumer, tp, state=self.states[tp.partition], end=ends[tp])

    async def empty_others(self, found: int) -> None:
        """Carry everything out of the partitions that somebody added: none of it belongs there."""
        tps = [TopicPartition(self._topology.events, number) for number in range(self._topology.partitions, found)]
        if not tps:
            return
        async with self._consumer() as consumer:
            ends, begins = await consumer.end_offsets(tps), await consumer.beginning_offsets(tps)
            for tp in tps:
                state = self._core.empty(tp.partition)
                state.position = begins[tp]
                await self._follow(consumer, tp, state=state, end=ends[tp])

    def clocks(self) -> Mapping[int, int | None]:
        """Return the clock of every partition."""
        return {number: state.clock for number, state in self.states.items()}

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_poll_records=BATCH,
        )

    async def _follow(self, consumer: AIOKafkaConsumer, tp: TopicPartition, *, state: Partition, end: int) -> None:
        if state.position >= end:
            return
        consumer.assign([tp])
        consumer.seek(tp, state.position)
        news = time.monotonic()
        while await consumer.position(tp) < end:
            records = (await consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ())
            if records:
                news = time.monotonic()
                await self._fold(state, batch_of(records, generation=0))
            elif time.monotonic() - news > STALLED_S:
                raise KafkaStalled(f"{tp.topic}/{tp.partition} gives nothing after {state.position}, its end is {end}")

    async def _fold(self, state: Partition, batch: Batch) -> None:
        outputs = self._core.step(state, batch, known_at=self._context.known_at)
        await self._carry(batch, outputs.moved)
        outputs.moved = []
        await self._outputs.send(batch, outputs)
