"""Redis holds what the newest tick said of every account, lists it in order, and a stale writer changes nothing."""

from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from shared.contracts.health import Band
from shared.contracts.topology import Topology
from shared.health_store import BadCursor, Filter, HealthStore, Point, Sort, Written
from tests.support.health_rows import DAY_MS, removal, row

SEVENTH = Topology(generation=7, partitions=4)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[HealthStore]:
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
        yield HealthStore(redis)


async def listed(store: HealthStore, where: Filter | None = None, sort: Sort = Sort.HEALTH) -> Sequence[str]:
    page = await store.page(where=where or Filter(), sort=sort, limit=1000)
    return [health.account for health in page.healths]


async def test_a_missing_account_is_none(store: HealthStore) -> None:
    assert await store.get("nobody") is None
    assert await store.history("nobody") == []
    assert await listed(store) == []


async def test_an_older_position_changes_nothing(store: HealthStore) -> None:
    assert await store.write(1, 2**53 + 1, [row("acme", 10_000, Band.CRITICAL)]) == [Written.WRITTEN]
    assert await store.write(1, 2**53, [row("acme", 90_000, Band.HEALTHY)]) == [Written.OLDER]
    assert await store.write(1, 9, [row("acme", 90_000, Band.HEALTHY)]) == [Written.OLDER]
    found = await store.get("acme")
    assert found is not None
    assert found.band is Band.CRITICAL
    assert await listed(store, Filter(band=Band.HEALTHY)) == []
    assert await store.write(2, 0, [row("acme", 90_000, Band.HEALTHY)]) == [Written.WRITTEN]


async def test_the_same_position_twice_is_the_same_and_other_bytes_are_a_conflict(store: HealthStore) -> None:
    await store.write(1, 5, [row("acme")])
    answer = await store.write(1, 5, [row("acme"), row("globex"), row("acme", 1, Band.CRITICAL)])
    assert answer == [Written.SAME, Written.WRITTEN, Written.CONFLICT]
    assert await listed(store, Filter(band=Band.CRITICAL)) == []


async def test_indexes_follow_a_change_of_band_owner_segment_and_name(store: HealthStore) -> None:
    await store.write(1, 1, [row("acme", owner="a@x.io", segment="smb", name="Zeta", arr=10), row("b", name="Mid")])
    await store.write(1, 2, [row("acme", 5, Band.CRITICAL, owner="b@x.io", segment="ent", name="Alpha", arr=20)])
    assert await listed(store, Filter(band=Band.WATCH)) == ["b"]
    assert await listed(store, Filter(band=Band.CRITICAL, owner="b@x.io", segment="ent")) == ["acme"]
    assert await listed(store, Filter(owner="a@x.io")) == []
    assert await listed(store, Filter(segment="smb")) == []
    assert await listed(store, sort=Sort.NAME) == ["acme", "b"]
    await store.write(1, 3, [row("acme", 5, Band.CRITICAL, name="Alpha")])
    assert await listed(store, Filter(owner="b@x.io")) == []


async def test_listings_are_worst_first_with_unknown_last_richest_first_or_by_name(store: HealthStore) -> None:
    rows = [
        row("good", 90_000, Band.HEALTHY, arr=1, name="b"),
        row("new", None, Band.UNKNOWN, arr=500, name="A"),
        row("bad", 3_000, Band.CRITICAL, name="c"),
    ]
    await store.write(1, 1, rows)
    assert await listed(store) == ["bad", "good", "new"]
    assert await listed(store, sort=Sort.ARR) == ["new", "good", "bad"]
    assert await listed(store, sort=Sort.NAME) == ["new", "good", "bad"]


@pytest.mark.parametrize("sort", list(Sort))
async def test_pages_of_any_size_give_every_account_once(store: HealthStore, sort: Sort) -> None:
    rows = [row(f"a{n}", n % 7 * 1000 if n % 5 else None, owner="o" if n % 3 else None, arr=n % 4) for n in range(5000)]
    await store.write(1, 1, rows)
    for limit, where in ((999, Filter()), (700, Filter(owner="o"))):
        seen: list[str] = []
        cursor = None
        while True:
            page = await store.page(where=where, sort=sort, limit=limit, cursor=cursor)
            seen += [health.account for health in page.healths]
            cursor = page.cursor
            if cursor is None:
                break
        assert sorted(seen) == sorted(r.account for r in rows if where.owner in (None, r.owner))


async def test_a_cursor_survives_the_account_it_stands_on(store: HealthStore) -> None:
    await store.write(1, 1, [row(f"a{n}", n * 1000) for n in range(1, 6)])
    first = await store.page(where=Filter(), limit=2)
    await store.write(1, 2, [row("a2", 90_000)])
    rest = await store.page(where=Filter(), limit=9, cursor=first.cursor)
    assert [health.account for health in rest.healths] == ["a3", "a4", "a5", "a2"]


@pytest.mark.parametrize("cursor", ["", "%%%", "YWJj", "bm90X2FfbnVtYmVyH2FjbWU="])
async def test_a_made_up_cursor_is_refused(store: HealthStore, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await store.page(where=Filter(), cursor=cursor)


async def test_history_keeps_changes_and_one_point_a_day(store: HealthStore) -> None:
    steps = [(10, 50_000), (20, 50_000), (30, 40_000), (DAY_MS, 40_000), (DAY_MS + 1, None)]
    for offset, (at, health) in enumerate(steps):
        band = Band.WATCH if health is not None else Band.UNKNOWN
        await store.write(1, offset, [row("acme", health, band, at=at)])
    assert await store.history("acme") == [
        Point(10, 50_000, Band.WATCH),
        Point(30, 40_000, Band.WATCH),
        Point(DAY_MS, 40_000, Band.WATCH),
        Point(DAY_MS + 1, None, Band.UNKNOWN),
    ]


async def test_history_is_capped(store: HealthStore) -> None:
    for offset in range(410):
        await store.write(1, offset, [row("acme", offset, at=offset)])
    history = await store.history("acme")
    assert (len(history), history[-1].at) == (400, 409)


async def test_odd_names_stay_apart(store: HealthStore) -> None:
    odd = 'a:{b}\x1f"c d\u202e\n'
    await store.write(1, 1, [row(odd, name="x\0y\x1fz"), row("plain", name="x")])
    assert sorted(await listed(store, sort=Sort.NAME)) == sorted([odd, "plain"])
    found = await store.get(odd)
    assert found is not None
    assert found.account == odd


async def test_an_emptied_redis_is_seen_and_filled_again(store: HealthStore, redis_url: str) -> None:
    await store.write(1, 1, [row("acme")])
    for partition in (0, 3):
        assert await store.end_fill(SEVENTH, partition, fill=await store.begin_fill(partition))
    assert await store.filled() == {0: 7, 3: 7}
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
        await redis.script_flush()
    assert await store.filled() == {}
    assert await store.write(1, 1, [row("acme")]) == [Written.WRITTEN]


async def points_of(store: HealthStore, account: str) -> list[int]:
    return [point.at for point in await store.history(account)]


async def test_an_erased_account_is_in_no_listing_and_an_older_write_does_not_bring_it_back(store: HealthStore) -> None:
    named = row("acme", owner="a@x.io", segment="smb", name="Zeta", arr=10)
    await store.write(1, 5, [named, row("b", owner="a@x.io", segment="smb", name="Mid")])
    assert await store.write(1, 9, [removal("acme", at=2 * DAY_MS)]) == [Written.WRITTEN]
    assert await store.write(1, 8, [named]) == [Written.OLDER]
    assert await store.write(1, 9, [removal("acme", at=2 * DAY_MS)]) == [Written.SAME]
    assert await store.get("acme") is None
    assert await store.history("acme") == []
    for where in (Filter(), Filter(owner="a@x.io"), Filter(segment="smb"), Filter(band=Band.WATCH)):
        assert await listed(store, where) == ["b"]
    assert [await listed(store, sort=sort) for sort in Sort] == [["b"]] * 3


async def test_an_erased_account_that_comes_back_has_no_history_from_before(store: HealthStore) -> None:
    await store.write(1, 5, [row("acme", owner="a@x.io")])
    erased = 2 * DAY_MS
    await store.write(1, 9, [removal("acme", at=erased)])
    back = row("acme", 60_000, at=3 * DAY_MS)._replace(erased=erased)
    await store.write(1, 12, [back])
    before = [Point(DAY_MS, 1, Band.CRITICAL), Point(DAY_MS, 1, Band.CRITICAL, reconstructed=True)]
    await store.put_history({"acme": [*before, Point(erased, 2, Band.WATCH)]})
    assert await points_of(store, "acme") == [erased, 3 * DAY_MS]
    assert await listed(store, Filter(owner="a@x.io")) == []


async def test_a_removal_that_was_overtaken_by_a_later_health_still_takes_the_history(store: HealthStore) -> None:
    await store.write(1, 5, [row("acme", owner="a@x.io", name="Zeta")])
    await store.write(1, 12, [row("acme", at=3 * DAY_MS, name="New")._replace(erased=2 * DAY_MS)])
    await store.write(1, 13, [row("acme", at=4 * DAY_MS, name="New")._replace(erased=2 * DAY_MS)])
    assert await points_of(store, "acme") == [3 * DAY_MS, 4 * DAY_MS]
    assert await listed(store, sort=Sort.NAME) == ["acme"]
    assert await listed(store, Filter(owner="a@x.io")) == []


async def test_a_fill_during_which_redis_was_emptied_does_not_count(store: HealthStore, redis_url: str) -> None:
    fill = await store.begin_fill(3)
    await store.write(1, 1, [row("acme")])
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    assert not await store.end_fill(SEVENTH, 3, fill=fill)
    assert await store.filled() == {}


async def test_of_two_fills_only_the_one_that_began_last_counts(store: HealthStore) -> None:
    first, last = await store.begin_fill(3), await store.begin_fill(3)
    assert not await store.end_fill(SEVENTH, 3, fill=first)
    assert await store.end_fill(SEVENTH, 3, fill=last)
    assert await store.filled() == {3: 7}
