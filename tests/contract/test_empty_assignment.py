"""What groups stand on in aiokafka: a leader that knew of no topic makes up for it with its next look."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from shared.contracts.topics import Topic
from shared.kafka import METADATA_MAX_AGE_MS

AGE_MS = METADATA_MAX_AGE_MS // 5
"""Soon enough for a test."""


class Given(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """What was given to a member, assignment after assignment."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[int] = asyncio.Queue()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let go of them."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self.given.put_nowait(len(assigned))


async def test_a_group_that_was_given_nothing_is_given_its_partitions_soon(
    kafka: str, new_topic: Callable[[Topic], Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await new_topic(Topic(name="given", partitions=2))
    # a broker that comes up answers who leads a group before it tells of the topics
    known, assign, knows = ClusterMetadata.partitions_for_topic, RoundRobinPartitionAssignor.assign, [True, False]
    monkeypatch.setattr(ClusterMetadata, "partitions_for_topic", lambda *args: known(*args) if knows[0] else None)

    def assign_unknowing(cluster: ClusterMetadata, members: Mapping[str, object]) -> object:
        del knows[: len(knows) - 1]
        return assign(cluster, members)

    monkeypatch.setattr(RoundRobinPartitionAssignor, "assign", assign_unknowing)
    listener = Given()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=topic, metadata_max_age_ms=AGE_MS)
    consumer.subscribe([topic], listener=listener)
    await consumer.start()
    try:
        assert await asyncio.wait_for(listener.given.get(), timeout=20) == 0
        knows[0] = True
        assert await asyncio.wait_for(listener.given.get(), timeout=AGE_MS / 1000 + 20) == 2
    finally:
        await consumer.stop()
