"""What the scorer stands on in Faust, against a real broker: order, commits, hand-over, positions of our own."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.scorer.app import faust_app
from services.scorer.core.batch import Batch
from services.scorer.feed import BatchApp, BatchConsumer
from shared.contracts.topics import Topic
from tests.support.waiting import soon

PARTITIONS = 2
MakeTopic = Callable[[Topic], Awaitable[str]]


class Ledger:
    """What happened, over any number of workers: the offsets applied of each partition, in order."""

    def __init__(self) -> None:
        self.applied: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}
        self.batches: list[Batch] = []
        self.faults: list[BaseException] = []

    def position(self, partition: int) -> int:
        return self.applied[partition][-1] + 1 if self.applied[partition] else 0

    def total(self) -> int:
        return sum(map(len, self.applied.values()))


class Worker:
    """A worker whose state is the ledger: it continues where the ledger ends, like a scorer with its checkpoint."""

    def __init__(self, ledger: Ledger, *, acknowledges: bool = True, pause_s: float = 0.0) -> None:
        self.ledger = ledger
        self.acknowledges = acknowledges
        self.pause_s = pause_s
        self.mine: set[int] = set()
        self.released = 0
        self.kept: set[int] = set()
        self.loads = {partition: asyncio.Event() for partition in range(PARTITIONS)}
        for load in self.loads.values():
            load.set()
        self._idle = asyncio.Event()
        self._idle.set()

    def expect(self, partitions: Collection[int]) -> Collection[int]:
        return self.kept & set(partitions)

    async def take(self, partition: int) -> int:
        await self.loads[partition].wait()
        self.mine.add(partition)
        return self.ledger.position(partition)

    async def release(self) -> None:
        await self._idle.wait()
        self.mine.clear()
        self.released += 1

    def fail(self, fault: BaseException) -> None:
        self.ledger.faults.append(fault)

    async def process(self, batch: Batch, acknowledge: Callable[[], object]) -> None:
        if batch.partition not in self.mine:
            return
        self._idle.clear()
        await asyncio.sleep(self.pause_s)
        self.ledger.applied[batch.partition] += batch.offsets.tolist()
        self.ledger.batches.append(batch)
        if self.acknowledges:
            acknowledge()
        self._idle.set()


class Log:
    """A topic of its own with a group of its own."""

    def __init__(self, bootstrap: str, topic: str, data: Path) -> None:
        self.bootstrap, self.topic, self.data = bootstrap, topic, data
        self.group = f"test-{uuid.uuid4().hex[:8]}"

    async def write(self, count: int, *, partition: int) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, compression_type="lz4")
        async with producer:
            sent = [await producer.send(self.topic, b"%d" % n, key=b"k", partition=partition) for n in range(count)]
            await asyncio.gather(*sent)

    async def committed(self, partition: int) -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            tp = TopicPartition(self.topic, partition)
            found = await admin.list_consumer_group_offsets(self.group, partitions=[tp])
            committed: int = found[tp].offset
            return committed
        finally:
            await admin.close()

    @asynccontextmanager
    async def worker(self, worker: Worker) -> AsyncIterator[BatchApp]:
        app = faust_app(
            self.group,
            brokers=self.bootstrap,
            data=self.data / uuid.uuid4().hex,
            owner=worker,
            process=worker.process,
            topic=self.topic,
            poll_records=100,
            session_s=6,
        )
        await app.start()
        try:
            yield app
        finally:
            await app.stop()


@pytest.fixture
async def log(kafka: str, new_topic: MakeTopic, tmp_path: Path) -> Log:
    return Log(kafka, await new_topic(Topic(name="feed", partitions=PARTITIONS)), tmp_path)


async def test_every_record_comes_once_and_in_order_and_is_committed(log: Log) -> None:
    ledger = Ledger()
    await log.write(1000, partition=0)
    await log.write(1, partition=1)  # a first batch of one record at offset 0: Faust's own gaps would never commit it
    async with log.worker(Worker(ledger)):
        await soon(lambda: _is(ledger.total() == 1001))
        await soon(lambda: _committed(log, {0: 1000, 1: 1}))
        await log.write(5, partition=1)
        await soon(lambda: _committed(log, {1: 6}))
    assert ledger.applied == {0: list(range(1000)), 1: list(range(6))}
    assert max(len(batch) for batch in ledger.batches) > 50
    assert all(batch.value(0) is not None and batch.key(0) == b"k" for batch in ledger.batches)
    assert not ledger.faults


async def test_what_is_not_acknowledged_is_not_committed(log: Log) -> None:
    ledger = Ledger()
    await log.write(250, partition=0)
    worker = Worker(ledger, acknowledges=False)
    async with log.worker(worker):
        await soon(lambda: _is(ledger.total() == 250))
    assert await log.committed(0) == -1


async def test_a_clean_stop_commits_all_that_was_acknowledged(log: Log) -> None:
    ledger = Ledger()
    await log.write(300, partition=0)
    async with log.worker(Worker(ledger)):
        await soon(lambda: _is(ledger.total() == 300))
    assert await log.committed(0) == 300


async def test_positions_come_from_the_owner_and_may_lie_before_the_commit(log: Log) -> None:
    first, second = Ledger(), Ledger()
    await log.write(200, partition=0)
    async with log.worker(Worker(first)):
        await soon(lambda: _is(first.total() == 200))
    second.applied[0] = list(range(50))
    async with log.worker(Worker(second)):
        await soon(lambda: _is(second.total() == 200))
        await log.write(10, partition=0)
        await soon(lambda: _committed(log, {0: 210}))
    assert second.applied[0] == list(range(210))


@pytest.mark.parametrize("kept", [set[int](), {0}])
async def test_nothing_flows_before_everything_is_loaded_but_what_was_kept(log: Log, kept: set[int]) -> None:
    ledger = Ledger()
    worker = Worker(ledger)
    worker.kept = kept
    worker.loads[1].clear()
    for partition in range(PARTITIONS):
        await log.write(100, partition=partition)
    async with log.worker(worker):
        await soon(lambda: _is(worker.mine == {0}))
        if kept:
            await soon(lambda: _is(ledger.total() == 100))
        else:
            await asyncio.sleep(0.5)
            assert ledger.total() == 0
        worker.loads[1].set()
        await soon(lambda: _is(ledger.total() == 100 * PARTITIONS))
    assert not ledger.faults


async def test_records_that_a_fetch_left_out_are_fetched_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a fetch does that was on its way while its position was sought."""
    fetch, left_out = BatchConsumer._wait_next_records, set[int]()

    async def late(consumer: BatchConsumer, timeout_s: float) -> Any:
        found, active = await fetch(consumer, timeout_s)
        cut = {}
        for tp, records in (found or {}).items():
            is_late = len(records) > 20 and records[0].offset not in left_out
            left_out.update({records[0].offset} if is_late else ())
            cut[tp] = records[10:] if is_late else records
        return cut, active

    monkeypatch.setattr(BatchConsumer, "_wait_next_records", late)
    ledger = Ledger()
    await log.write(1000, partition=0)
    async with log.worker(Worker(ledger)):
        await soon(lambda: _is(ledger.total() == 1000))
    assert len(left_out) >= 3
    assert ledger.applied[0] == list(range(1000))


async def test_gaps_of_transactions_are_passed_over(log: Log) -> None:
    ledger = Ledger()
    async with log.worker(Worker(ledger)):
        async with AIOKafkaProducer(bootstrap_servers=log.bootstrap, transactional_id=log.group) as producer:
            for turn in range(5):
                async with producer.transaction():
                    for n in range(10):
                        await producer.send(log.topic, b"%d" % n, key=b"k", partition=0)
                await soon(lambda turn=turn: _is(ledger.total() == 10 * (turn + 1)))  # type: ignore[misc]
        await soon(lambda: _committed(log, {0: 54}))
    assert ledger.applied[0] == [offset for offset in range(55) if offset % 11 != 10]


async def test_a_second_worker_joins_and_leaves_without_a_record_lost_or_doubled(log: Log) -> None:
    ledger = Ledger()
    one, two = Worker(ledger, pause_s=0.02), Worker(ledger, pause_s=0.02)
    await log.write(2000, partition=0)
    await log.write(2000, partition=1)
    async with log.worker(one):
        await soon(lambda: _is(ledger.total() > 200))
        async with log.worker(two):
            await soon(lambda: _is(len(one.mine) == 1 and len(two.mine) == 1))
            await log.write(500, partition=0)
        await log.write(500, partition=1)
        await soon(lambda: _is(ledger.total() >= 5000))
    assert ledger.applied == {0: list(range(2500)), 1: list(range(2500))}
    assert not ledger.faults


@pytest.mark.proof
@pytest.mark.timeout(300)
async def test_a_worker_may_come_and_go_at_any_moment_of_a_busy_log(log: Log) -> None:
    """Fetches are under way while positions are sought, about once in three turns."""

    async def write() -> None:
        async with AIOKafkaProducer(bootstrap_servers=log.bootstrap, compression_type="lz4") as producer:
            while not ended.is_set():
                for partition in range(PARTITIONS):
                    for _ in range(5):
                        await producer.send(log.topic, b"x", key=b"k", partition=partition)
                        sent[partition] += 1
                await asyncio.sleep(0.01)

    ledger, ended, sent = Ledger(), asyncio.Event(), [0] * PARTITIONS
    one, two = Worker(ledger, pause_s=0.01), Worker(ledger, pause_s=0.01)
    one.kept = two.kept = set(range(PARTITIONS))
    writing = asyncio.create_task(write())
    async with log.worker(one):
        await soon(lambda: _is(ledger.total() > 200))
        for turn in range(20):
            async with log.worker(two):
                await asyncio.sleep(1.5 + turn % 7 * 0.2)
            await asyncio.sleep(0.5 + turn % 5 * 0.2)
        ended.set()
        await writing
        await soon(lambda: _is(ledger.total() >= sum(sent)))
    assert ledger.applied == {partition: list(range(count)) for partition, count in enumerate(sent)}


async def _is(condition: bool) -> bool:  # noqa: FBT001  a condition
    return condition


async def _committed(log: Log, offsets: dict[int, int]) -> bool:
    return all([await log.committed(partition) == offset for partition, offset in offsets.items()])
