"""The family of a parent account as Redis tells it, through the API."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from services.alerts import family_api
from shared.contracts.health import Band
from shared.contracts.topology import Topology
from shared.health_store import HealthStore
from shared.key_search import KeySearch
from shared.keys import KeyRecord, Scope
from tests.support.alerts_api import app_of, past_of
from tests.support.fake_core import as_any
from tests.support.health_rows import DAY_MS, removal, row

WHOLE = Topology(generation=2, partitions=2)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[HealthStore]:
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
        store = HealthStore(redis)
        for number in range(WHOLE.partitions):
            await store.end_fill(WHOLE, number, fill=await store.begin_fill(number))
        yield store


async def get(redis_url: str, account: str) -> httpx.Response:
    key = KeyRecord(id="k", hash="", scopes=frozenset({Scope.READ}), source="me")
    async with Redis.from_url(redis_url) as redis:
        app = app_of(past_of(redis, KeySearch("127.0.0.1:9")), key=key)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://alerts") as client:
            return await client.get(f"/v1/accounts/{account}/family")


async def family(redis_url: str, account: str) -> Mapping[str, Any]:
    answer = await get(redis_url, account)
    assert answer.status_code == 200, answer.text
    found: Mapping[str, Any] = answer.json()
    return found


async def below(redis_url: str, account: str) -> dict[str, int]:
    """Return the depth of every account below one."""
    return {member["account"]: member["depth"] for member in (await family(redis_url, account))["members"]}


async def test_a_tree_is_rolled_up_whole(store: HealthStore, redis_url: str) -> None:
    rows = [
        row("holding/eu", 10_000, Band.CRITICAL, parent="holding", arr=100, currency="EUR"),
        row("holding/us", 80_000, Band.HEALTHY, parent="holding", arr=300, currency="EUR", name="US"),
        row("berlin", 40_000, Band.AT_RISK, parent="holding/eu", arr=50, currency="EUR"),
        row("elsewhere", 1, Band.CRITICAL, parent="other", arr=50, currency="EUR"),
    ]
    await store.write(1, 1, rows)
    found = await family(redis_url, "holding")  # sends nothing of its own
    assert (found["account"], found["accounts"], found["cut"], found["by_arr"]) == ("holding", 3, False, True)
    assert found["health"] == (10_000 * 100 + 80_000 * 300 + 40_000 * 50) // 450
    assert found["arr"] == [{"currency": "EUR", "arr": 450, "at_risk": 150}]
    assert found["worst"]["account"] == "holding/eu"
    assert await below(redis_url, "holding") == {"holding/eu": 1, "berlin": 2, "holding/us": 1}
    assert await below(redis_url, "holding/eu") == {"berlin": 1}
    assert (await family(redis_url, "berlin"))["health"] is None


async def test_a_child_that_moves_or_is_erased_leaves_its_family(store: HealthStore, redis_url: str) -> None:
    await store.write(1, 1, [row(name, parent="a") for name in ("x", "y", "z")])
    await store.write(1, 2, [row("x", parent="b"), row("y"), removal("z", at=1)])
    await store.write(1, 1, [row("y", parent="a")])  # a stale writer
    assert (await below(redis_url, "b")) == {"x": 1}
    answer = await get(redis_url, "a")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_account")


async def test_parents_in_a_circle_meet_everybody_once(store: HealthStore, redis_url: str) -> None:
    await store.write(1, 1, [row("self", parent="self"), row("a", parent="c"), row("b", parent="a")])
    await store.write(1, 2, [row("c", parent="b"), row("d", parent="self")])
    assert await below(redis_url, "self") == {"d": 1}
    assert await below(redis_url, "a") == {"b": 1, "c": 2}
    assert not (await family(redis_url, "a"))["cut"]


async def test_what_is_too_deep_or_too_many_is_cut_and_said(
    store: HealthStore, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.write(1, 1, [row(f"level-{n}", parent=f"level-{n - 1}") for n in range(1, 12)])
    found = await family(redis_url, "level-0")
    assert (found["accounts"], found["cut"]) == (10, True)
    assert (await family(redis_url, "level-1"))["cut"] is False
    monkeypatch.setattr(family_api, "MOST_ACCOUNTS", 3)
    await store.write(1, 2, [row(f"child-{n}", parent="many") for n in range(4)])
    found = await family(redis_url, "many")
    assert (found["accounts"], found["cut"]) == (3, True)
    await store.write(1, 3, [row("child-3")])
    assert (await family(redis_url, "many"))["cut"] is False


async def test_odd_ids_of_parents_stay_apart(store: HealthStore, redis_url: str) -> None:
    await store.write(1, 1, [row("x", parent="a\x1fb"), row("y", parent="a b")])
    assert await below(redis_url, "a b") == {"y": 1}
    assert await below(redis_url, "a%1Fb") == {"x": 1}


async def test_while_redis_is_filled_no_family_is_told(store: HealthStore, redis_url: str) -> None:
    await store.write(1, 1, [row("x", parent="a")])
    assert (await below(redis_url, "a")) == {"x": 1}
    async with Redis.from_url(redis_url) as redis:
        await redis.hdel("churn:filled", "1")
    answer = await get(redis_url, "a")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "not_filled", "5")


async def test_a_parent_that_was_written_before_parents_were_kept_is_found_after_the_next_write(
    store: HealthStore, redis_url: str
) -> None:
    await store.write(1, 1, [row("x", parent="a")])
    async with Redis.from_url(redis_url) as redis:
        index = as_any(await as_any(redis.hget("churn:health:x", "i")))
        await redis.hset("churn:health:x", "i", index.rpartition(b"\x1f")[0])
        await redis.delete("churn:by:parent:a")
    await store.write(1, 2, [row("x", parent="a", at=DAY_MS + 1)])
    assert (await below(redis_url, "a")) == {"x": 1}
