"""A full cycle is kept every 30 days of a partition's clock, whatever is cut short or restarted between."""

import asyncio
from collections.abc import Callable

from services.scorer.checkpoint import Cycles, Loaded
from services.scorer.core import chunks
from services.scorer.core.cycles import snapshots_of
from services.scorer.core.partition import Partition
from services.scorer.core.restore import restore
from services.scorer.snapshots import PERIOD, Snapshots
from tests.support.fake_core import as_any
from tests.unit.scorer.test_checkpoint import CORE, Log, at_once, partition_with

DAY = 86_400_000


class Kept(Log):
    """The snapshots topic in memory; the write at offset `stuck` never returns."""

    def __init__(self, *, stuck: int = -1) -> None:
        super().__init__()
        self.stuck = stuck

    async def write(self, partition: int, value: bytes) -> int:
        if self.next == self.stuck:
            await asyncio.Event().wait()
        return await super().write(partition, value)

    async def end(self, partition: int) -> int:
        assert partition == 0
        return self.next

    async def last_clock(self, partition: int) -> int | None:
        assert partition == 0
        last = self.records.get(self.next - 1, b"")
        return chunks.read_marker(last).clock if chunks.kind_of(last) == "marker" else None

    def clocks(self) -> list[int | None]:
        return [found.contents.marker.clock for found in snapshots_of(sorted(self.records.items()))]


async def run(activity: Log, kept: Kept, state: Partition, *, until: Callable[[], bool], events: int = 0) -> None:
    """Let cycles run from a restart on, after which some events come, until something holds."""
    cycles = Cycles(
        as_any(activity),
        CORE,
        state,
        whole=asyncio.Lock(),
        loaded=Loaded(state=None, end=activity.next),
        durable=at_once,
        cycle_s=0.01,
        snapshots=Snapshots(kept, 0),
    )
    running = asyncio.create_task(cycles.run())
    state.counts["applied"] += events
    async with asyncio.timeout(5):
        while not until():  # noqa: ASYNC110  the log has no event to wait for
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])


async def one_more_cycle(activity: Log, kept: Kept, state: Partition) -> None:
    before = activity.kinds().count("marker")
    await run(activity, kept, state, events=1, until=lambda: activity.kinds().count("marker") > before)


async def test_the_first_cycle_with_a_clock_and_one_every_30_days_are_kept_over_restarts() -> None:
    activity, kept, state = Log(), Kept(), partition_with(2000)
    await one_more_cycle(activity, kept, state)
    assert kept.records == {}  # what time it is, nobody has said
    first = 10 * PERIOD + DAY
    for state.clock in (first, first + DAY, 11 * PERIOD - 1, 11 * PERIOD, 11 * PERIOD + DAY, 15 * PERIOD):
        await one_more_cycle(activity, kept, state)
    assert kept.clocks() == [first, 11 * PERIOD, 15 * PERIOD]


async def test_a_snapshot_holds_the_records_of_its_cycle_and_says_where_it_begins() -> None:
    activity, kept, state = Log(), Kept(), partition_with(2000)
    for state.clock, state.position in ((PERIOD, 20), (2 * PERIOD, 30)):
        await one_more_cycle(activity, kept, state)
    markers = [offset for offset, value in kept.records.items() if chunks.kind_of(value) == "marker"]
    assert [chunks.read_marker(kept.records[offset]).first_record for offset in markers] == [0, markers[0] + 1]
    assert [found.base for found in snapshots_of(list(kept.records.items()))] == [20, 30]
    restored = restore(kept.records.values(), partition=0, partitions=1, seed=7)
    assert restored is not None
    assert (restored.position, restored.accounts) == (30, 2000)


async def test_an_idle_partition_gets_its_snapshot_too() -> None:
    activity, kept, state = Log(), Kept(), partition_with(0)
    state.clock = PERIOD
    await run(activity, kept, state, until=lambda: "marker" in activity.kinds())
    assert kept.clocks() == [PERIOD]


async def test_a_snapshot_cut_short_is_passed_over_and_written_again() -> None:
    activity, kept, state = Log(), Kept(stuck=2), partition_with(2000)
    state.clock = PERIOD
    await run(activity, kept, state, until=lambda: kept.next == 2)
    assert snapshots_of(list(kept.records.items())) == []
    kept.stuck = -1
    await one_more_cycle(activity, kept, state)
    assert kept.clocks() == [PERIOD]
    assert kept.kinds() == ["chunk"] * 2 + ["chunk"] * 4 + ["marker"]


async def test_a_damaged_record_spoils_its_own_snapshot_only() -> None:
    activity, kept, state = Log(), Kept(), partition_with(600)
    for state.clock, state.position in ((PERIOD, 20), (2 * PERIOD, 30)):
        await one_more_cycle(activity, kept, state)
    for offset, value in kept.records.items():
        damaged = {**kept.records, offset: value[:-1] + bytes([value[-1] ^ 1])}
        left = [2 * PERIOD] if offset <= kept.next // 2 - 1 else [PERIOD]
        assert [s.contents.marker.clock for s in snapshots_of(list(damaged.items()))] == left
