"""Keep the state of partitions in `churn.activity.v1` (of our generation) as a rolling checkpoint, and read it back.

    offsets   [ cycle j ............ marker ][ cycle k ............ marker ][ cycle k+1 .....
    kept      from here on, once the marker of k is durable    recovery reads from the start of k

A cycle is every chunk of a partition, each under its own `upto`, spread over seconds between batches; its marker is
written after all its chunks are durable. A chunk is sent only when the outputs of everything it contains are durable.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import CorruptRecordException, KafkaError, OffsetOutOfRangeError

from services.scorer import metrics
from services.scorer.core.chunks import REMEDY, CheckpointError, is_damaged
from services.scorer.core.cycles import last_of, values_from
from services.scorer.cores import Core, Cycle, Marker, S, State
from services.scorer.snapshots import Snapshots

MOST_BYTES_PER_S: Final = 40_000_000
QUIET_S: Final = 300.0
"""Between cycles when only ticks came: their replay takes no time."""
POLL_MS: Final = 200
FETCH_BYTES: Final = 8 << 20
FETCH_WAIT_MS: Final = 50
ASSUMED_CHUNKS: Final = 50
NO_CYCLE: Final = -1
WRITER: Final = uuid.uuid4().hex[:8]
"""Tells our cycles from those of another process that still believes it owns the partition."""

Records = Sequence[tuple[int, bytes]]
"""Offsets and values of records, in log order."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[S]):
    """What the topic held of a partition: no state if there is no complete cycle; `end` is the log end then."""

    state: S | None
    end: int
    first: int = NO_CYCLE
    """First offset of the cycle the state came from."""
    mirrored: bool = False
    """Whether Redis had every health of the state when its cycle was closed."""


class Budget:
    """Bytes a second that all partitions of a process share."""

    def __init__(self, bytes_per_s: int = MOST_BYTES_PER_S) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_at = 0.0

    async def spend(self, size: int) -> None:
        """Return when `size` bytes may be written."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + size / self._bytes_per_s
        await asyncio.sleep(max(0.0, self._free_at - size / self._bytes_per_s - now))


class Activity:
    """The topic itself: reads, writes and trims it. Owns two consumers and an admin client.

    Ends are asked for by a consumer that reads nothing: behind a fetch the broker would answer half a second later.
    """

    def __init__(self, bootstrap: str, producer: AIOKafkaProducer, *, topic: str) -> None:
        self.topic = topic
        self._offsets = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self._producer = producer
        self._reading = asyncio.Lock()
        self.budget = Budget()

    async def start(self) -> None:
        for client in (self._offsets, self._consumer, self._admin):
            await client.start()

    async def stop(self) -> None:
        await self._offsets.stop()
        await self._consumer.stop()
        await self._admin.close()

    async def end(self, partition: int) -> int:
        """Return the log end of a partition."""
        return (await self._span(partition))[1]

    async def write(self, partition: int, value: bytes) -> int:
        """Append a record and return its offset once it is durable."""
        await self.budget.spend(len(value))
        sent = await self._producer.send_and_wait(self.topic, value=value, partition=partition)
        metrics.CHECKPOINT_BYTES.inc(len(value))
        return int(sent.offset)

    async def trim(self, partition: int, *, before: int) -> None:
        """Delete what lies before an offset; a failure is logged and made up for by the next cycle."""
        try:
            await self._admin.delete_records({TopicPartition(self.topic, partition): RecordsToDelete(before)})
        except (KafkaError, OSError, TimeoutError) as fault:
            log.warning("checkpoint_trim_failed", partition=partition, before=before, fault=repr(fault))

    async def read(self, partition: int, *, progress: Callable[[], None]) -> tuple[Records, int]:
        """Return what the topic holds of a partition, and its log end; `progress` is called as records come."""
        async with self._reading:
            return await self._read(partition, progress)

    async def _read(self, partition: int, progress: Callable[[], None]) -> tuple[Records, int]:
        while True:
            try:
                return await self._read_once(partition, progress)
            except OffsetOutOfRangeError:  # another process, still believing it is the owner, trimmed while we read
                log.warning("checkpoint_trimmed_while_read", partition=partition)
                progress()
            except CorruptRecordException:
                raise CheckpointError(f"a record differs from kafka's own checksum: {REMEDY}") from None

    async def _read_once(self, partition: int, progress: Callable[[], None]) -> tuple[Records, int]:
        start, end = await self._span(partition)
        records: list[tuple[int, bytes]] = []
        if start == end:
            return records, end
        tp = TopicPartition(self.topic, partition)
        self._consumer.assign([tp])
        self._consumer.seek(tp, start)
        while await self._consumer.position(tp) < end:
            for record in (await self._consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ()):
                progress()
                if record.value is not None:
                    records.append((record.offset, record.value))
        self._consumer.unsubscribe()  # or it would go on fetching what we write
        return records, end

    async def _span(self, partition: int) -> tuple[int, int]:
        tp = TopicPartition(self.topic, partition)
        starts = await self._offsets.beginning_offsets([tp])
        ends = await self._offsets.end_offsets([tp])
        return int(starts[tp]), int(ends[tp])


class ActivityLog(Protocol):
    """The checkpoint's topic as loading and cycles use it."""

    topic: str

    async def end(self, partition: int) -> int: ...

    async def read(self, partition: int, *, progress: Callable[[], None]) -> tuple[Records, int]: ...

    async def write(self, partition: int, value: bytes) -> int: ...

    async def trim(self, partition: int, *, before: int) -> None: ...


async def load(activity: ActivityLog, core: Core[S], *, partition: int, progress: Callable[[], None]) -> Loaded[S]:
    """Read the last complete cycle of a partition and what follows it, and rebuild the state from it.

    Raises CheckpointError, which names where and the remedy, when a record is damaged or missing.
    """
    records: Records = ()
    try:
        records, end = await activity.read(partition, progress=progress)
        marker = last_marker(records, core)
        if marker is None:
            return Loaded(state=None, end=end)
        values = values_from(marker.first_record, records, marker_of=core.marker_of)
        state = await asyncio.to_thread(core.restore, values, partition=partition)
    except CheckpointError as fault:
        raise CheckpointError(f"{activity.topic}/{partition}{_first_damaged(records)}: {fault}") from None
    return Loaded(state=state, end=end, first=marker.first_record, mirrored=marker.mirrored)


def _first_damaged(records: Records) -> str:
    return next((f" at offset {offset}" for offset, value in records if is_damaged(value)), "")


class Cycles(Generic[S]):
    """The rolling checkpoint of one partition while it is ours.

    `whole` is held while the state is between two batches. `durable` waits until the outputs up to an offset are
    durable, and says whether Redis has theirs, too. `end` is the offset after the last record written by us: as long as
    the log ends there, nobody else wrote, and the state may be kept over a rebalance.
    """

    def __init__(  # noqa: PLR0913  a cycle goes from here to there, through all of these
        self,
        activity: ActivityLog,
        core: Core[S],
        state: S,
        *,
        whole: asyncio.Lock,
        loaded: Loaded[S],
        durable: Callable[[int], Awaitable[bool]],
        cycle_s: float,
        snapshots: Snapshots | None = None,
    ) -> None:
        self.end = loaded.end
        self._activity = activity
        self._core = core
        self._state = state
        self._whole = whole
        self._partition = state.partition
        self._durable = durable
        self._cycle_s = cycle_s
        self._snapshots = snapshots
        self.first = loaded.first
        self._chunks = ASSUMED_CHUNKS
        self._closed_at = time.monotonic()
        self._known = (state.position, _events(state))
        self._is_alone = True
        """Whether nobody else wrote here since it was last made sure that nobody is ahead of us."""

    async def run(self) -> None:
        """Write cycles until cancelled; a cycle cut short is simply no cycle."""
        while True:
            await asyncio.sleep(self._cycle_s / 10)
            if self._is_due() or await self._is_snapshot_due():
                await self._cycle()

    async def _is_snapshot_due(self) -> bool:
        has_waited = time.monotonic() - self._closed_at >= self._cycle_s
        return has_waited and self._snapshots is not None and await self._snapshots.is_due(self._state.clock)

    def _is_due(self) -> bool:
        waited_s = time.monotonic() - self._closed_at
        position, events = self._known
        if _events(self._state) != events:
            return waited_s >= self._cycle_s
        return self._state.position != position and waited_s >= max(QUIET_S, self._cycle_s)

    async def _cycle(self) -> None:
        snapshot = self._snapshots if await self._is_snapshot_due() else None
        if snapshot:
            snapshot.begin()
        async with self._whole:
            known, clock = (self._state.position, _events(self._state)), self._state.clock
            cycle = self._core.begin(self._state, writer=WRITER)
        first, written = self.end, 0
        while (records := await self._next_of(cycle)) is not None:
            await self._durable(self._state.position)
            offsets = [await self._write(record) for record in records]
            if snapshot:
                await snapshot.write(records)
            first = offsets[0] if written == 0 else first
            written += 1
            await asyncio.sleep(self._cycle_s / max(self._chunks, 1))
        mirrored = await self._durable(self._state.position)
        if snapshot:
            await snapshot.close(cycle, clock=clock)
        await self._write(cycle.marker(first_record=first, previous=self.first, mirrored=mirrored))
        before, self.first = self.first, first
        self._known, self._chunks, self._closed_at = known, written, time.monotonic()
        metrics.CHECKPOINT_AT.labels(str(self._partition)).set_to_current_time()
        if before != NO_CYCLE and (self._is_alone or await self._is_ahead(base=known[0])):
            await self._activity.trim(self._partition, before=before)

    async def _next_of(self, cycle: Cycle[S]) -> Sequence[bytes] | None:
        async with self._whole:
            return cycle.next(self._state)

    async def _is_ahead(self, *, base: int) -> bool:
        """Say whether no other process began a later cycle: what is stale must not delete what is not.

        One that begins after this was read lies behind what would be deleted.
        """
        records, _ = await self._activity.read(self._partition, progress=lambda: None)
        bases = [found for _, value in records if (found := self._core.base_of(value)) is not None]
        self._is_alone = max(bases, default=base) <= base
        if not self._is_alone:
            log.warning("checkpoint_of_another_is_ahead", partition=self._partition, base=base)
        return self._is_alone

    async def _write(self, value: bytes) -> int:
        offset = await self._activity.write(self._partition, value)
        self._is_alone &= offset == self.end
        self.end = offset + 1
        return offset


def _events(state: State) -> int:
    counts = state.counts
    return sum(number for fate, number in counts.items() if fate != "ticks")


def last_marker(records: Records, core: Core[S]) -> Marker | None:
    """Return the marker of the complete cycle with the highest base, None without one."""
    markers = [marker for _, value in records if (marker := core.marker_of(value)) is not None]
    return last_of(markers, held=records[0][0] if records else 0)
