"""Send events on once their account is known: follow `churn.unattributed.v1` and what is learned of users.

The processes of one deployment share the topic's partitions by a consumer group that commits nothing:
whoever gets a partition reads it from its start. An empty record under a user's key says that what lies
before the offset in its header `upto` has been sent on:

    offset   0: u1 Signed In    1: u2 Export    2: u1 Export    3: u1 (empty, upto 2)    4: u1 Export
    waiting                     u2: 1                                                    u1: 4

So nothing is sent before a partition is read to the end it had at the start. A crash between sending and
the empty record sends again with the same ids, which the scorer takes for duplicates.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from services.ingest.core.admission import attributed
from services.ingest.core.identity import Belonging
from services.ingest.metrics import Metrics
from shared.contracts.events import Event
from shared.contracts.partition import partition_of
from shared.contracts.topics import EVENTS, PARTITIONS, UNATTRIBUTED
from shared.kafka import METADATA_MAX_AGE_MS
from shared.publish import NotDurable, Publisher, Record

GROUP: Final = "churnwatch-ingest-unattributed"
UPTO: Final = "upto"
POLL_MS: Final = 200
RETRY_S: Final = 1.0
READ_TIMEOUT_S: Final = 10.0
MAX_WAITING: Final = 2_000_000
"""Offsets kept in memory; what comes above is found again at the next start or rebalance."""
MAX_EVENTS_AT_ONCE: Final = 1_000
SEEK_GAP: Final = 500
"""Offsets below which reading on is cheaper than a new fetch."""

Kept: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"


class Resender(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka publishes no types
    """Own this process's share of the events that wait for an account."""

    def __init__(
        self,
        bootstrap: str,
        *,
        known: Callable[[str], Belonging | None],
        publisher: Publisher,
        metrics: Metrics,
        group: str = GROUP,
        max_poll_records: int | None = None,
    ) -> None:
        self._bootstrap = bootstrap
        self._known = known
        self._publisher = publisher
        self._metrics = metrics
        self._group = group
        self._max_poll_records = max_poll_records
        self._waiting: dict[str, list[int]] = {}
        self._size = 0
        self._due: set[str] = set()
        self._unread: dict[TopicPartition, int] = {}
        self._assigned: set[TopicPartition] = set()

    def learned(self, user: str) -> None:
        """Note that a user's account is known now."""
        if user in self._waiting:
            self._due.add(user)

    async def run(self) -> None:
        """Follow and send on until cancelled; begin again after a fault."""
        while True:
            try:
                await self._session()
            except (KafkaError, NotDurable) as fault:
                structlog.get_logger(__name__).warning("resender_restarts", fault=repr(fault))
            await asyncio.sleep(RETRY_S)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:  # noqa: ARG002  aiokafka's name
        """Forget everything: whoever gets a partition reads it from its start."""
        self._forget()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Begin at the start of each partition; `_session` learns where its end is."""
        self._forget()
        self._assigned = set(assigned)

    async def _session(self) -> None:
        consumer = self._consumer(group=self._group)
        reader = self._consumer(group=None)
        try:
            await reader.start()
            await consumer.start()
            consumer.subscribe([UNATTRIBUTED], listener=self)
            while True:
                await self._poll(consumer)
                if self._due and not self._unread and not self._assigned:
                    await self._send_due(reader)
        finally:
            self._forget()
            await consumer.stop()
            await reader.stop()

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=POLL_MS)
        if self._assigned:
            assigned, self._assigned = self._assigned, set()
            self._unread = dict(await consumer.end_offsets(list(assigned)))
        for records in fetched.values():
            for record in records:
                self._note(record)
        if self._unread:
            ends = self._unread
            self._unread = {tp: end for tp, end in ends.items() if await consumer.position(tp) < end}
        self._metrics.waiting.set(self._size)

    def _note(self, record: Kept) -> None:
        if record.key is None:
            return
        user = record.key.decode("utf-8", "replace")
        if record.value is None:
            self._done(user, upto=_upto(record))
        elif self._size < MAX_WAITING:
            self._waiting.setdefault(user, []).append(record.offset)
            self._size += 1
            if self._known(user) is not None:
                self._due.add(user)

    async def _send_due(self, reader: AIOKafkaConsumer) -> None:
        by_partition: dict[int, dict[int, str]] = {}
        room = MAX_EVENTS_AT_ONCE
        for user in list(self._due):
            offsets = self._waiting.get(user, [])[:room]
            if not offsets or self._known(user) is None:
                self._due.discard(user)
                continue
            room -= len(offsets)
            partition = partition_of(user.encode(), partitions=PARTITIONS)
            by_partition.setdefault(partition, {}).update(dict.fromkeys(offsets, user))
            if room == 0:
                break
        for partition, wanted in by_partition.items():
            await self._send(await _read(reader, TopicPartition(UNATTRIBUTED, partition), wanted=wanted), wanted)

    async def _send(self, found: Sequence[Kept], wanted: Mapping[int, str]) -> None:
        events = [_event_record(record, told=self._known(wanted[record.offset])) for record in found]
        sendable = [event for event in events if event is not None]
        upto: dict[str, int] = {}
        for offset, user in wanted.items():
            upto[user] = max(offset, upto.get(user, 0))
        await self._publisher.publish(sendable)
        await self._publisher.publish([_done_record(user, offset) for user, offset in upto.items()])
        self._metrics.resent.inc(len(sendable))
        for user, offset in upto.items():
            self._done(user, upto=offset)

    def _done(self, user: str, *, upto: int) -> None:
        before = self._waiting.pop(user, [])
        after = [offset for offset in before if offset > upto]
        self._size -= len(before) - len(after)
        if after:
            self._waiting[user] = after

    def _forget(self) -> None:
        self._waiting.clear()
        self._due.clear()
        self._unread.clear()
        self._size = 0

    def _consumer(self, *, group: str | None) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=10_000,
            heartbeat_interval_ms=3_000,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            max_poll_records=self._max_poll_records,
        )


async def _read(reader: AIOKafkaConsumer, tp: TopicPartition, *, wanted: Mapping[int, str]) -> Sequence[Kept]:
    """Return the records at the wanted offsets; those whose time ran out are left out."""
    reader.assign([tp])
    left = sorted(wanted, reverse=True)
    found: list[Kept] = []
    reader.seek(tp, left[-1])
    async with asyncio.timeout(READ_TIMEOUT_S):
        while left:
            for record in (await reader.getmany(tp, timeout_ms=POLL_MS)).get(tp, ()):
                while left and left[-1] < record.offset:
                    left.pop()
                if left and left[-1] == record.offset:
                    found.append(record)
                    left.pop()
            if left and left[-1] > await reader.position(tp) + SEEK_GAP:
                reader.seek(tp, left[-1])
    return found


def _event_record(record: Kept, *, told: Belonging | None) -> Record | None:
    try:
        event = _DECODER.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        where = {"partition": record.partition, "offset": record.offset}
        structlog.get_logger(__name__).exception("unattributed_unreadable", **where)
        return None
    if told is None:
        return None
    return Record(topic=EVENTS, key=told.account.encode(), value=_ENCODER.encode(attributed(event, told.account)))


def _done_record(user: str, upto: int) -> Record:
    return Record(topic=UNATTRIBUTED, key=user.encode(), value=None, headers=[(UPTO, str(upto).encode())])


def _upto(record: Kept) -> int:
    said = dict(record.headers or ()).get(UPTO, b"")
    return int(said) if said.isdigit() else -1


_DECODER: Final = msgspec.json.Decoder(Event)
_ENCODER: Final = msgspec.json.Encoder()
