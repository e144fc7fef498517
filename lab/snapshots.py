"""Read the checkpoint and its snapshots as they lie in Kafka, and choose the snapshot to start from."""

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.scorer.core.cycles import Snapshot, snapshots_of
from shared.contracts.topology import Topology
from shared.kafka import read_to_end

Span = tuple[int, int]
"""Where a partition's log begins and ends."""


async def span_of(kafka: str, topic: str, number: int) -> Span:
    """Return the first offset a partition still holds, and its end."""
    tp = TopicPartition(topic, number)
    async with AIOKafkaConsumer(bootstrap_servers=kafka, group_id=None) as consumer:
        begins, ends = await consumer.beginning_offsets([tp]), await consumer.end_offsets([tp])
    return int(begins[tp]), int(ends[tp])


async def read_values(kafka: str, topic: str, number: int) -> list[tuple[int, bytes]]:
    """Return offset and value of each record of a partition."""
    found = [(record.offset, record.value) async for record in read_to_end(kafka, topic, number)]
    return [(offset, value) for offset, value in found if value is not None]


async def oldest_snapshot(kafka: str, number: int, *, topology: Topology, span: Span) -> Snapshot | None:
    """Return the oldest whole snapshot of a partition from which on the event log of that span still holds all."""
    snapshots = snapshots_of(await read_values(kafka, topology.snapshots, number))
    return oldest(snapshots, place=(number, topology.partitions), span=span)


def oldest(snapshots: Sequence[Snapshot], *, place: tuple[int, int], span: Span) -> Snapshot | None:
    """Return the first of the snapshots, oldest first, that is of this partition of so many and lies in the span."""
    for snapshot in snapshots:
        marker = snapshot.contents.marker
        if (marker.partition, marker.partitions) == place and span[0] <= snapshot.base <= span[1]:
            return snapshot
    return None
