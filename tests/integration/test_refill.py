"""Redis gets everything again that it lost, or that a former owner of a partition never brought it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from redis.asyncio import Redis

from services.scorer.checkpoint import Records
from services.scorer.core.batch import Batch
from services.scorer.core.guard import Patience, Watch
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.publish import HealthRow
from services.scorer.core.step import Outputs
from services.scorer.cores import Marker
from services.scorer.loop import Loop
from services.scorer.recent import Recents
from shared.contracts.context import Crash, Quarantine
from shared.contracts.topology import Topology
from shared.health_store import HealthStore
from tests.support.fake_core import FakeCore, as_any, batch


class World:
    """The topics around a loop: a checkpoint, and a log of one partition."""

    log_end = 3

    async def end(self, _partition: int) -> int:
        return 1

    async def read(self, _partition: int, **_options: object) -> tuple[Records, int]:
        return [(0, b"M")], 1

    async def check_position(self, _partition: int, *, position: int) -> int:
        assert position <= self.log_end
        return self.log_end

    async def check_not_lost(self, _partition: int, *, position: int) -> None:
        assert position <= self.log_end

    async def reach(self, _offset: int) -> None:
        """Know everything already."""

    def known_at(self, _offset: int, _partition: int) -> Known:
        return Known()

    def quarantined(self, _topic: str, _partition: int) -> list[Quarantine]:
        return []

    def crashes(self, _topic: str, _partition: int) -> list[Crash]:
        return []

    async def send(self, _batch: Batch, _outputs: Outputs) -> None:
        """Be durable at once."""


class Remembering(FakeCore):
    """A core whose checkpoint holds one account, last published by the last record, as it was after the last but one.

    `mirrored` is what the checkpoint says of Redis.
    """

    def __init__(self, *, mirrored: bool) -> None:
        super().__init__()
        self._mirrored = mirrored

    def marker_of(self, _record: bytes) -> Marker:
        marker: Marker = as_any(SimpleNamespace(first_record=0, base=0, mirrored=self._mirrored))
        return marker

    def restore(self, _records: Iterable[bytes], *, partition: int) -> Partition:
        return self.empty(partition)

    def empty(self, partition: int) -> Partition:
        state = super().empty(partition)
        state.activity.add_accounts(["acme"], hashes=np.array([7], np.uint64))
        state.activity.accounts["upto"][0] = World.log_end - 2
        return state

    def last_healths(self, state: Partition) -> Iterator[list[HealthRow]]:
        last = state.position - 1
        yield [HealthRow("acme", b'"held"', 1, "watch", last, None, None, None, None, None, last)]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def held(redis: Redis) -> tuple[object, object]:
    """Return what Redis holds of the account, and which partitions it holds as a whole."""
    payload: Awaitable[bytes | None] = as_any(redis.hget("churn:health:acme", "p"))
    return await payload, await HealthStore(redis).filled()


def a_loop(
    redis: Redis,
    world: World,
    *,
    bring_back: Callable[[int], Awaitable[None]] | None = None,
    mirrored: bool = True,
) -> Loop[Partition]:
    return Loop(
        core=as_any(Remembering(mirrored=mirrored)),
        topology=Topology(generation=1, partitions=1),
        cycle_s=1000,
        context=as_any(world),
        events=as_any(world),
        activity=as_any(world),
        outputs=as_any(world),
        store=HealthStore(redis),
        now_ms=lambda: 0,
        stall_s=1000,
        bring_back=bring_back or _nothing,
        recents=Recents(lambda _source, _fates: None, now_ms=lambda: 0),
        watch=Watch(Patience(window_ms=60, after_ms=1000, catch_up_ms=300, fewest_accounts=0)),
    )


async def scored(loop: Loop[Partition]) -> None:
    """Take the partition and read its log to the end."""
    if await loop.take(0) < World.log_end:
        await loop.process(batch(0, b"x", b"y", b"z"), acknowledge=lambda: None)


async def _nothing(_partition: int) -> None:
    """Bring no history back."""


async def test_a_redis_emptied_while_it_is_filled_is_filled_again(redis: Redis) -> None:
    async def emptied_once(_partition: int) -> None:
        if not emptied:
            emptied.append(True)
            await redis.flushall()

    emptied: list[bool] = []
    loop = a_loop(redis, World(), bring_back=emptied_once)
    try:
        await scored(loop)
        await loop.refill()
        assert emptied
        assert await held(redis) == (None, {}), "it is said to be whole and holds nothing"
        await loop.refill()
        assert await held(redis) == (b'"held"', {0: 1})
    finally:
        await loop.release()


async def test_what_a_former_owner_did_not_bring_to_redis_comes_although_redis_was_whole(redis: Redis) -> None:
    loop = a_loop(redis, World())
    try:
        await scored(loop)
        await loop.refill()
        await loop.release()
        await redis.delete("churn:health:acme")
        assert await held(redis) == (None, {0: 1})

        await scored(loop)  # kept: nobody else wrote meanwhile
        await loop.refill()
        assert await held(redis) == (None, {0: 1}), "what was kept need not be written again"
    finally:
        await loop.release()
    for mirrored, payload in ((True, None), (False, b'"held"')):
        loop = a_loop(redis, World(), mirrored=mirrored)
        try:
            await scored(loop)
            await loop.refill()
            assert await held(redis) == (payload, {0: 1}), "only what the checkpoint isn't sure of is written again"
        finally:
            await loop.release()


async def test_redis_is_whole_only_when_what_the_checkpoint_is_ahead_of_was_read_again(redis: Redis) -> None:
    loop = a_loop(redis, World())
    try:
        await loop.take(0)
        await loop.refill()
        assert await held(redis) == (None, {}), "accounts ahead of the log being read again were left out"
        await loop.process(batch(0, b"x", b"y", b"z"), acknowledge=lambda: None)
        await loop.refill()
        assert await held(redis) == (b'"held"', {0: 1})
    finally:
        await loop.release()


async def test_redis_waits_until_every_partition_is_loaded(redis: Redis) -> None:
    loop = a_loop(redis, World())
    try:
        loop.expect([0, 1])
        await scored(loop)
        await loop.refill()
        assert await held(redis) == (None, {}), "the state of another partition comes first"
        await loop.take(1)
        await loop.refill()
        assert (await held(redis))[0] == b'"held"'
    finally:
        await loop.release()
