"""Make the topics of a new generation and fill them: nobody else touches them before the cut-over."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from services.scorer.checkpoint import NO_CYCLE, WRITER, Activity
from services.scorer.core.batch import Batch
from services.scorer.core.fates import Moved
from services.scorer.core.partition import Partition
from services.scorer.core.regroup import SEEDS
from services.scorer.cores import Columnar
from services.scorer.migration.seal import settings_of
from shared.contracts.events import tick_record
from shared.contracts.topics import EVENTS
from shared.contracts.topology import Topology, topics_of
from shared.kafka import create_topics

NO_CONTEXT: Final = -1


class _Subject(msgspec.Struct):
    subject: str


class NextGeneration:
    """The topics to be: made, emptied of what an earlier try left, and filled."""

    def __init__(
        self, bootstrap: str, goal: Topology, *, producer: AIOKafkaProducer, admin: AIOKafkaAdminClient
    ) -> None:
        self._bootstrap = bootstrap
        self._goal = goal
        self._producer = producer
        self._admin = admin

    async def make(self, like: Topology) -> None:
        """Create the topics, as often kept as those of another generation, and empty them."""
        [described] = await self._admin.describe_topics([like.events])
        replicas = len(described["partitions"][0]["replicas"])
        in_sync = int((await settings_of(self._admin, like.events)).get("min.insync.replicas", "1"))
        await create_topics(self._bootstrap, topics_of(self._goal), replication=replicas, min_insync=in_sync)
        await self._empty()

    async def seed(self, at: int) -> Sequence[int]:
        """Begin each partition of the new log with its seeds, ticks of `at` (epoch ms); return where each begins."""
        value = tick_record(at, context=NO_CONTEXT)
        firsts = []
        for partition in range(self._goal.partitions):
            sent = [
                await self._producer.send(self._goal.events, value=value, partition=partition) for _ in range(SEEDS)
            ]
            offsets = [int(one.offset) for one in await asyncio.gather(*sent)]
            firsts.append(min(offsets))
        return firsts

    async def carry(self, batch: Batch, moved: Sequence[Moved]) -> None:
        """Append records to where their accounts will be, ids unchanged, and return when they are durable."""
        sent = []
        for one in moved:
            value = batch.value(one.row) or b""
            subject = msgspec.json.decode(value, type=_Subject).subject
            partition = self._goal.home(EVENTS, subject.encode())
            headers = list(batch.headers.get(one.row, ()))
            sent.append(
                await self._producer.send(
                    self._goal.events, value=value, key=batch.key(one.row), partition=partition, headers=headers
                )
            )
        await asyncio.gather(*sent)

    async def write(self, state: Partition, *, core: Columnar, into: Sequence[Activity]) -> None:
        """Write a whole cycle of a state, with its marker, into each of these topics."""
        for topic in into:
            first, cycle = await topic.end(state.partition), core.begin(state, writer=WRITER)
            while (records := cycle.next(state)) is not None:
                for record in records:
                    await topic.write(state.partition, record)
            await topic.write(state.partition, cycle.marker(first_record=first, previous=NO_CYCLE))

    async def _empty(self) -> None:
        tps = [
            TopicPartition(topic.name, number) for topic in topics_of(self._goal) for number in range(topic.partitions)
        ]
        async with AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=None) as consumer:
            ends = await consumer.end_offsets(tps)
        full = {tp: RecordsToDelete(end) for tp, end in ends.items() if end}
        if full:
            await self._admin.delete_records(full)
