"""Talk to Kafka the one way we do: durable sends, topics as agreed, reading a topic to its end.

KafkaProblem            a retry can't help unless it says so
├── KafkaUnavailable    no broker answered in time; a retry can help
├── KafkaStalled        a topic stopped giving records before its end; a retry can help
└── TopicMismatch       a topic exists with other settings
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.structs import ConsumerRecord

from shared.contracts.topics import MAX_MESSAGE_BYTES, Topic

REQUEST_TIMEOUT_S = 30.0
MAX_REQUEST_BYTES = MAX_MESSAGE_BYTES + (1 << 16)
POLL_S = 0.2
METADATA_MAX_AGE_MS = 10_000
"""How old what a group's member knows of topics may be. A leader elected while the broker comes up may know of none,
and gives nobody anything; the group learns of it with the next look: aiokafka's own comes after five minutes."""
# the broker may keep any of these differently without harm to us
OPERATOR_SETTINGS = frozenset({"min.insync.replicas", "max.compaction.lag.ms"})


class KafkaProblem(Exception):
    """Something about Kafka that a caller can't plan for."""

    retry_can_help = False


class KafkaUnavailable(KafkaProblem):
    """No broker answered in time."""

    retry_can_help = True


class KafkaStalled(KafkaProblem):
    """A topic stopped giving records before its end."""

    retry_can_help = True


class TopicMismatch(KafkaProblem):
    """One or more topics exist with other settings than agreed."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__("; ".join(differences))
        self.differences = differences


def producer(
    bootstrap: str,
    *,
    request_timeout_s: float = REQUEST_TIMEOUT_S,
    linger_ms: int = 0,
    max_batch_bytes: int = 1 << 18,
) -> AIOKafkaProducer:
    """Return a producer, not started, whose acknowledged sends are durable and never doubled.

    zstd, because aiokafka compresses lz4 at level 9: 25 MB/s against 430, and the result is larger.
    """
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        linger_ms=linger_ms,
        max_batch_size=max_batch_bytes,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=int(request_timeout_s * 1000),
    )


async def wait_ready(bootstrap: str, timeout_s: float = 30.0) -> None:
    """Return when a metadata call answers with a broker; raise KafkaUnavailable after `timeout_s`."""
    fault: BaseException = TimeoutError()
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=3000)
                try:
                    await client.bootstrap()
                    if client.cluster.brokers():
                        return
                except KafkaError as error:
                    fault = error
                finally:
                    await client.close()
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        words = f"no kafka answered at {bootstrap} within {timeout_s:g} s: {fault}"
        raise KafkaUnavailable(words) from fault


async def create_topics(
    bootstrap: str, topics: Iterable[Topic], *, replication: int = 1, min_insync: int = 1
) -> Sequence[str]:
    """Create the topics that are missing and return their names.

    Running it again is harmless. Raises TopicMismatch naming every existing topic whose partitions
    or settings differ from what is agreed; none of them is changed.
    """
    wanted = {topic.name: topic for topic in topics}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=30_000)
    await admin.start()
    try:
        existing = set(await admin.list_topics()) & set(wanted)
        missing = [wanted[name] for name in sorted(set(wanted) - existing)]
        await _create(admin, missing, replication=replication, min_insync=min_insync)
        differences = await _differences(admin, [wanted[name] for name in sorted(existing)])
    finally:
        await admin.close()
    if missing:
        await _wait_for_leaders(bootstrap, missing)
    if differences:
        raise TopicMismatch(differences)
    return [topic.name for topic in missing]


async def partition_counts(bootstrap: str, topics: Iterable[str]) -> Mapping[str, int]:
    """Return how many partitions each topic has as the broker has them now, 0 where there is none."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    try:
        await client.bootstrap()
        metadata = await client.fetch_all_metadata()
    finally:
        await client.close()
    return {topic: len(metadata.partitions_for_topic(topic) or ()) for topic in topics}


async def partitions(bootstrap: str, topic: str) -> Sequence[int]:
    """Return the partition numbers of a topic as the broker has them now; raise KafkaProblem when there is none.

    A consumer's own `partitions_for_topic` knows only topics it is subscribed to.
    """
    count = (await partition_counts(bootstrap, [topic]))[topic]
    if not count:
        raise KafkaProblem(f"topic {topic!r} does not exist; `churnwatch topics create` makes it")
    return range(count)


async def read_to_end(
    bootstrap: str,
    topic: str,
    partition: int | None = None,
    from_offset: int = 0,
    *,
    stall_timeout_s: float = 30.0,
) -> AsyncIterator[ConsumerRecord[bytes | None, bytes | None]]:
    """Yield the records of a topic from an offset to the end as it is when reading starts.

    All partitions unless one is given, each in its order; no consumer group, nothing committed.
    An offset before the log's start begins at the start, one past the end yields nothing. Raises
    KafkaStalled when nothing comes for `stall_timeout_s` although the end is not reached.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=1 << 22,
    )
    await consumer.start()
    try:
        numbers = [partition] if partition is not None else await partitions(bootstrap, topic)
        spans = await _spans(consumer, topic, partitions=numbers, from_offset=from_offset)
        consumer.assign(list(spans))
        for tp, (start, _) in spans.items():
            consumer.seek(tp, start)
        async for record in _drain(consumer, spans, stall_timeout_s=stall_timeout_s):
            yield record
    finally:
        await consumer.stop()


async def _drain(
    consumer: AIOKafkaConsumer,
    spans: Mapping[TopicPartition, tuple[int, int]],
    *,
    stall_timeout_s: float,
) -> AsyncIterator[ConsumerRecord[bytes | None, bytes | None]]:
    loop = asyncio.get_running_loop()
    last_news = loop.time()
    unread = set(spans)
    reached = {tp: start for tp, (start, _) in spans.items()}
    while unread:
        batches = await consumer.getmany(*unread, timeout_ms=int(POLL_S * 1000))
        for tp, records in batches.items():
            for record in records:
                if record.offset < spans[tp][1]:
                    yield record
        # a compacted log may end in a gap: the position tells, the last record does not
        positions = {tp: await consumer.position(tp) for tp in unread}
        if any(positions[tp] > reached[tp] for tp in unread):
            reached.update(positions)
            last_news = loop.time()
        unread = {tp for tp in unread if reached[tp] < spans[tp][1]}
        if unread and loop.time() - last_news > stall_timeout_s:
            names = ", ".join(f"{tp.topic}/{tp.partition} at {reached[tp]}" for tp in unread)
            raise KafkaStalled(f"no records for {stall_timeout_s:g} s: {names}")


async def _wait_for_leaders(bootstrap: str, topics: Sequence[Topic]) -> None:
    """Return when every partition answers: a topic exists a little before its leaders do."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    await consumer.start()
    try:
        tps = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        await consumer.end_offsets(tps)
    finally:
        await consumer.stop()


async def _spans(
    consumer: AIOKafkaConsumer, topic: str, *, partitions: Iterable[int], from_offset: int
) -> dict[TopicPartition, tuple[int, int]]:
    tps = [TopicPartition(topic, number) for number in partitions]
    starts = await consumer.beginning_offsets(tps)
    ends = await consumer.end_offsets(tps)
    spans = {tp: (max(starts[tp], from_offset), ends[tp]) for tp in tps}
    return {tp: (start, end) for tp, (start, end) in spans.items() if start < end}


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], *, replication: int, min_insync: int) -> None:
    if not topics:
        return
    answer = await admin.create_topics(
        [
            NewTopic(
                topic.name,
                topic.partitions,
                replication,
                topic_configs=topic.config(min_insync=min_insync),
            )
            for topic in topics
        ]
    )
    for name, code, *message in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another process may have been faster
            raise KafkaProblem(f"topic {name!r} can't be created: {error.__name__} {message}")


async def _differences(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> Sequence[str]:
    if not topics:
        return []
    found = await admin.describe_topics([topic.name for topic in topics])
    partitions = {entry["topic"]: len(entry["partitions"]) for entry in found}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    configs: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for _code, _message, _kind, name, entries in answer.resources:
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return [line for topic in topics for line in _lines(topic, partitions, configs)]


def _lines(topic: Topic, partitions: Mapping[str, int], configs: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    if partitions[topic.name] != topic.partitions:
        yield f"{topic.name}: {partitions[topic.name]} partitions, not {topic.partitions}"
    for key, wanted in topic.config().items():
        found = configs[topic.name].get(key)
        if found != wanted and key not in OPERATOR_SETTINGS:
            yield f"{topic.name}: {key} is {found}, not {wanted}"
