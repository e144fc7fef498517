"""Recent fates and reconstructed history in real Redis."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.contracts.health import Band
from shared.contracts.recent import Fated, Stage
from shared.health_store import HISTORY_POINTS, HealthStore, Point
from shared.recent import RecentFates


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(redis_url)
    yield client
    await client.flushall()
    await client.aclose()


def fated(n: int, fate: str = "accepted", stage: Stage = Stage.INGEST, *, name: str | None = None) -> Fated:
    return Fated(at=n, id=f"e{n}", fate=fate, stage=stage, name=name)


async def test_what_the_scorer_says_of_an_event_wins_and_keeps_its_name(redis: Redis) -> None:
    recent = RecentFates(redis)
    recent.note("web", [fated(1, name="Exported"), fated(2)])
    recent.note("web", [Fated(at=1, id="e1", fate="applied", stage=Stage.SCORER, account="acme")])
    recent.note("app", [fated(3)])
    await recent.flush()
    found = await recent.last("web")
    assert [(one.id, one.fate, one.name, one.account) for one in found] == [
        ("e2", "accepted", None, None),
        ("e1", "applied", "Exported", "acme"),
    ]


async def test_only_the_last_hundred_of_a_source_are_kept(redis: Redis) -> None:
    recent = RecentFates(redis)
    for start in (0, 90):
        recent.note("web", [fated(n) for n in range(start, start + 150)])
        await recent.flush()
    assert [one.at for one in await recent.last("web")] == list(range(239, 139, -1))
    assert await redis.ttl("churn:recent:web:ingest") > 6 * 86_400


async def test_with_redis_down_nothing_fails_and_the_last_hundred_are_there_when_it_is_back(redis: Redis) -> None:
    away: Redis = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.5)
    recent = RecentFates(away)
    for at in range(120):
        recent.note("web", [fated(at)])
        if at in {1, 60}:
            await recent.flush()
    await away.aclose()
    recent._redis = redis
    await recent.flush()
    assert [one.at for one in await recent.last("web")] == list(range(119, 19, -1))


async def test_reconstructed_days_take_their_place_and_never_that_of_what_was_known(redis: Redis) -> None:
    store = HealthStore(redis)
    known = [Point(10, 90_000, Band.HEALTHY), Point(30, None, Band.UNKNOWN)]
    await store.put_history({"acme": known})
    past = [Point(at, 50_000, Band.WATCH, reconstructed=True) for at in (20, 10, 5)]
    for _ in range(2):
        await store.put_history({"acme": past})
    assert await store.history("acme") == [past[2], known[0], past[0], known[1]]
    again = [Point(5, 60_000, Band.WATCH, reconstructed=True)]
    await store.put_history({"acme": again})
    assert (await store.history("acme"))[0] == past[2]
    await store.put_history({"acme": [Point(5, 70_000, Band.WATCH)]})
    assert (await store.history("acme"))[0] == Point(5, 70_000, Band.WATCH)


async def test_a_history_is_bounded_and_keeps_the_newest(redis: Redis) -> None:
    store = HealthStore(redis)
    await store.put_history({"a": [Point(at, at, Band.WATCH, reconstructed=True) for at in range(600)]})
    assert [point.at for point in await store.history("a")] == list(range(600 - HISTORY_POINTS, 600))
