"""Somebody says through the API that a milestone is reached: an event, or why it is none."""

import httpx
import msgspec
import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from shared.contracts.events import Event
from shared.contracts.health import Attributes, Band
from shared.contracts.journey import Journey, Milestone, MilestoneState
from shared.contracts.topics import EVENTS
from shared.contracts.topology import Topology
from shared.health_store import HealthRow, HealthStore
from shared.key_search import KeySearch
from shared.keys import KeyRecord, Scope
from shared.publish import NotDurable
from tests.support.alerts_api import app_of, past_of
from tests.support.health_rows import DAY_MS, health_of, row
from tests.support.ingest import MemoryPublisher

NAMES = {"signed": MilestoneState.MET, "kick-off held": MilestoneState.OVERDUE, "live": MilestoneState.OPEN}
KICK_OFF = {"name": "kick-off held", "by": "Dana", "text": "on site"}
ONCE = {"Idempotency-Key": "said-once"}


class Log(MemoryPublisher):
    """What the API published."""

    @property
    def events(self) -> list[Event]:
        return [msgspec.json.decode(record.value or b"", type=Event) for record in self.records]


@pytest.fixture
def log() -> Log:
    return Log()


async def say(
    redis_url: str,
    log: Log,
    *,
    account: str = "acme/eu",
    body: dict[str, str] = KICK_OFF,
    headers: dict[str, str] | None = None,
    scope: Scope = Scope.ACT,
) -> httpx.Response:
    key = KeyRecord(id="k", hash="", scopes=frozenset({scope}), source="me")
    async with Redis.from_url(redis_url) as redis:
        await _fill(HealthStore(redis))
        app = app_of(past_of(redis, KeySearch("127.0.0.1:9"), now=DAY_MS), key=key, publish=log.publish)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://alerts") as client:
            return await client.post(f"/v1/accounts/{account}/milestones", json=body, headers=headers)


async def _fill(store: HealthStore) -> None:
    topology = Topology(generation=1, partitions=1)
    await store.end_fill(topology, 0, fill=await store.begin_fill(0))
    await store.write(1, 1, [_on_its_journey("acme/eu"), row("elsewhere")])


def _on_its_journey(account: str) -> HealthRow:
    milestones = [
        Milestone(name=name, state=state, met_at=None, due=None, all_of=[], any_of=[]) for name, state in NAMES.items()
    ]
    journey = Journey(stage="onboarding", goal="In use", contact=None, channel=None, since=None, milestones=milestones)
    health = replace(health_of(account, 1, Band.WATCH, Attributes(), DAY_MS), journey=journey)
    return HealthRow(account, msgspec.json.encode(health), 1, Band.WATCH, DAY_MS)


async def test_a_word_becomes_an_event_of_the_account(redis_url: str, log: Log) -> None:
    answer = await say(redis_url, log)
    (record,), (event,) = log.records, log.events
    assert (answer.status_code, answer.json()) == (
        202,
        {"event": event.id, "account": "acme/eu", "milestone": "kick-off held"},
    )
    assert (record.topic, record.key, event.subject, event.source) == (EVENTS, b"acme/eu", "acme/eu", "/alerts")
    assert (event.time, event.receivedat) == ("1970-01-02T00:00:00.000Z", "1970-01-02T00:00:00.000Z")
    assert msgspec.json.decode(event.data) == KICK_OFF


async def test_a_repetition_is_the_same_event_and_a_new_word_another(redis_url: str, log: Log) -> None:
    for body, headers in [(KICK_OFF, ONCE), (KICK_OFF, ONCE), ({**KICK_OFF, "name": "live"}, ONCE), (KICK_OFF, None)]:
        assert (await say(redis_url, log, body=body, headers=headers)).status_code == 202
    first, again, live, other = (event.id for event in log.events)
    assert first == again
    assert len({first, live, other}) == 3


async def test_one_that_is_met_may_be_said_again(redis_url: str, log: Log) -> None:
    assert (await say(redis_url, log, body={"name": "signed", "by": "Dana"})).status_code == 202


async def test_a_milestone_the_stage_does_not_have_is_refused_with_those_that_are_open(
    redis_url: str, log: Log
) -> None:
    answer = await say(redis_url, log, body={"name": "kick-off", "by": "Dana"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_milestone")
    assert answer.json()["message"].endswith("has no milestone 'kick-off'; open are: 'kick-off held', 'live'")
    without = await say(redis_url, log, account="elsewhere")
    assert without.status_code == 422
    assert without.json()["message"].endswith("open are: none")
    assert log.records == []


async def test_who_may_say_what(redis_url: str, log: Log) -> None:
    assert (await say(redis_url, log, scope=Scope.READ)).status_code == 403
    unknown = await say(redis_url, log, account="nobody")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_account")
    for body in ({"name": "live"}, {"name": "live", "by": ""}, {**KICK_OFF, "at": "now"}):
        assert (await say(redis_url, log, body=body)).status_code == 422
    assert log.records == []


async def test_a_word_that_is_not_durable_is_answered_503(redis_url: str, log: Log) -> None:
    log.fault = NotDurable("the event log is being moved")
    answer = await say(redis_url, log)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["message"] == "not durable, repeat it: the event log is being moved"
