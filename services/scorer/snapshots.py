"""Keep one full checkpoint cycle of each partition every 30 days in `churn.snapshots.v1`: where a rebuild can start.

A snapshot is the records of a cycle and its marker, whose `first_record` is an offset of this topic. One cut short has
no marker: readers pass over it, and the next cycle is written here again.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.scorer import metrics
from services.scorer.core import chunks
from services.scorer.core.days import DAY
from services.scorer.cores import Cycle, S

PERIOD: Final = 30 * DAY
NO_CYCLE: Final = -1
POLL_MS: Final = 200
FETCH_WAIT_MS: Final = 50
READ_TIMEOUT_S: Final = 30.0


class SnapshotLog(Protocol):
    """The topic as writing snapshots uses it."""

    async def end(self, partition: int) -> int: ...

    async def last_clock(self, partition: int) -> int | None: ...

    async def write(self, partition: int, value: bytes) -> int: ...


class Spender(Protocol):
    """Says when so many bytes may be written."""

    async def spend(self, size: int) -> None: ...


class SnapshotTopic:
    """The topic itself. Owns a consumer; `budget` is shared with the rolling checkpoint."""

    def __init__(self, bootstrap: str, producer: AIOKafkaProducer, *, topic: str, budget: Spender) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            auto_offset_reset="earliest",
        )
        self._producer = producer
        self._budget = budget
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()

    async def end(self, partition: int) -> int:
        """Return the log end of a partition."""
        tp = TopicPartition(self._topic, partition)
        return int((await self._consumer.end_offsets([tp]))[tp])

    async def write(self, partition: int, value: bytes) -> int:
        """Append a record and return its offset once it is durable."""
        await self._budget.spend(len(value))
        sent = await self._producer.send_and_wait(self._topic, value=value, partition=partition)
        metrics.CHECKPOINT_BYTES.inc(len(value))
        return int(sent.offset)

    async def last_clock(self, partition: int) -> int | None:
        """Return the clock of the last snapshot; None when there is none, or the last one was cut short or damaged."""
        async with self._reading, asyncio.timeout(READ_TIMEOUT_S):
            value = await self._last(TopicPartition(self._topic, partition))
        try:
            return chunks.read_marker(value).clock if chunks.kind_of(value) == "marker" else None
        except chunks.CheckpointError:
            return None

    async def _last(self, tp: TopicPartition) -> bytes:
        begin = (await self._consumer.beginning_offsets([tp]))[tp]
        end = (await self._consumer.end_offsets([tp]))[tp]
        value = b""
        if begin < end:
            self._consumer.assign([tp])
            self._consumer.seek(tp, end - 1)
            while await self._consumer.position(tp) < end:
                for record in (await self._consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ()):
                    value = record.value or b""
            self._consumer.unsubscribe()
        return value


class Snapshots:
    """The snapshots of one partition while it is ours."""

    def __init__(self, topic: SnapshotLog, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self._is_known = False
        self._last: int | None = None
        self._first = NO_CYCLE

    async def is_due(self, clock: int | None) -> bool:
        """Say whether the next cycle is a snapshot too: the first one with a clock, then one every 30 days of it."""
        if clock is None:
            return False
        if not self._is_known:
            self._last, self._is_known = await self._topic.last_clock(self._partition), True
        return self._last is None or clock // PERIOD > self._last // PERIOD

    def begin(self) -> None:
        """Forget what was written of a snapshot that was cut short."""
        self._first = NO_CYCLE

    async def write(self, records: Sequence[bytes]) -> None:
        """Append the records of a chunk."""
        for value in records:
            offset = await self._topic.write(self._partition, value)
            self._first = offset if self._first == NO_CYCLE else self._first

    async def close(self, cycle: Cycle[S], *, clock: int | None) -> None:
        """Append the marker; `clock` is the partition's at the cycle's base."""
        first = await self._topic.end(self._partition) if self._first == NO_CYCLE else self._first
        await self._topic.write(self._partition, cycle.marker(first_record=first, previous=NO_CYCLE))
        self._last = clock
