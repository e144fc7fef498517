"""Judge whether the event log still holds what a state needs: a lost offset is an error, never a silent jump."""

from collections.abc import Collection, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.contracts.topology import Topology

REBUILD: Final = "churnwatch rebuild"


class OffsetLost(RuntimeError):
    """Events that a state still needs are not in the log; the message names the remedy."""


class EventLog:
    """Where the log of each partition begins and ends. Owns a consumer and an admin client."""

    def __init__(self, bootstrap: str, *, group: str, topology: Topology) -> None:
        self._topic = topology.events
        self._activity = topology.activity
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._group = group

    async def start(self) -> None:
        await self._consumer.start()
        await self._admin.start()

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Return the log end of each partition, by number."""
        tps = [TopicPartition(self._topic, partition) for partition in partitions]
        ends = await self._consumer.end_offsets(tps) if tps else {}
        return {tp.partition: int(end) for tp, end in ends.items()}

    async def first_start(self, partition: int) -> int:
        """Return where a partition without a checkpoint begins.

        Raises OffsetLost when this group was further once and the log does not reach back to its beginning.
        """
        begin, _ = await self._span(partition)
        tp = TopicPartition(self._topic, partition)
        committed = (await self._admin.list_consumer_group_offsets(self._group, partitions=[tp])).get(tp)
        if begin > 0 and committed is not None and committed.offset > 0:
            raise OffsetLost(
                f"{self._activity}/{partition} holds no checkpoint and {self._topic}/{partition} begins at {begin}:"
                f" stop the scorers and run `{REBUILD}`, which restores it from a snapshot"
            )
        return begin

    async def check_position(self, partition: int, *, position: int) -> int:
        """Return the log end; raise OffsetLost unless the log holds `position` or ends there."""
        begin, end = await self._span(partition)
        if not begin <= position <= end:
            raise OffsetLost(
                f"{self._topic}/{partition}: the state continues at offset {position}, but the log holds {begin} to"
                f" {end}: stop the scorers and run `{REBUILD}`"
            )
        return end

    async def check_not_lost(self, partition: int, *, position: int) -> None:
        """Raise OffsetLost when retention overtook us; a gap left by a transaction is no loss."""
        begin, _ = await self._span(partition)
        if begin > position:
            raise OffsetLost(
                f"{self._topic}/{partition}: events {position} to {begin - 1} were deleted before they were scored:"
                f" raise the topic's retention; then stop the scorers and run `{REBUILD}`"
            )

    async def _span(self, partition: int) -> tuple[int, int]:
        tp = TopicPartition(self._topic, partition)
        begins = await self._consumer.beginning_offsets([tp])
        ends = await self._consumer.end_offsets([tp])
        return int(begins[tp]), int(ends[tp])
