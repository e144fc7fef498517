"""Read from Kafka how the event log is cut, and note it where nobody has yet."""

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from shared.contracts.context import ContextKind
from shared.contracts.topics import ACTIVITY, CONTEXT, EVENTS, TOPICS
from shared.contracts.topology import Standing, Topology, after
from shared.kafka import partition_counts, read_to_end

KEY = ContextKind.TOPOLOGY.value.encode()


class TopologyProblem(Exception):
    """The event log is not cut as it must be; the message says what to do."""


async def read_standing(bootstrap: str) -> Standing | None:
    """Return how things stand by the context topic as it is now, None where nobody noted it yet."""
    standing: Standing | None = None
    if not (await partition_counts(bootstrap, [CONTEXT]))[CONTEXT]:
        return None
    async for record in read_to_end(bootstrap, CONTEXT):
        standing = after_record(standing, record)
    return standing


async def current_topology(bootstrap: str) -> Topology:
    """Return the generation in use; where nobody noted it yet, generation 1 as it is agreed."""
    standing = await read_standing(bootstrap)
    return standing.current if standing else Topology(generation=1, partitions=TOPICS[EVENTS].partitions)


def after_record(standing: Standing | None, record: ConsumerRecord[bytes | None, bytes | None]) -> Standing | None:
    """Return how things stand after a record of the context topic; other kinds, and what can't be read, say nothing."""
    if record.key != KEY or record.value is None:
        return standing
    try:
        entry = msgspec.json.decode(record.value, type=Topology)
    except msgspec.MsgspecError as fault:
        structlog.get_logger(__name__).error("topology_unreadable", offset=record.offset, fault=str(fault))
        return standing
    return after(standing, entry, offset=record.offset)


async def first_topology(bootstrap: str) -> Topology:
    """Return generation 1 as the topics show it; raises TopologyProblem when they are not there.

    The checkpoint's topic tells: whoever changes the number in place changes that of the events.
    """
    counts = await partition_counts(bootstrap, [EVENTS, ACTIVITY])
    missing = [topic for topic, count in counts.items() if not count]
    if missing:
        raise TopologyProblem(f"missing: {', '.join(missing)}; `churnwatch topics create` creates them")
    return Topology(generation=1, partitions=counts[ACTIVITY])


async def note(producer: AIOKafkaProducer, topology: Topology) -> int:
    """Append an entry and return its offset once it is durable."""
    value = msgspec.json.encode(topology)
    sent = await producer.send_and_wait(CONTEXT, key=KEY, value=value, partition=0)
    return int(sent.offset)
