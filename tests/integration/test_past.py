"""What was known at a moment of the past, and what changed between two: over real Kafka and Redis, through the API."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from redis.asyncio import Redis

from services.alerts import scores
from services.alerts.core.moving_events import Span, Tally
from services.alerts.core.signals import Signals
from services.alerts.core.windows import days_of
from services.alerts.event_log import Between, EventLog
from shared.contracts.events import wire_time
from shared.contracts.health import AccountHealth
from shared.contracts.partition import partition_of
from shared.contracts.topics import EVENTS, PARTITIONS
from shared.contracts.topology import Topology, topics_of
from shared.health_store import HealthRow, HealthStore
from shared.kafka import create_topics, producer
from shared.key_search import KeySearch
from shared.keys import KeyRecord, Scope
from tests.support.alerts_api import app_of, past_of
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, START, Log
from tests.support.past import History, encoded, mirror, write_history
from tests.support.servers import kafka_in, running

DAYS = 90
END = START + DAYS * DAY
ACCOUNTS = ["acme", "globex", "acme/eu", "アクメ", *(f"account-{n}" for n in range(20))]


def lives() -> Log:
    """Return 90 days of accounts that come and go, with other rules from day 60 on and a tick every six hours."""
    log, draw = Log(), random.Random(3)
    log.contexts = dict(bundles())
    first, second = sorted(log.contexts)[:2]
    for account in ACCOUNTS:
        log.event(account, "account", at=START, data={"name": account.upper(), "seats": 5})
    for day in range(DAYS):
        for quarter in range(4):
            begins = START + day * DAY + quarter * 6 * HOUR
            used = [
                (begins + draw.randrange(6 * HOUR), account)
                for account in ACCOUNTS
                if account != "globex" or day >= 50
                for _ in range(draw.randrange(3) if draw.random() < 0.5 else 0)
            ]
            for at, account in sorted(used):  # as the broker stamps them: its times never go back
                kind = draw.choice(["login", "usage", "outcome"])
                log.event(account, kind, at=at, data={"user": f"u{draw.randrange(6)}", "name": "Export"})
            log.tick(begins + 6 * HOUR, context=first if day < 60 else second)
    return log


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A filled Kafka and Redis with an API before them."""

    kafka: str
    history: History
    redis: Redis
    api: httpx.AsyncClient

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.api.get(path, params=query)

    async def changes(self, account: str, **query: str) -> dict[str, Any]:
        answer = await self.get(f"/v1/accounts/{account}/changes", **query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a broker on which the topics have their real names."""
    with running(kafka_in(tmp_path_factory.mktemp("past-kafka"))) as server:
        yield server.bootstrap


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a few hundred records many steps back."""
    monkeypatch.setattr(scores, "FIRST_RECORDS", 4)


@pytest.fixture(scope="module")
def history(kafka: str) -> History:
    """Return what lies in its topics."""
    return asyncio.run(write_history(kafka, lives()))


@pytest.fixture
async def world(kafka: str, history: History, redis_url: str) -> AsyncIterator[World]:
    async with Redis.from_url(redis_url) as redis:
        await mirror(redis, history)
        search = KeySearch(kafka)
        await search.start()
        async with serving(redis, search) as client:
            yield World(kafka=kafka, history=history, redis=redis, api=client)
        await search.stop()


def serving(redis: Redis, search: KeySearch, *, events: EventLog | None = None, now: int = END) -> httpx.AsyncClient:
    """Return a client of the API as it is at a moment."""
    key = KeyRecord(id="k", hash="", scopes=frozenset({Scope.READ}), source="me")
    app = app_of(past_of(redis, search, events=events, now=now), key=key)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://alerts")


async def test_every_account_at_any_moment_is_as_it_was_published_then_byte_for_byte(world: World) -> None:
    draw = random.Random(5)
    for account in ACCOUNTS:
        moments = [one.at for one in draw.sample(list(world.history.scores[account]), 3)]
        for at in [*moments, *(moment - 1 for moment in moments), draw.randrange(START, END), END]:
            answer = await world.get(f"/v1/accounts/{account}", as_of=wire_time(at))
            wanted = world.history.known_at(account, at)
            if wanted is None:
                assert (answer.status_code, answer.json()["code"]) == (404, "not_known_then")
            else:
                assert answer.content == b'{"as_of":%d,' % at + encoded(wanted)[1:], (account, at)
    assert sum(len(scores) for scores in world.history.scores.values()) > 2000


async def test_an_offset_in_the_time_is_understood(world: World) -> None:
    utc = await world.get("/v1/accounts/acme", as_of="2026-05-01T12:00:00Z")
    tokyo = await world.get("/v1/accounts/acme", as_of="2026-05-01T21:00:00+09:00")
    assert utc.status_code == 200
    assert utc.content == tokyo.content


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("acme", {"as_of": "yesterday"}, 422, "as_of: 'yesterday' is no RFC 3339 time with an offset; write 2026-"),
        ("acme", {"as_of": "2026-05-01T12:00:00 09:00"}, 422, "the + of an offset is %2B"),
        ("acme", {"as_of": wire_time(END + 1)}, 422, "has not come yet; leave it out for what is known now"),
        ("acme", {"as_of": wire_time(START - 30 * DAY)}, 404, "nothing was known of account 'acme' at 2026-01-31"),
        ("globex", {"as_of": wire_time(START + 9 * HOUR)}, 200, '"health":null'),
        ("nobody", {"as_of": wire_time(END)}, 404, "or its id is wrong"),
        ("acme/changes", {}, 422, "query.from: Field required"),
        ("acme/changes", {"from": "now"}, 422, "from: 'now' is no RFC 3339 time"),
        ("acme/changes", {"from": wire_time(END - DAY), "to": wire_time(END + DAY)}, 422, "to: "),
        ("acme/changes", {"from": wire_time(END - DAY), "to": wire_time(END - DAY)}, 422, "from: must lie before to"),
    ],
)
async def test_what_cannot_be_answered_names_the_parameter_and_what_to_do(
    world: World, path: str, query: dict[str, str], status: int, said: str
) -> None:
    answer = await world.get(f"/v1/accounts/{path}", **query)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


async def test_a_change_sums_exactly_and_its_events_are_those_of_the_log(world: World) -> None:
    draw = random.Random(7)
    counted = 0
    for account in [account for account in ACCOUNTS for _ in range(2)]:
        begin, end = sorted(draw.sample(range(START + 20 * DAY, END), 2))
        found = await world.changes(account, **{"from": wire_time(begin), "to": wire_time(end)})
        earlier, later = world.history.known_at(account, begin), world.history.known_at(account, end)
        assert earlier is not None
        assert later is not None
        assert (found["earlier"]["at"], found["later"]["at"]) == (earlier.at, later.at)
        assert found["change"] == (later.health or 0) - (earlier.health or 0)
        assert found["change"] == sum(one["by_value"] + one["by_weight"] for one in found["measures"])
        assert found["events"]["cut"] is None, found["events"]
        for moved in found["events"]["measures"]:
            if moved["measure"] in {"outcomes_28", "events_28"} and not moved["left_out"]:
                (measure,) = [one for one in found["measures"] if one["measure"] == moved["measure"]]
                signs = {"entered": 1, "left": -1}
                summed = sum(signs[row["move"]] * row["count"] for row in moved["days"])
                assert summed == (measure["value_now"] or 0) - (measure["value_then"] or 0), (account, begin, end)
                counted += 1
    assert counted > 3


async def test_a_change_is_told_in_words_and_names_no_user(world: World) -> None:
    found = await world.changes("acme", **{"from": wire_time(END - 7 * DAY)})
    assert found["later"]["at"] == world.history.scores["acme"][-1].at
    assert all(one["words"] for one in found["measures"])
    rows = [row for moved in found["events"]["measures"] for row in moved["days"]]
    assert rows
    assert {*rows[0]} == {"day", "window", "move", "kind", "name", "source", "count", "users", "ids"}
    assert not [row for row in rows if any(one.startswith("u") for one in row["ids"])]
    days = days_of("acme")
    assert all(row["day"] <= wire_time(days.begins(days.of(END)))[:10] for row in rows)


async def test_nothing_from_before_an_erasure_is_told(world: World) -> None:
    erased_at, account = END - 10 * DAY, "account-3"
    store = HealthStore(world.redis)
    last = world.history.scores[account][-1]
    await store.write(1, last.offset + 1, [HealthRow(account, b"", None, "unknown", erased_at, erased=erased_at)])
    for at in (START + 30 * DAY, erased_at - 1):
        answer = await world.get(f"/v1/accounts/{account}", as_of=wire_time(at))
        assert (answer.status_code, answer.json()["code"]) == (410, "erased")
        assert answer.json()["message"].endswith(f"erased at {wire_time(erased_at)}: nothing from before is told")
    since = await world.get(f"/v1/accounts/{account}/changes", **{"from": wire_time(erased_at - DAY)})
    assert since.status_code == 410
    after = await world.get(f"/v1/accounts/{account}", as_of=wire_time(erased_at + 2 * DAY))
    assert after.status_code == 200
    found = await world.changes(account, **{"from": wire_time(erased_at + 2 * DAY)})
    told = [row["day"] for moved in found["events"]["measures"] for row in moved["days"]]
    assert told
    assert min(told) >= wire_time(erased_at - HOUR)[:10]


async def test_while_redis_cannot_tell_who_was_erased_nothing_is_told(world: World) -> None:
    await world.redis.flushall()
    answer = await world.get("/v1/accounts/acme", as_of=wire_time(END))
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "not_filled", "5")


async def test_what_is_cut_off_is_said(world: World) -> None:
    search = KeySearch(world.kafka)
    await search.start()
    for log, why in ((EventLog(search, most_records=1), "records"), (EventLog(search, most_s=0), "time")):
        async with serving(world.redis, search, events=log) as client:
            query = {"from": wire_time(END - 3 * DAY)}
            found = (await client.get("/v1/accounts/acme/changes", params=query)).json()["events"]
            assert found["cut"] == why
            assert found["unread"]
    await search.stop()


async def test_without_kafka_it_is_said_when_to_come_back(world: World) -> None:
    search = KeySearch("127.0.0.1:9")
    async with serving(world.redis, search) as client:
        answer = await client.get("/v1/accounts/acme", params={"as_of": wire_time(END)})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "5")


async def test_when_the_scorers_stood_still_the_last_word_before_holds(world: World) -> None:
    search = KeySearch(world.kafka)
    await search.start()
    async with serving(world.redis, search, now=END + 9 * DAY) as client:
        for account in ACCOUNTS:
            answer = await client.get(f"/v1/accounts/{account}", params={"as_of": wire_time(END + 8 * DAY)})
            found = msgspec.json.decode(answer.content, type=AccountHealth)
            assert found == world.history.scores[account][-1]
    await search.stop()


async def test_events_are_found_on_both_sides_of_a_new_cut_of_the_log(world: World) -> None:
    new = Topology(generation=2, partitions=3)
    await create_topics(world.kafka, [replace(one, log_append_time=False) for one in topics_of(new)[:1]])
    at = END - HOUR
    log = Log()
    for number in range(5):
        log.event("acme", "usage", at=at, id=f"new-{number}", data={"user": "u1", "name": "Since"})
    async with producer(world.kafka) as client:
        for record in log.records:
            await client.send_and_wait(new.events, record.value, key=b"acme", partition=1, timestamp_ms=at)
    last = world.history.scores["acme"][-1]
    earlier = world.history.known_at("acme", END - 2 * DAY)
    assert earlier is not None
    later = msgspec.structs.replace(last, generation=2, partition=1, offset=4)
    span = Span(days=days_of("acme"), earlier=earlier.at, later=later.at, since=0)
    tally = Tally("acme", ["active_days"], span, signals=Signals())
    search = KeySearch(world.kafka)
    await search.start()
    found = await EventLog(search).moving(Between(earlier=earlier, later=later), tally)
    await search.stop()
    names = {row.name: row.count for moved in found.measures for row in moved.days}
    assert found.cut is None
    assert names["Since"] == 4  # the fifth lies behind the later tick
    assert names["Export"] > 0


async def test_events_the_log_no_longer_holds_are_said_to_be_gone(world: World) -> None:
    """The last test here: it deletes them."""
    number = partition_of(b"acme", partitions=PARTITIONS)
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka)
    await admin.start()
    half = len(world.history.log[number]) // 2
    await admin.delete_records({TopicPartition(EVENTS, number): RecordsToDelete(before_offset=half)})
    await admin.close()
    found = await world.changes("acme", **{"from": wire_time(START + 40 * DAY), "to": wire_time(START + 41 * DAY)})
    assert found["events"]["cut"] == "expired"
    assert found["events"]["unread"]
