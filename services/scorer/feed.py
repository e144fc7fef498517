"""Feed Faust whole batches: what one poll brought of one partition becomes one Faust event.

Stock Faust pays its price per record; here it is paid per batch. Everything else stays Faust's: subscription,
assignment, rebalance, flow control, agents, commits. What differs on purpose:

- positions come from the owner of the state (its checkpoint), never from the group's commit;
- before partitions are revoked, work in hand is finished and committed, bounded in time;
- commits follow the acknowledged prefix of the batches handed out, with no notion of gaps between offsets.

It leans on names inside Faust: `check_faust` compares each with what was read when this was written, and a process
refuses to start when one has changed.
"""

import asyncio
import contextlib
import inspect
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import faust
import numpy as np
import structlog
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.utils.queues import FlowControlEvent

from services.scorer.core.batch import Batch
from shared.tasks import cancel

COMMIT_TIMEOUT_S: Final = 5.0
QUEUED_BATCHES: Final = 4
"""Faust's queue counts batches here: its default of 4,096 would be gigabytes."""

log = structlog.get_logger(__name__)

Records = Sequence[ConsumerRecord[bytes | None, bytes | None]]


class FeedMismatch(RuntimeError):
    """Faust is not as it was when the feed was written; `differences` names each change."""

    def __init__(self, differences: Sequence[str]) -> None:
        words = "; ".join(differences)
        super().__init__(f"faust-streaming differs from what the batch feed stands on (pin 0.15.3): {words}")
        self.differences = differences


class Owner(Protocol):
    """Whoever owns the state of partitions."""

    def expect(self, partitions: Collection[int]) -> Collection[int]:
        """Note which partitions are assigned and will be taken; return those that take no time."""

    async def take(self, partition: int) -> int:
        """Make the state of an assigned partition ready and return the offset to continue at."""

    async def release(self) -> None:
        """Finish what is in hand, bounded in time, and give up every partition."""

    def fail(self, fault: BaseException) -> None:
        """End the process: nobody planned for this."""


def batch_of(records: Records, *, generation: int, since: int = 0) -> Batch:
    """Put the records of one poll of one partition (at least one) into columns and one buffer."""
    n = len(records)
    parts = [record.key for record in records] + [record.value for record in records]
    whole, lengths = _joined(parts)
    starts = np.cumsum(lengths) - lengths
    if None in parts:
        lengths[[row for row, part in enumerate(parts) if part is None]] = -1
    return Batch(
        topic=records[0].topic,
        partition=records[0].partition,
        generation=generation,
        since=since,
        data=whole,
        offsets=np.fromiter([record.offset for record in records], np.int64, n),
        timestamps=np.fromiter([record.timestamp for record in records], np.int64, n),
        key_start=starts[:n],
        key_length=lengths[:n],
        value_start=starts[n:],
        value_length=lengths[n:],
        headers={row: tuple(record.headers) for row, record in enumerate(records) if record.headers},
    )


def _joined(parts: Sequence[bytes | None]) -> tuple[bytes, Any]:
    present = [part or b"" for part in parts]
    return b"".join(present), np.fromiter(map(len, present), np.int64, len(present))


class BatchConsumer(driver.Consumer):
    """Faust's consumer, handing out batches.

    `_spans` holds, per partition, the last offset of each batch handed out and not yet committed, in order;
    `_next` the next offset to hand out, for partitions whose state is ready; `_gaps` where a fetch began behind that.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._spans: defaultdict[TP, deque[int]] = defaultdict(deque)
        self._next: dict[TP, int] = {}
        self._gaps: dict[TP, tuple[int, int]] = {}
        self._taking: asyncio.Task[None] | None = None
        super().__init__(*args, **kwargs)
        _refuse(_missing_attributes(self))

    @property
    def _owner(self) -> Owner:
        return cast("BatchApp", self.app).owner

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109  Faust's
        """Yield one message a partition, its value a Batch; records nobody may have are read again later."""
        found, _active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        for tp_found, records in (found or {}).items():
            # `_next` is refilled after every rebalance, so what is dropped here is fetched again
            if self.should_stop or not self.flow_active or self.app.consumer_generation_id != generation:
                return
            tp = TP(tp_found.topic, tp_found.partition)
            fresh = self._fresh(tp, records)
            if fresh and await self._follows(tp, fresh[0].offset):
                self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
                yield tp, self._message(tp, batch_of(fresh, generation=generation, since=self._next[tp]))

    def _fresh(self, tp: TP, records: Records) -> Records:
        due = self._next.get(tp)
        if due is None:
            return ()
        if records[0].offset < due:  # fetched before the seek
            records = [record for record in records if record.offset >= due]
        return records

    async def _follows(self, tp: TP, first: int) -> bool:
        """Say whether nothing lies between what was handed out and `first`; what seems to be a gap is fetched again.

        A fetch on its way while a position is sought brings later records, or takes ours away with it. A gap that a
        transaction or retention left is still there the second time.
        """
        gap = (self._next[tp], first)
        if first <= self._next[tp] or self._gaps.pop(tp, None) == gap:
            return True
        log.info("gap_fetched_again", partition=tp.partition, due=gap[0], first=first)
        self._gaps[tp] = gap
        await self.seek_wait({tp: gap[0]})
        return False

    def _message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        last = int(batch.offsets[-1])
        self._next[tp] = last + 1
        self._spans[tp].append(last)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last,
            float(batch.timestamps[-1]) / 1000,
            1,
            None,
            None,
            cast("bytes", batch),  # what BatchSchema hands through
            None,
            0,
            0,
            tp,
            generation_id=batch.generation,
        )

    async def perform_seek(self) -> None:
        """Take the assigned partitions. Those kept flow on at once, the others when all of them are loaded.

        Scoring what came meanwhile is cheapest all at once, and would only slow the loading down. Returns at once:
        Faust bounds this call by a request's time-out, and goes on without a word when it passes.
        """
        await self._stop_taking()
        self._spans.clear()
        self._next.clear()
        assigned = {TP(tp.topic, tp.partition) for tp in self.assignment()}
        self.pause_partitions(assigned)
        kept = self._owner.expect([tp.partition for tp in assigned])
        loaded = {tp for tp in assigned if tp.partition not in kept}
        order = [assigned - loaded, loaded]
        self._taking = asyncio.create_task(self._take(order, self.app.consumer_generation_id))

    async def _take(self, order: Iterable[Collection[TP]], generation: int) -> None:
        try:
            for together in order:
                positions = {}
                for tp in sorted(together):
                    positions[tp] = await self._owner.take(tp.partition)
                    if self.app.consumer_generation_id != generation:
                        return
                await self._flow(positions)
        except Exception as fault:  # noqa: BLE001  a task has nobody else to tell
            self._owner.fail(fault)

    async def _flow(self, positions: Mapping[TP, int]) -> None:
        await self.seek_wait(dict(positions))
        for tp in positions:
            self._forget_acks(tp)
        self._next.update(positions)
        self.resume_partitions(set(positions))

    def _forget_acks(self, tp: TP) -> None:
        # a replay begins before the group's commit: with that remembered, its acks would be ignored for ever
        self._committed_offset[tp] = None
        self._read_offset[tp] = None
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)

    async def _stop_taking(self) -> None:
        task, self._taking = self._taking, None
        if task is not None:
            await cancel([task])

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish and commit what is in hand before Faust forgets the acknowledgements."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self.settle()
        await super().on_partitions_revoked(revoked)

    async def settle(self) -> None:
        """Stop taking partitions, let the owner finish, and commit; at most five seconds for the commit."""
        await self._stop_taking()
        await self._owner.release()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await self.commit()
        self._spans.clear()
        self._next.clear()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Ignore gaps between offsets: the offsets Faust sees are the last ones of batches."""

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset after the acknowledged prefix of the batches handed out, None if there is none."""
        spans, acked, new = self._spans[tp], self._acked_index[tp], None
        while spans and spans[0] in acked:
            last = spans.popleft()
            acked.discard(last)
            new = last + 1
        self._acked[tp][:] = sorted(acked)
        return new


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = BatchConsumer


class BatchSchema(faust.Schema[Any, Any]):
    """Hand the batch through as it is."""

    def loads_key(self, app: Any, message: Any, **_options: Any) -> None:
        """Return None: a batch has no key."""

    def loads_value(self, app: Any, message: Any, **_options: Any) -> Any:  # noqa: ARG002  Faust's signature
        """Return the batch."""
        return message.value


class BatchApp(faust.App):
    """A Faust app whose agents get batches; `owner` owns the state of partitions, `closing` is awaited at the end."""

    owner: Owner
    closing: Callable[[], Awaitable[None]] | None = None

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    async def on_stop(self) -> None:
        """Settle before agents and consumer are stopped, or a clean stop would replay."""
        consumer = cast("BatchConsumer | None", self._consumer)
        if consumer is not None:
            consumer.stop_flow()
            await consumer.settle()
        await super().on_stop()
        if self.closing is not None:
            await self.closing()


_SIGNATURES: Final[Sequence[tuple[type, str, str]]] = (
    (driver.Consumer, "getmany", "self timeout"),
    (driver.Consumer, "perform_seek", "self"),
    (driver.Consumer, "on_partitions_revoked", "self revoked"),
    (driver.Consumer, "commit", "self topics start_new_transaction"),
    (driver.Consumer, "ack", "self message"),
    (driver.Consumer, "stop_flow", "self"),
    (driver.Consumer, "assignment", "self"),
    (driver.Consumer, "highwater", "self tp"),
    (driver.Consumer, "seek_wait", "self partitions"),
    (driver.Consumer, "pause_partitions", "self tps"),
    (driver.Consumer, "resume_partitions", "self tps"),
    (driver.Consumer, "_wait_next_records", "self timeout"),
    (driver.Consumer, "_new_offset", "self tp"),
    (driver.Consumer, "_add_gap", "self tp offset_from offset_to"),
    (driver.Transport, "__init__", "self args kwargs"),
    (faust.App, "_new_transport", "self"),
    (faust.App, "on_stop", "self"),
    (faust.Schema, "loads_key", "self app message loads serializer"),
    (faust.Schema, "loads_value", "self app message loads serializer"),
    (faust.Stream, "noack", "self"),
    (faust.Stream, "events", "self"),
    (faust.Event, "ack", "self"),
    (FlowControlEvent, "suspend", "self"),
    (FlowControlEvent, "clear", "self"),
    (
        ConsumerMessage,
        "__init__",
        (
            "self topic partition offset timestamp timestamp_type headers key value checksum serialized_key_size"
            " serialized_value_size tp time_in time_out time_total generation_id"
        ),
    ),
)
_ATTRIBUTES: Final = ("flow_active", "_read_offset", "_acked", "_acked_index", "_committed_offset")


def check_faust(signatures: Sequence[tuple[type, str, str]] = _SIGNATURES) -> None:
    """Raise FeedMismatch naming every name or signature of Faust's that is not as the feed expects."""
    differences = []
    for owner, name, expected in signatures:
        method: Callable[..., Any] | None = getattr(owner, name, None)
        found = None if method is None else " ".join(inspect.signature(method).parameters)
        if found is None:
            differences.append(f"{owner.__name__}.{name} is missing")
        elif found != expected:
            differences.append(f"{owner.__name__}.{name}({found}), not ({expected})")
    if driver.Transport.Consumer is not driver.Consumer:
        differences.append("Transport.Consumer names another class")
    _refuse(differences)


def _missing_attributes(consumer: object) -> Sequence[str]:
    return [f"Consumer.{name} is missing" for name in _ATTRIBUTES if not hasattr(consumer, name)]


def _refuse(differences: Sequence[str]) -> None:
    if differences:
        raise FeedMismatch(differences)
