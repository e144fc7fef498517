"""Put records into Kafka and return only when every one of them is acknowledged.

NotDurable       not every record is known to be in Kafka; sending the same again is safe
├── Overloaded   too much is waiting for acknowledgement already
└── Closed       events can't be taken just now (places.py)
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from shared import kafka

DEADLINE_S: Final = 5.0
MAX_HELD_BYTES: Final = 64 << 20
RECORD_OVERHEAD: Final = 100
RECONNECT_S: Final = 1.0
STOP_S: Final = 5.0

Headers = Sequence[tuple[str, bytes]]
Sending = Callable[[AIOKafkaProducer], Coroutine[object, object, None]]
Place = tuple[str, int]
"""Name of a topic as the broker has it, and partition."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record to be: the key decides its partition."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()
    at: int | None = None
    """Its CreateTime (epoch ms), where the topic keeps what the sender says."""


class NotDurable(Exception):
    """Not every record is known to be in Kafka."""

    retry_can_help = True
    retry_after_s = 2


class Overloaded(NotDurable):
    """Too much is waiting for acknowledgement already."""

    retry_after_s = 1


class Publisher(Protocol):
    """Where admitted events go."""

    async def publish(self, records: Sequence[Record]) -> None:
        """Return when all records are durable; raise NotDurable when that is not known."""

    async def publish_in_order(self, topic: str, records: Sequence[tuple[str, bytes]]) -> None:
        """Publish (key, value) so that each partition gets its own in this order, packed: a quarter of the cost."""


class KafkaPublisher:
    """Own the idempotent producer: connect it, replace it when it broke, hold no more than a bound in flight.

    A record whose acknowledgement did not come in time may still arrive later: the sender's retry
    then makes a second one with the same id, which the scorer takes for what it is.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        place: Callable[[str, bytes], Place],
        deadline_s: float = DEADLINE_S,
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        self.connected = asyncio.Event()
        self._bootstrap = bootstrap
        self._place = place
        self._deadline_s = deadline_s
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0
        self._producer: AIOKafkaProducer | None = None
        self._broken = asyncio.Event()
        self._sends: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Keep a producer connected until cancelled."""
        while True:
            producer = kafka.producer(self._bootstrap)
            try:
                await producer.start()
                self._producer = producer
                self._broken.clear()
                self.connected.set()
                await self._broken.wait()
            except KafkaError as fault:
                structlog.get_logger(__name__).warning("producer_not_connected", fault=repr(fault))
            finally:
                self.connected.clear()
                self._producer = None
                await _stop(producer)
            await asyncio.sleep(RECONNECT_S)

    async def publish(self, records: Sequence[Record]) -> None:
        """Return when all records are acknowledged; raise Overloaded, Closed or NotDurable within the deadline."""
        size = sum(len(record.value or b"") + len(record.key) + RECORD_OVERHEAD for record in records)
        placed = [(record, self._place(record.topic, record.key)) for record in records]
        await self._held(lambda producer: _send(producer, placed), size)

    async def publish_in_order(self, topic: str, records: Sequence[tuple[str, bytes]]) -> None:
        """Return when all (key, value) are acknowledged; raise Overloaded, Closed or NotDurable within the deadline."""
        size = sum(len(key) + len(value) + RECORD_OVERHEAD for key, value in records)
        placed: dict[Place, list[tuple[bytes, bytes]]] = {}
        for name, value in records:
            key = name.encode()
            placed.setdefault(self._place(topic, key), []).append((key, value))
        await self._held(lambda producer: _send_packed(producer, placed), size)

    async def _held(self, sending: Sending, size: int) -> None:
        if self._held_bytes + size > self._max_held_bytes:
            raise Overloaded("too much is in flight")
        if self._producer is None:
            raise NotDurable("kafka is not connected")
        self._held_bytes += size
        send = asyncio.create_task(sending(self._producer))
        self._sends.add(send)
        send.add_done_callback(lambda task: self._released(task, size))
        await asyncio.wait({send}, timeout=self._deadline_s)
        if not send.done():
            raise NotDurable("kafka did not acknowledge in time")
        if send.cancelled() or send.exception() is not None:
            raise NotDurable("kafka refused a record")

    def _released(self, send: asyncio.Task[None], size: int) -> None:
        self._sends.discard(send)
        self._held_bytes -= size
        fault = None if send.cancelled() else send.exception()
        if fault is not None:
            structlog.get_logger(__name__).warning("publish_failed", fault=repr(fault))
            if not isinstance(fault, KafkaTimeoutError):
                self._broken.set()


async def _send(producer: AIOKafkaProducer, placed: Sequence[tuple[Record, Place]]) -> None:
    acknowledged = [
        await producer.send(
            topic,
            record.value,
            key=record.key,
            partition=partition,
            headers=list(record.headers),
            timestamp_ms=record.at,
        )
        for record, (topic, partition) in placed
    ]
    await _all_acknowledged(acknowledged)


async def _send_packed(producer: AIOKafkaProducer, placed: Mapping[Place, Sequence[tuple[bytes, bytes]]]) -> None:
    acknowledged = []
    for (topic, partition), mine in placed.items():
        builder = producer.create_batch()
        for key, value in mine:
            if builder.append(key=key, value=value, timestamp=None) is None:
                acknowledged.append(await producer.send_batch(builder, topic, partition=partition))
                builder = producer.create_batch()
                builder.append(key=key, value=value, timestamp=None)
        builder.close()
        acknowledged.append(await producer.send_batch(builder, topic, partition=partition))
    await _all_acknowledged(acknowledged)


async def _all_acknowledged(acknowledged: Sequence[Awaitable[object]]) -> None:
    for answer in await asyncio.gather(*acknowledged, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(STOP_S):
            await producer.stop()
    except (TimeoutError, KafkaError) as fault:
        structlog.get_logger(__name__).warning("producer_not_flushed", fault=repr(fault))
