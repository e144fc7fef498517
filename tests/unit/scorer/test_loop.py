"""What the effect loop promises whatever Kafka, Redis and the group do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.scorer import loop as loop_module
from services.scorer.checkpoint import Records
from services.scorer.core.batch import Batch
from services.scorer.core.guard import Patience, Watch
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.publish import Record
from services.scorer.core.step import Outputs
from services.scorer.fence import Exit
from services.scorer.listing import Listing
from services.scorer.loop import IDLE_LOOKS, Loop
from services.scorer.recent import Recents
from shared.contracts.context import Crash, Quarantine
from shared.contracts.topology import Topology
from tests.support.fake_core import FakeCore, as_any, batch, fake_step


@pytest.fixture(autouse=True)
def short_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "RELEASE_TIMEOUT_S", 0.02)


class World:
    """Everything outside: outputs go through while `open` is set, Redis while `redis_open` is."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.acknowledged: list[int] = []
        self.redis: dict[str, int] = {}
        self.ended: list[tuple[Exit, str]] = []
        self.open = asyncio.Event()
        self.redis_open = asyncio.Event()
        self.open.set()
        self.redis_open.set()
        self.fault: Exception | None = None
        self.checkpoint_end = 0
        self.loads = 0
        self.told: list[Crash] = []
        self.log_begin = 0
        self.log_end = 0
        self.lists: list[tuple[int, list[int]]] = []

    # KafkaOutputs
    async def send(self, sent: Batch, outputs: Outputs) -> None:
        await self.open.wait()
        if self.fault:
            raise self.fault
        self.sent += [record.at for record in outputs.scores]
        assert len(sent) == len(outputs.scores)

    async def send_list(self, partition: int, parts: Iterator[Record]) -> None:
        self.lists.append((partition, [part.at for part in parts]))

    # HealthStore
    async def write(self, generation: int, offset: int, rows: list[tuple[str, bytes]]) -> list[int]:
        assert generation == 1
        await self.redis_open.wait()
        self.redis |= {row[0]: offset for row in rows}
        return [1] * len(rows)

    # Activity, the checkpoint topic
    async def end(self, partition: int) -> int:
        assert partition == 0
        return self.checkpoint_end

    async def read(self, partition: int, **_options: object) -> tuple[Records, int]:
        self.loads += 1
        assert partition == 0
        return [], self.checkpoint_end

    # EventLog
    async def first_start(self, partition: int) -> int:
        assert partition == 0
        return self.log_begin

    async def check_position(self, partition: int, *, position: int) -> int:  # noqa: ARG002  the real one's names
        """Accept any position."""
        return self.log_end

    async def check_not_lost(self, partition: int, *, position: int) -> None:
        if self.log_begin > position:
            raise LookupError(f"{partition}: {position} is gone")

    # Context
    async def reach(self, offset: int) -> None:
        assert offset == -1

    def known_at(self, offset: int, partition: int) -> Known:  # noqa: ARG002  the real one's names
        """Know of nothing."""
        return Known()

    def quarantined(self, topic: str, partition: int) -> list[Quarantine]:  # noqa: ARG002  the real one's names
        return []

    def crashes(self, topic: str, partition: int) -> list[Crash]:  # noqa: ARG002  likewise
        return []

    async def tell(self, entry: Crash) -> None:
        self.told.append(entry)

    def end_process(self, code: Exit, **fields: object) -> None:
        self.ended.append((code, str(fields.get("fault"))))


async def _nothing(partition: int) -> None:
    """Bring no history back."""


@asynccontextmanager
async def looping(world: World, *, pauses: int = 1) -> AsyncIterator[Loop[Partition]]:
    core = FakeCore()
    core.pauses = pauses
    loop = Loop(
        core=as_any(core),
        topology=Topology(generation=1, partitions=1),
        cycle_s=1000,
        context=as_any(world),
        events=as_any(world),
        activity=as_any(world),
        outputs=as_any(world),
        store=as_any(world),
        now_ms=lambda: 0,
        stall_s=1000,
        bring_back=_nothing,
        recents=Recents(lambda _source, _fates: None, now_ms=lambda: 0),
        watch=Watch(Patience(window_ms=60, after_ms=1000, catch_up_ms=300, fewest_accounts=0)),
        end=as_any(world.end_process),
    )
    yield loop
    world.open.set()
    await loop.release()


async def process(loop: Loop[Partition], world: World, given: Batch) -> None:
    last = int(given.offsets[-1])
    await loop.process(given, acknowledge=lambda: world.acknowledged.append(last))


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_outputs_come_first_then_the_acknowledgement_and_redis_follows() -> None:
    world = World()
    async with looping(world) as loop:
        loop.expect([0])
        assert not loop.ready
        assert await loop.take(0) == 0
        assert loop.ready
        world.open.clear()
        await process(loop, world, batch(0, b"x", b"y"))
        await settled()
        assert (world.sent, world.acknowledged, world.redis) == ([], [], {})
        world.open.set()
        await settled()
        assert (world.sent, world.acknowledged, world.redis) == ([0, 1], [1], {"a": 1})


async def test_redis_holds_up_neither_outputs_nor_acknowledgements() -> None:
    world = World()
    world.redis_open.clear()
    async with looping(world) as loop:
        await loop.take(0)
        for offset in range(20):
            await process(loop, world, batch(offset, b"x"))
            await settled()
        assert world.acknowledged == list(range(20))
        world.redis_open.set()
        await settled()
        assert world.redis == {"a": 19}


async def test_a_batch_of_a_partition_given_up_is_left_alone() -> None:
    world = World()
    async with looping(world) as loop:
        await process(loop, world, batch(0, b"x"))
        await loop.take(0)
        await loop.release()
        await process(loop, world, batch(0, b"x"))
        await settled()
        assert (world.sent, world.acknowledged) == ([], [])


async def test_a_partition_is_given_up_between_batches_only() -> None:
    world = World()
    async with looping(world, pauses=20) as loop:
        await loop.take(0)
        stepping = asyncio.create_task(process(loop, world, batch(0, b"x")))
        await asyncio.sleep(0)
        releasing = asyncio.create_task(loop.release())
        await asyncio.sleep(0)
        assert (world.sent, stepping.done(), releasing.done()) == ([], False, False)
        await asyncio.gather(stepping, releasing)
        assert (world.sent, world.acknowledged) == ([0], [0])
        assert await loop.take(0) == 1
        assert world.loads == 1, "what was kept is whole"


async def test_a_state_that_was_half_way_when_patience_ended_is_forgotten() -> None:
    world = World()
    async with looping(world, pauses=50_000) as loop:
        await loop.take(0)
        stepping = asyncio.create_task(process(loop, world, batch(0, b"x")))
        await asyncio.sleep(0)
        await loop.release()
        assert loop.expect([0]) == set()
        stepping.cancel()


async def test_a_step_that_is_cancelled_is_finished_first() -> None:
    world = World()
    async with looping(world, pauses=20) as loop:
        await loop.take(0)
        stepping = asyncio.create_task(process(loop, world, batch(0, b"x")))
        await asyncio.sleep(0)
        stepping.cancel()
        await settled()
        assert (world.sent, world.acknowledged) == ([0], [0])


async def test_a_failed_output_ends_the_process_unacknowledged() -> None:
    world = World()
    async with looping(world) as loop:
        await loop.take(0)
        world.fault = OSError("broker gone")
        await process(loop, world, batch(0, b"x"))
        await settled()
        assert world.ended == [(Exit.UNPLANNED, "OSError('broker gone')")]
        assert world.acknowledged == []


async def test_state_given_up_in_good_order_is_reused_while_nobody_else_wrote() -> None:
    world = World()
    async with looping(world) as loop:
        await loop.take(0)
        await process(loop, world, batch(0, b"x", b"y"))
        await loop.release()
        assert (await loop.take(0), world.loads) == (2, 1)
        await loop.release()
        world.checkpoint_end = 5
        assert (await loop.take(0), world.loads) == (0, 2)


async def test_what_redis_had_not_got_is_not_forgotten_over_a_rebalance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "MIRROR_TIMEOUT_S", 0.02)
    world = World()
    world.redis_open.clear()
    async with looping(world) as loop:
        await loop.take(0)
        await process(loop, world, batch(0, b"x"))
        await settled()
        await loop.release()
        world.redis_open.set()
        assert await loop.take(0) == 1
        await settled()
        assert world.redis == {"a": 0}


async def test_state_ahead_of_its_outputs_is_forgotten() -> None:
    world = World()
    async with looping(world) as loop:
        await loop.take(0)
        world.open.clear()
        await process(loop, world, batch(0, b"x"))
        await loop.release()
        assert (await loop.take(0), world.loads) == (0, 2)


async def test_events_deleted_before_they_were_scored_are_an_error_not_a_jump() -> None:
    world = World()
    async with looping(world) as loop:
        await loop.take(0)
        await process(loop, world, batch(3, b"x"))  # a gap, as a transaction leaves it
        world.log_begin = 10
        with pytest.raises(LookupError):
            await process(loop, world, batch(10, b"x"))


async def test_open_episodes_are_listed_once_with_the_first_tick_after_the_log_end_found_at_the_taking() -> None:
    # log   0     1     2     | taken here |  3      4     5
    #       x    tick   x     |            | tick    x    tick
    world = World()
    world.log_end = 3
    async with looping(world) as loop:
        loop.listing = Listing(lambda state, judged: iter([Record(None, b"%d" % state.position, judged.offset)]))
        await loop.take(0)
        await process(loop, world, batch(0, b"x", b"tick", b"x"))
        await settled()
        assert world.lists == []
        world.open.clear()
        await process(loop, world, batch(3, b"tick", b"x"))
        await process(loop, world, batch(5, b"tick"))
        await settled()
        assert (world.lists, world.acknowledged) == ([], [2])
        world.open.set()
        await settled()
        assert (world.lists, world.acknowledged) == ([(0, [3])], [2, 4, 5])
        await loop.release()
        world.log_end = 6
        await loop.take(0)
        await process(loop, world, batch(6, b"tick"))
        await settled()
        assert world.lists == [(0, [3]), (0, [6])]


async def test_a_fold_that_raises_is_not_acknowledged() -> None:
    world = World()

    def broken(_state: Partition, _batch: Batch, **_options: object) -> Outputs:
        raise ZeroDivisionError

    async with looping(world) as loop:
        as_any(loop.core).step = broken
        await loop.take(0)
        with pytest.raises(ZeroDivisionError):
            await process(loop, world, batch(0, b"x", b"y"))
        assert [(crash.first, crash.last, crash.fault) for crash in world.told] == [(0, 1, "ZeroDivisionError")]
        as_any(loop.core).step = fake_step
        await process(loop, world, batch(0, b"x", b"y"))
        await settled()
        assert (world.sent, world.acknowledged) == ([], []), "nothing of a half-changed state may leave"


async def test_a_partition_that_stands_still_before_unread_events_ends_the_process() -> None:
    world = World()
    async with looping(world) as loop:
        loop.expect([0, 1])
        await loop.take(0)
        for end in range(1, 2 * IDLE_LOOKS):
            loop.report_lag({0: end})
        assert world.ended == [], "nothing moves while another partition is loaded"
        loop.expect([0])
        for end in range(1, IDLE_LOOKS):
            loop.report_lag({0: end})
        assert world.ended == []
        await process(loop, world, batch(0, b"x"))
        loop.report_lag({0: 500})
        for _ in range(IDLE_LOOKS - 1):
            loop.report_lag({0: 500})
        assert world.ended == []
        loop.report_lag({0: 500})
        assert [code for code, _ in world.ended] == [Exit.NO_PROGRESS]


async def test_a_batch_behind_records_that_never_came_is_refused() -> None:
    world = World()
    async with looping(world) as loop:
        await loop.take(0)
        with pytest.raises(LookupError, match="records 0 to 4 of partition 0"):
            await process(loop, world, replace(batch(5, b"x"), since=5))
        await process(loop, world, replace(batch(5, b"x"), since=0))  # a gap of the log itself
        await settled()
        assert world.acknowledged == [5]


async def test_a_partition_with_nothing_to_read_may_stand_still() -> None:
    world = World()
    async with looping(world) as loop:
        await loop.take(0)
        for _ in range(3 * IDLE_LOOKS):
            loop.report_lag({0: 0})
        assert world.ended == []
