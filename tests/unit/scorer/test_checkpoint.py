"""Cycles follow the state, their chunks wait for outputs, and a marker closes only what is durable."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from services.scorer.checkpoint import NO_CYCLE, Budget, Cycles, Loaded, Records, last_marker, load
from services.scorer.core import chunks, pack
from services.scorer.core.cycles import checkpoint_of
from services.scorer.core.decode import hashes_of
from services.scorer.core.partition import Partition
from services.scorer.core.restore import restore
from services.scorer.cores import Columnar
from shared.contracts.topics import ACTIVITY
from tests.support.fake_core import as_any

CORE = Columnar(partitions=1, seed=7)


class Log:
    """A checkpoint topic in memory."""

    topic = ACTIVITY

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        self.next = 0
        self.trimmed: list[int] = []

    async def write(self, partition: int, value: bytes) -> int:
        assert partition == 0
        offset, self.next = self.next, self.next + 1
        self.records[offset] = value
        return offset

    async def trim(self, partition: int, *, before: int) -> None:
        assert partition == 0
        self.trimmed.append(before)
        self.records = {offset: value for offset, value in self.records.items() if offset >= before}

    async def read(self, partition: int, *, progress: Callable[[], None]) -> tuple[Records, int]:
        assert partition == 0
        progress()
        return list(self.records.items()), self.next

    def kinds(self) -> list[str | None]:
        return [chunks.kind_of(value) for value in self.records.values()]


def partition_with(accounts: int) -> Partition:
    state = Partition.empty(partition=0, partitions=1, seed=7)
    names = [f"a{number}" for number in range(accounts)]
    _, hashes = state.activity.find(hashes_of(names, seed=state.seed), accounts=names)
    state.activity.add_accounts(names, hashes=hashes)
    state.episodes.add(accounts)
    state.position = 10
    return state


async def at_once(_position: int) -> bool:
    return True


def cycles(
    log: Log, state: Partition, *, durable: Callable[[int], object] = at_once, whole: asyncio.Lock | None = None
) -> Cycles[Partition]:
    loaded: Loaded[Partition] = Loaded(state=None, end=log.next)
    whole = whole or asyncio.Lock()
    return Cycles(as_any(log), CORE, state, whole=whole, loaded=loaded, durable=as_any(durable), cycle_s=0.01)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  the log has no event to wait for
            await asyncio.sleep(0.001)


def closed(log: Log, cycles_wanted: int) -> bool:
    return log.kinds().count("marker") + len(log.trimmed) >= cycles_wanted


async def test_a_state_in_the_middle_of_a_step_is_not_written() -> None:
    log, state, whole = Log(), partition_with(5), asyncio.Lock()
    await whole.acquire()
    running = asyncio.create_task(cycles(log, state, whole=whole).run())
    state.counts["applied"] += 1
    await asyncio.sleep(0.1)
    assert log.records == {}
    state.position += 1
    whole.release()
    await until(partial(closed, log, 1))
    running.cancel()


async def test_an_idle_partition_writes_nothing() -> None:
    log, state = Log(), partition_with(5)
    running = asyncio.create_task(cycles(log, state).run())
    await asyncio.sleep(0.1)
    assert log.records == {}
    running.cancel()


async def test_cycles_are_closed_by_a_marker_and_all_but_two_are_trimmed() -> None:
    log, state = Log(), partition_with(5)
    ours = cycles(log, state)
    running = asyncio.create_task(ours.run())
    for turn in range(1, 5):
        state.counts["applied"] += 1
        state.position += 1
        await until(partial(closed, log, turn))
    running.cancel()
    assert log.trimmed == sorted(log.trimmed)
    assert log.kinds() in (["chunk", "marker"] * 2, ["chunk", "marker"] * 2 + ["chunk"])
    last = [value for value in log.records.values() if chunks.kind_of(value) == "marker"][-1]
    assert chunks.read_marker(last).first_record == ours.first
    restored = restore(log.records.values(), partition=0, partitions=1, seed=7)
    assert restored is not None
    assert (restored.position, restored.accounts) == (state.position, 5)


async def test_no_chunk_leaves_before_the_outputs_it_contains_are_durable() -> None:
    log, state, asked = Log(), partition_with(5), list[int]()
    gate = asyncio.Event()

    async def durable(position: int) -> bool:
        asked.append(position)
        return await gate.wait()

    running = asyncio.create_task(cycles(log, state, durable=durable).run())
    state.counts["applied"] += 1
    state.position = 33
    await until(lambda: bool(asked))
    await asyncio.sleep(0.05)
    assert (asked, log.records) == ([33], {})
    gate.set()
    await until(lambda: "marker" in log.kinds())
    running.cancel()


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_marker_says_whether_redis_has_everything(*, is_there: bool) -> None:
    log, state = Log(), partition_with(5)

    async def durable(_position: int) -> bool:
        return is_there

    running = asyncio.create_task(cycles(log, state, durable=durable).run())
    state.counts["applied"] += 1
    await until(lambda: "marker" in log.kinds())
    running.cancel()
    found = await load(as_any(log), CORE, partition=0, progress=lambda: None)
    assert (found.mirrored, found.state is not None) == (is_there, True)


async def test_a_marker_waits_for_every_chunk() -> None:
    log, state = Log(), partition_with(2000)
    stuck = asyncio.Event()
    write = log.write

    async def slow(partition: int, value: bytes) -> int:
        if log.next == 2:
            await stuck.wait()
        return await write(partition, value)

    log.write = slow  # type: ignore[method-assign]
    running = asyncio.create_task(cycles(log, state).run())
    state.counts["applied"] += 1
    state.position += 1
    await until(lambda: log.next == 2)
    await asyncio.sleep(0.05)
    assert log.kinds() == ["chunk", "chunk"]
    stuck.set()
    await until(lambda: "marker" in log.kinds())
    assert log.kinds() == ["chunk"] * 4 + ["marker"]
    running.cancel()


def test_recovery_takes_the_cycle_with_the_highest_base_that_is_still_whole() -> None:
    state, records = partition_with(3), list[bytes]()

    def cycle(position: int, *, writer: str) -> int:
        state.position = position
        first = len(records)
        written = pack.begin(state, writer=writer)
        while (parts := written.next(state)) is not None:
            records.extend(parts)
        records.append(written.marker(first_record=first))
        return first

    def last(records: Records) -> int:
        marker = last_marker(records, CORE)
        return NO_CYCLE if marker is None else marker.first_record

    assert last([]) == NO_CYCLE
    cycle(10, writer="us")
    ours = cycle(20, writer="us")
    cycle(15, writer="a zombie, late")
    assert last(list(enumerate(records))) == ours
    assert last(list(enumerate(records))[ours + 1 :]) != ours  # trimmed into: not whole


async def test_a_marker_whose_chunks_are_partly_before_what_is_read_is_passed_over() -> None:
    # two processes pack the same state; the first was stopped in the middle and closes its cycle last
    log, state = Log(), partition_with(3)
    stopped, other = pack.begin(state, writer="stopped"), pack.begin(state, writer="other")
    for cycle in (stopped, other):
        while (records := cycle.next(state)) is not None:
            for record in records:
                await log.write(0, record)
    first = {cycle.id: number * len(log.records) // 2 for number, cycle in enumerate((stopped, other))}
    for cycle in (other, stopped):
        await log.write(0, cycle.marker(first_record=first[cycle.id]))

    loaded = await load(as_any(log), CORE, partition=0, progress=lambda: None)

    assert loaded.state is not None
    assert (loaded.state.accounts, loaded.first) == (3, first[other.id])
    contents = checkpoint_of(list(log.records.items()))
    assert contents is not None
    assert contents.marker.cycle == other.id


def test_a_restored_state_replays_until_it_has_come_to_where_its_accounts_are() -> None:
    state = partition_with(3)
    cycle = pack.begin(state, writer="ours")
    state.position += 5
    records = [record for some in iter(lambda: cycle.next(state), None) for record in some]
    restored = CORE.restore([*records, cycle.marker(first_record=0)], partition=0)
    assert restored is not None
    assert restored.is_replaying
    restored.position = state.position
    assert not restored.is_replaying


async def test_a_stale_writer_does_not_delete_the_cycle_of_the_owner() -> None:
    # |- owner, base 20 -|- stale, base 10 -|- stale, base 11 -|    the last would delete all before the one before it
    log, stale, owner = Log(), partition_with(3), partition_with(3)
    mine = cycles(log, stale)
    owner.position = 20
    await cycles(log, owner)._cycle()
    for _ in range(3):
        await mine._cycle()
        stale.position += 1
    contents = checkpoint_of(list(log.records.items()))
    assert contents is not None
    assert contents.marker.base == 20

    stale.position = 30  # it is the owner again: nothing is kept for ever
    for _ in range(2):
        await mine._cycle()
    assert log.kinds().count("marker") == 2


async def test_nor_one_that_the_owner_has_only_begun() -> None:
    log, stale, owner = Log(), partition_with(3), partition_with(3)
    mine = cycles(log, stale)
    owner.position = 20
    theirs = CORE.begin(owner, writer="the owner")
    for record in theirs.next(owner) or ():
        await log.write(0, record)
    for _ in range(3):
        await mine._cycle()
        stale.position += 1
    assert log.trimmed == []
    assert 0 in log.records


async def test_the_budget_spreads_bytes_over_time() -> None:
    budget = Budget(1000)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        await budget.spend(50)
    assert loop.time() - began >= 0.09
