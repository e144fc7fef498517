"""Redis gets the latest of each account, loses nothing while it is away, and holds nobody up for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ConnectionError as RedisGone

from services.scorer import metrics
from services.scorer import mirror as mirror_module
from services.scorer.core.publish import HealthRow
from services.scorer.mirror import Mirror
from shared import health_store
from tests.support.fake_core import as_any
from tests.support.waiting import soon


class Store:
    """Redis in memory; while `away` it refuses."""

    def __init__(self) -> None:
        self.accounts: dict[str, int] = {}
        self.calls = 0
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, _generation: int, offset: int, rows: list[health_store.HealthRow]) -> list[int]:
        self.calls += 1
        await self.open.wait()
        if self.away:
            raise RedisGone
        self.accounts |= {row.account: offset for row in rows}
        return [1] * len(rows)


def row(account: str, offset: int) -> HealthRow:
    return HealthRow(account, b"{}", 1, "watch", offset, None, None, None, None, None, offset)


@asynccontextmanager
async def mirroring(store: Store) -> AsyncIterator[Mirror]:
    mirror = Mirror(as_any(store), generation=1)
    running = asyncio.create_task(mirror.run())
    yield mirror
    running.cancel()
    await asyncio.wait([running])
    await mirror.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "RETRY_S", (0.001,))


async def test_the_latest_of_each_account_wins() -> None:
    store = Store()
    store.open.clear()
    async with mirroring(store) as mirror:
        mirror.put([row("a", 5), row("b", 5)])
        await asyncio.sleep(0.01)  # the write of 5 is under way
        mirror.put([row("a", 9)])
        store.open.set()
        await mirror.until_written(10)
    assert store.accounts == {"a": 9, "b": 5}


async def test_the_very_same_row_put_again_while_it_is_written_is_written_again() -> None:
    store, same = Store(), row("a", 5)
    store.open.clear()
    async with mirroring(store) as mirror:
        mirror.put([same])
        await asyncio.sleep(0.01)  # the write is under way, and Redis will lose it
        mirror.put([same])
        store.open.set()
        await mirror.until_written(6)
    assert (store.calls, store.accounts) == (2, {"a": 5})


async def test_an_older_row_does_not_replace_a_later_one_that_waits() -> None:
    store = Store()
    async with mirroring(store) as mirror:
        mirror.put([row("a", 9)])
        mirror.put([row("a", 5)])
        await mirror.until_written(10)
    assert store.accounts == {"a": 9}


async def test_what_redis_refused_is_written_when_it_is_back() -> None:
    store = Store()
    store.away = True
    async with mirroring(store) as mirror:
        mirror.put([row("a", 5)])
        await asyncio.sleep(0.05)
        assert store.calls > 1
        store.away = False
        await mirror.until_written(6)
    assert store.accounts == {"a": 5}


async def test_a_position_waits_for_what_was_evaluated_before_it_only() -> None:
    store = Store()
    async with mirroring(store) as mirror:
        mirror.put([row("a", 5)])
        await mirror.until_written(6)
        store.open.clear()
        mirror.put([row("b", 8)])
        await asyncio.wait_for(mirror.until_written(8), 1)
        waiting = asyncio.create_task(mirror.until_written(9))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        store.open.set()
        await asyncio.wait_for(waiting, 1)


async def test_a_checkpoint_does_not_wait_long_and_then_not_again() -> None:
    store = Store()
    store.open.clear()
    async with mirroring(store) as mirror:
        mirror.put([row("a", 5)])
        await asyncio.wait_for(mirror.until_written(6, patience_s=0.05), 1)
        await asyncio.wait_for(mirror.until_written(6), 0.5)


async def test_a_partition_given_up_during_a_refill_leaves_nothing_waiting() -> None:
    before, store = waiting_in_all(), Store()
    store.away = True
    async with mirroring(store) as mirror:
        mirror.put([row("a", 5), row("b", 5)])
        assert waiting_in_all() == before + 2
    mirror.put([row("c", 5)])
    assert not await mirror.until_written(6, patience_s=0.01), "it would be noted as filled"
    assert [kept.account for kept in mirror.unwritten()] == ["a", "b"]
    assert waiting_in_all() == before


async def test_a_refill_waits_however_long_redis_takes_but_not_for_a_partition_given_up() -> None:
    store = Store()
    store.open.clear()
    async with mirroring(store) as mirror:
        mirror.put([row("a", 5)])
        assert not await mirror.until_written(6, patience_s=0.01)
        filling = asyncio.create_task(mirror.all_written(6))
        await asyncio.wait([filling], timeout=0.05)
        assert not filling.done(), "the checkpoint's impatience is not the refill's"
        store.open.set()
        assert await asyncio.wait_for(filling, 1)
        store.open.clear()
        mirror.put([row("a", 7)])
        filling = asyncio.create_task(mirror.all_written(8))
        await asyncio.wait([filling], timeout=0.05)
        await mirror.close()
        assert not await asyncio.wait_for(filling, 1)


def waiting_in_all() -> float:
    return float(metrics.REDIS_WAITING._value.get())


async def test_a_checkpoint_waits_again_as_soon_as_redis_has_everything() -> None:
    async def nothing_waits() -> bool:
        return not mirror.unwritten()

    store = Store()
    store.open.clear()
    async with mirroring(store) as mirror:
        mirror.put([row("a", 5)])
        assert not await mirror.until_written(6, patience_s=0.01)
        store.open.set()
        await soon(nothing_waits)
        mirror.put([row("b", 7)])
        assert await mirror.until_written(8)
    assert store.accounts == {"a": 5, "b": 7}
