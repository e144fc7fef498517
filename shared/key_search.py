"""Find the records of one key in a partition without reading the others.

A consumer makes an object of every record. Here a batch is decompressed and searched for the key's bytes, and only one
that holds them is read (`make bench-past` compares the two).
"""

import asyncio
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka import AIOKafkaClient, TopicPartition
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import CorruptRecordException, LeaderNotAvailableError, NodeNotReadyError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.default_records import DefaultRecordBatch

FETCH_BYTES: Final = 1 << 21
FETCH_WAIT_MS: Final = 500
LATEST: Final = -1
EARLIEST: Final = -2

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
"""Of a record batch (magic 2): base offset, length, epoch, magic, crc, attributes, last offset delta, first timestamp,
greatest timestamp, producer id, epoch and sequence, count."""
_LENGTH: Final = struct.Struct(">qi")
_CODEC: Final = 0x07
_CONTROL: Final = 0x20
_DECODE: Final[Mapping[int, Callable[[bytes], bytes]]] = {
    0: lambda plain: plain,
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}


class Hit(NamedTuple):
    """A record of the key sought."""

    offset: int
    timestamp: int
    value: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What lies between two offsets: the key's records, how many records there are, and the greatest timestamp."""

    hits: tuple[Hit, ...]
    upto: int
    """The offset after the last one looked at."""
    records: int
    newest: int


class KeySearch:
    """Search partitions over one connection to Kafka. Raises KafkaError; nothing is committed, no group is joined."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._started: AIOKafkaClient | None = None

    async def start(self) -> None:
        self._started = AIOKafkaClient(bootstrap_servers=self._bootstrap)
        await self._started.bootstrap()

    async def stop(self) -> None:
        if self._started is not None:
            await self._started.close()

    @property
    def _client(self) -> AIOKafkaClient:
        if self._started is None:
            raise NodeNotReadyError("not started")
        return self._started

    async def begin(self, tp: TopicPartition) -> int:
        """Return the first offset the log holds."""
        return await self._offset(tp, EARLIEST)

    async def end(self, tp: TopicPartition) -> int:
        """Return the offset the next record will have."""
        return await self._offset(tp, LATEST)

    async def offset_at(self, tp: TopicPartition, at: int) -> int:
        """Return the first offset whose timestamp is `at` (epoch ms) or later, the log's end if there is none."""
        found = await self._offset(tp, max(0, at))
        return found if found >= 0 else await self.end(tp)

    async def next_stretch(self, tp: TopicPartition, key: bytes, *, start: int, end: int) -> Stretch:
        """Return what one fetch brings from `start` on, up to `end` (exclusive) at most."""
        node = await self._leader(tp)
        part = (tp.partition, start, FETCH_BYTES)
        request = FetchRequest(FETCH_WAIT_MS, 1, FETCH_BYTES, 0, [(tp.topic, [part])])
        response = await self._client.send(node, request)
        ((_, ((_, code, *_, fetched),)),) = response.topics
        await self._check(code, tp)
        return await asyncio.to_thread(_stretch, fetched or b"", key, start=start, end=end)

    async def all_between(self, tp: TopicPartition, key: bytes, *, start: int, end: int) -> Stretch:
        """Return everything from `start` up to `end` (exclusive), which the log must hold."""
        whole = Stretch(hits=(), upto=start, records=0, newest=-1)
        while whole.upto < end:
            whole = joined(whole, await self.next_stretch(tp, key, start=whole.upto, end=end))
        return whole

    async def _offset(self, tp: TopicPartition, at: int) -> int:
        node = await self._leader(tp)
        response = await self._client.send(node, OffsetRequest(-1, 0, [(tp.topic, [(tp.partition, at)])]))
        ((_, ((_, code, _timestamp, offset, *_),)),) = response.topics
        await self._check(code, tp)
        return int(offset)

    async def _leader(self, tp: TopicPartition) -> int:
        if self._client.cluster.leader_for_partition(tp) is None:
            await self._client.add_topic(tp.topic)
        node = self._client.cluster.leader_for_partition(tp)
        if node is None or node < 0:
            raise LeaderNotAvailableError(f"{tp.topic}/{tp.partition}")
        return int(node)

    async def _check(self, code: int, tp: TopicPartition) -> None:
        if code:
            await self._client.force_metadata_update()
            raise for_code(code)(f"{tp.topic}/{tp.partition}")


def joined(first: Stretch, second: Stretch) -> Stretch:
    """Return two stretches, of which the second follows the first, as one."""
    return Stretch(
        hits=first.hits + second.hits,
        upto=second.upto,
        records=first.records + second.records,
        newest=max(first.newest, second.newest),
    )


def _stretch(fetched: bytes, key: bytes, *, start: int, end: int) -> Stretch:
    hits: list[Hit] = []
    upto, records, newest = start, 0, -1
    sought = _varint(len(key)) + key
    for place, length in _batches(fetched):
        base, _, _, magic, _, attributes, delta, _, greatest, _, _, _, count = _HEADER.unpack_from(fetched, place)
        if base >= end:
            return Stretch(hits=tuple(hits), upto=end, records=records, newest=newest)
        if magic != 2:
            raise CorruptRecordException(f"a record batch of version {magic} at offset {base}")
        upto, records = base + delta + 1, records + count
        if attributes & _CONTROL:
            continue
        newest = max(newest, greatest)
        batch = fetched[place : place + length]
        if sought in _DECODE[attributes & _CODEC](batch[_HEADER.size :]):
            hits += _hits(batch, key, start=start, end=end)
    if upto == start:
        raise CorruptRecordException(f"no whole record batch at offset {start}")
    return Stretch(hits=tuple(hits), upto=upto, records=records, newest=newest)


def _batches(fetched: bytes) -> Iterator[tuple[int, int]]:
    """Yield place and length of every whole batch; a fetch may end within one."""
    place = 0
    while place + _HEADER.size <= len(fetched):
        length = _LENGTH.size + _LENGTH.unpack_from(fetched, place)[1]
        if place + length > len(fetched):
            return
        yield place, length
        place += length


def _hits(batch: bytes, key: bytes, *, start: int, end: int) -> Iterator[Hit]:
    for record in DefaultRecordBatch(batch):
        if record.key == key and start <= record.offset < end:
            yield Hit(record.offset, record.timestamp, record.value)


def _varint(length: int) -> bytes:
    """Return how a record writes the length of its key: zigzag, seven bits a byte, the least first."""
    left, written = length << 1, bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*written, left])
