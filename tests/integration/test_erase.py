"""`churnwatch erase` against real Kafka, Redis, a scorer process and an alert service: gone, and gone it stays."""

from collections.abc import Mapping

import msgspec
import pytest
from redis.asyncio import Redis

from lab import erase
from lab.trouble import Trouble
from lab.verify import compare
from services.alerts.answer import Refused
from services.alerts.consumer import Names
from services.alerts.past_api import Past
from services.ingest.core.identity import Belonging, user_hasher, user_key
from shared import clock
from shared.contracts.alerts import READERS
from shared.contracts.events import wire_time
from shared.contracts.topics import ALERTS, FACTS, IDENTITY, PARTITIONS
from shared.health_store import HealthStore
from shared.kafka import producer, read_to_end
from shared.key_search import KeySearch
from tests.support.alerting import Slack, service, slack_double
from tests.support.alerts_api import past_of
from tests.support.scoring import ScorerProcess, Written, event, write
from tests.support.waiting import soon

DAY = 86_400_000
KEY = "ab" * 32
NAMED: dict[str, object] = {"name": "Acme GmbH", "owner": "dana@example.com", "seats": 10}


@pytest.fixture
def scorer(scorer: ScorerProcess, monkeypatch: pytest.MonkeyPatch) -> ScorerProcess:
    """Return one that writes the time itself; commands find Redis and the key of users."""
    monkeypatch.setenv("CHURNWATCH_REDIS", scorer.redis)
    monkeypatch.setenv("CHURNWATCH_USER_HASH_KEY", KEY)
    scorer.settings = {"CHURNWATCH_SCORER_INSTANCE": "scorer-0"}
    return scorer


def hashed(user: str) -> str:
    return user_hasher(bytes.fromhex(KEY))(user)


def life(account: str, *, end: int, first: int) -> list[Written]:
    """Return three weeks of an account that did not pay yesterday; `first` is the number of its first event."""
    moments = [end - 21 * DAY + day * DAY for day in range(20)]
    used = [
        event(account, "outcome", at=at, number=first + n, data={"user": hashed("42" if n % 2 else "43")})
        for n, at in enumerate(moments)
    ]
    facts: list[tuple[str, dict[str, object]]] = [("account", NAMED), ("billing", {"status": "payment_failed"})]
    return used + [
        event(account, kind, at=end - DAY, number=first + 50 + n, data=d) for n, (kind, d) in enumerate(facts)
    ]


async def latest(kafka: str, topic: str) -> Mapping[bytes, bytes]:
    """Return what a compacted topic holds."""
    found = {record.key or b"": record.value async for record in read_to_end(kafka, topic)}
    return {key: value for key, value in found.items() if value is not None}


async def everything(redis: Redis) -> bytes:
    """Return all that Redis holds in hashes, lists and sorted sets, but for the lists of recent events."""
    found = b""
    async for key in redis.scan_iter():
        if key.startswith(b"churn:recent:"):
            continue
        kind = await redis.type(key)
        found += key + b" "
        if kind == b"hash":
            found += repr(await redis.hgetall(key)).encode()
        elif kind == b"list":
            found += repr(await redis.lrange(key, 0, -1)).encode()
        elif kind == b"zset":
            found += repr(await redis.zrange(key, 0, -1)).encode()
        found += b"\n"
    return found


async def same_as_oracle(scorer: ScorerProcess, redis: Redis) -> bool:
    verdict = await compare(scorer.kafka, redis)
    return not verdict.differences and not verdict.behind


async def learn(kafka: str, **belongings: str) -> None:
    async with producer(kafka) as client:
        for user, account in belongings.items():
            value = msgspec.json.encode(Belonging(account=account, at=1))
            key = user_key("app", hashed(user.removeprefix("u"))).encode()
            await client.send_and_wait(IDENTITY, value, key=key)


async def test_an_erased_account_stays_erased_whatever_is_killed_lost_or_sent_again(scorer: ScorerProcess) -> None:
    scorer.start_ready()
    now = clock.now_ms()
    old = life("acme", end=now, first=0)
    await learn(scorer.kafka, u42="acme", u43="globex")
    await write(scorer.kafka, [*old, *life("globex", end=now, first=100)])
    async with slack_double() as slack, service(scorer.kafka, slack=slack.url, names=Names(), group=READERS):
        await soon(lambda: _told(slack, 2))
        async with Redis.from_url(scorer.redis) as redis:
            store = HealthStore(redis)
            await soon(lambda: _is_there(store, "acme"))

            search = KeySearch(scorer.kafka)
            await search.start()
            past = past_of(redis, search, now=now + DAY)
            known = clock.now_ms()
            assert b"Acme GmbH" in await past.then("acme", wire_time(known))

            await erase.account("acme", patience_s=60)

            assert sum(header.endswith(" acme: closed") for header in slack.headers()) == 1
            assert set(await latest(scorer.kafka, ALERTS)) == {b"globex"}
            assert all(key.startswith(b"globex/") for key in await latest(scorer.kafka, FACTS))
            assert set(await latest(scorer.kafka, IDENTITY)) == {user_key("app", hashed("43")).encode()}
            await soon(lambda: _is_gone(store, "acme"))
            assert await _refusal(past, "acme", known) == "erased"

            scorer.kill()
            scorer.start_ready()
            await redis.flushall()
            again = [event("acme", "usage", at=now - n * DAY, number=900 + n) for n in range(1, 20)]
            bills = [event("acme", "billing", at=now - DAY, number=990, data={"status": "payment_failed"})]
            await write(scorer.kafka, [*old, *again, *bills])
            await soon(lambda: _filled(store))
            await soon(lambda: same_as_oracle(scorer, redis))
            assert await store.get("acme") is None
            held = await everything(redis)
            assert b"globex" in held
            (line,) = [line for line in held.splitlines() if b"acme" in line.lower().replace(b"acme gmbh", b"")]
            assert line.startswith(b"churn:health:acme {b'g'")
            assert b"'p'" not in line
            assert await _refusal(past, "acme", known) == "erased"
            assert await _refusal(past, "acme", clock.now_ms()) == "erased"
            assert all(key.startswith(b"globex/") for key in await latest(scorer.kafka, FACTS))

            await write(scorer.kafka, [event("acme", "login", at=clock.now_ms(), number=2000)])
            await soon(lambda: _is_there(store, "acme"))
            await soon(lambda: same_as_oracle(scorer, redis))
            assert all(point.at > now for point in await store.history("acme"))
            assert await _refusal(past, "acme", known) == "erased"
            assert b"Acme" not in await past.then("acme", wire_time(clock.now_ms()))
            await search.stop()
            assert len(slack.messages) == 2


async def test_an_erased_user_is_forgotten_in_every_account_and_what_names_nobody_stays(
    scorer: ScorerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    scorer.start_ready()
    now = clock.now_ms()
    await learn(scorer.kafka, u42="acme", u43="globex")
    await write(scorer.kafka, [*life("acme", end=now, first=0), *life("globex", end=now, first=100)])
    async with Redis.from_url(scorer.redis) as redis:
        store = HealthStore(redis)
        await soon(lambda: _is_there(store, "acme"))
        await soon(lambda: _seats(store, "acme", 200))

        await erase.user("42", source="app", patience_s=60)

        shown = capsys.readouterr().out
        assert "the user was seen in 2 accounts" in shown
        await soon(lambda: _seats(store, "acme", 100))
        await soon(lambda: _seats(store, "globex", 100))
        await soon(lambda: same_as_oracle(scorer, redis))
        facts = await latest(scorer.kafka, FACTS)
        assert hashed("42").encode() not in b"".join(facts.values())
        assert sum(key.startswith(b"acme/outcome/") for key in facts) == 10
        assert b"acme/account/m-50" in facts
        assert set(await latest(scorer.kafka, IDENTITY)) == {user_key("app", hashed("43")).encode()}
        health = await store.get("acme")
        assert health is not None
        assert (health.attributes.name, health.last_activity) == ("Acme GmbH", now - 2 * DAY)

    with pytest.raises(Trouble, match="nothing here knows a user"):
        await erase.user("nobody", source="app", patience_s=1)


async def test_without_a_scorer_it_says_so_and_takes_nothing_back(scorer: ScorerProcess) -> None:
    await learn(scorer.kafka, u42="acme")
    with pytest.raises(Trouble, match="is every scorer running"):
        await erase.account("acme", patience_s=1)
    assert len(await latest(scorer.kafka, IDENTITY)) == 1


async def _refusal(past: Past, account: str, at: int) -> str:
    """Return why it isn't said what was known of an account then."""
    with pytest.raises(Refused) as refused:
        await past.then(account, wire_time(at))
    return refused.value.code


async def _told(slack: Slack, count: int) -> bool:
    return len(slack.messages) == count


async def _is_there(store: HealthStore, account: str) -> bool:
    return await store.get(account) is not None


async def _is_gone(store: HealthStore, account: str) -> bool:
    return await store.get(account) is None


async def _filled(store: HealthStore) -> bool:
    return len(await store.filled()) == PARTITIONS


async def _seats(store: HealthStore, account: str, wanted: int) -> bool:
    health = await store.get(account)
    return health is not None and wanted in [c.value for c in health.contributions if c.measure == "seats_used"]
