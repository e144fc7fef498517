"""The alert service as a process of its own: elected, serving the API, taking commands, surviving a kill."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from deploy.local.kafka import LocalKafka
from deploy.local.server import free_port
from lab.slack_double.press import Interactivity
from shared import clock, keys
from shared.contracts.alerts import Delivery, DeliveryState
from shared.contracts.health import AccountHealth, Band
from shared.contracts.notices import ListedAlert, Notice, NoticeKind
from shared.contracts.partition import partition_of
from shared.contracts.risk import Change, Severity
from shared.contracts.topics import NOTICES, PARTITIONS, RISK, TOPICS
from shared.contracts.topology import Topology
from shared.health_store import HealthRow, HealthStore
from shared.kafka import create_topics, producer
from tests.support.alerting import KEY, Slack, slack_double
from tests.support.risk import CONFIG, T0, transition
from tests.support.servers import Mailbox
from tests.support.waiting import soon


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with slack_double() as double:
        yield double


@contextmanager
def process(environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service in a process group of its own."""
    with log.open("ab") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "services.alerts"],
            env={**os.environ, **environment},
            stderr=out,
            stdout=out,
            cwd=CONFIG.parent,
        )
        try:
            yield running
        finally:
            running.kill()
            running.wait()


async def test_the_whole_life_of_an_alert(
    own_kafka: LocalKafka, redis_url: str, slack: Slack, smtp: Mailbox, tmp_path: Path
) -> None:
    kafka, port = own_kafka.bootstrap, free_port()
    await create_topics(kafka, TOPICS.values())
    environment = {
        "CHURNWATCH_KAFKA": kafka,
        "CHURNWATCH_REDIS": redis_url,
        "CHURNWATCH_DATA": str(tmp_path),
        "CHURNWATCH_ALERTS_PORT": str(port),
        "CHURNWATCH_SLACK_URL": f"{slack.url}api/",
        "CHURNWATCH_SLACK_TOKEN": "xoxb-test",
        "CHURNWATCH_SMTP_HOST": "127.0.0.1",
        "CHURNWATCH_SMTP_PORT": str(smtp.port),
        "CHURNWATCH_SMTP_TLS": "none",
        "CHURNWATCH_KEY_PEPPER": KEY,
        "CHURNWATCH_DEAD_LETTER_KEY": KEY,
    }
    pepper = bytes.fromhex(KEY)
    reader, read_record = keys.create(scopes=[keys.Scope.READ], source="page", pepper=pepper)
    actor, act_record = keys.create(scopes=[keys.Scope.READ, keys.Scope.ACT], source="page", pepper=pepper)
    sending = producer(kafka)
    await sending.start()
    try:
        await keys.publish(sending, read_record)
        await keys.publish(sending, act_record)
        await sending.send_and_wait(RISK, msgspec.json.encode(transition()), key=b"acme")
        await sending.send_and_wait(NOTICES, msgspec.json.encode(_told_list()), key=_told_list().id.encode())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            with process(environment, tmp_path / "log") as first:

                async def told() -> bool:
                    assert first.poll() is None, (tmp_path / "log").read_text()
                    return len(slack.messages) == 1 and len(smtp.messages) == 1

                await soon(told, within_s=40)
                await _check_api(client, redis_url, reader=reader, actor=actor)

                async def acknowledged() -> bool:
                    return "Acknowledged by Dana" in str(slack.messages[0].blocks)

                await soon(acknowledged)
                first.send_signal(signal.SIGKILL)
                first.wait()
            with process(environment, tmp_path / "log"):
                worse = transition(Change.WORSENED, severity=Severity.CRITICAL, at=T0 + 1)
                await sending.send_and_wait(RISK, msgspec.json.encode(worse), key=b"acme")

                async def worsened() -> bool:
                    return slack.headers() == ["🔴 Acme GmbH: critical"] and len(slack.replies) == 1

                await soon(worsened, within_s=60)
                assert slack.double.counts()["duplicates"] == 0
    finally:
        await sending.stop()


async def _check_api(client: httpx.AsyncClient, redis_url: str, *, reader: str, actor: str) -> None:
    read, act = {"Authorization": f"Bearer {reader}"}, {"Authorization": f"Bearer {actor}"}
    alert = transition().episode

    async def listed() -> bool:
        answer = await client.get("/v1/alerts", params={"state": "open"}, headers=read)
        return answer.status_code == 200 and [a["id"] for a in answer.json()["alerts"]] == [alert]

    await soon(listed)
    assert (await client.get("/v1/alerts")).status_code == 401
    assert (await client.get("/readyz")).json() == {"alerts": True, "keys": True, "redis": True}
    assert "churn_alerts_active 1.0" in (await client.get("/metrics")).text
    shown = (await client.get(f"/v1/alerts/{alert}", headers=read)).json()
    assert {"positions", "earlier", "forgotten"}.isdisjoint(shown)

    async def noticed() -> bool:
        answer = (await client.get("/v1/notices", params={"limit": 1}, headers=read)).json()
        return [[item["account"] for item in notice["items"]] for notice in answer["notices"]] == [["quiet"]]

    await soon(noticed)
    found = (await client.get("/v1/notices", params={"limit": 1}, headers=read)).json()
    after = await client.get("/v1/notices", params={"cursor": found["cursor"]}, headers=read)
    assert after.json() == {"notices": [], "cursor": None}
    assert (await client.get("/v1/notices", params={"kind": "incident"}, headers=read)).json()["notices"] == []
    assert (await client.get("/v1/notices")).status_code == 401

    unknown = await client.get("/v1/accounts/acme", headers=read)
    assert (unknown.status_code, unknown.json()["code"]) == (503, "not_filled")
    async with Redis.from_url(redis_url) as redis:
        store = HealthStore(redis)
        await store.write(1, 1, [_row()])
        partition = partition_of(b"nobody", partitions=PARTITIONS)
        fill = await store.begin_fill(partition)
        await store.end_fill(Topology(generation=1, partitions=PARTITIONS), partition, fill=fill)
    detail = (await client.get("/v1/accounts/acme", headers=read)).json()
    assert (detail["health"], detail["alert"], len(detail["history"])) == (41_200, alert, 1)
    missing = await client.get("/v1/accounts/nobody", headers=read)
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_account")
    page = (await client.get("/v1/accounts", params={"band": "at_risk", "sort": "arr"}, headers=read)).json()
    assert [account["account"] for account in page["accounts"]] == ["acme"]
    bad = await client.get("/v1/accounts", params={"limit": 0}, headers=read)
    assert (bad.status_code, set(bad.json())) == (422, {"code", "message", "detail"})

    assert (await client.post(f"/v1/alerts/{alert}/ack", headers=read)).status_code == 403
    assert (await client.post("/v1/alerts/ep_none/ack", headers=act)).status_code == 404
    done = await client.post(f"/v1/alerts/{alert}/ack", headers=act, json={"by": "Dana"})
    assert (done.status_code, done.json()["alert"]) == (202, alert)


def _told_list() -> Notice:
    listed = ListedAlert(
        alert="ep_1", account="quiet", name=None, rules=["silence"], severity="at_risk", arr=1, currency="EUR"
    )
    told = Delivery(channel="slack", target="@d", state=DeliveryState.DELIVERED, revision=1, delivered_revision=1)
    return Notice(
        id="no_1",
        kind=NoticeKind.STANDING_LIST,
        revision=1,
        created_at=clock.now_ms(),
        changed_at=clock.now_ms(),
        delivery=told,
        items=[listed],
    )


def _row() -> HealthRow:
    one = transition()
    health = AccountHealth(
        account="acme",
        at=T0,
        partition=0,
        offset=1,
        generation=1,
        bundle="b_0",
        health=41_200,
        band=Band.AT_RISK,
        evidence_days=14,
        evidence_needed=14,
        active_days=3,
        active_days_needed=3,
        last_activity=T0,
        silence_deadline=T0,
        contributions=one.contributions,
        episodes=[],
        attributes=one.attributes,
    )
    return HealthRow("acme", msgspec.json.encode(health), 41_200, Band.AT_RISK, T0, arr=48_000, name="Acme GmbH")


async def test_a_button_pressed_in_slack_is_obeyed_and_shown(
    own_kafka: LocalKafka, redis_url: str, slack: Slack, tmp_path: Path
) -> None:
    kafka, port = own_kafka.bootstrap, free_port()
    await create_topics(kafka, TOPICS.values())
    secret = "s" * 32
    slack.double.interactivity = Interactivity(url=f"http://127.0.0.1:{port}/slack/interactions", secret=secret)
    environment = {
        "CHURNWATCH_KAFKA": kafka,
        "CHURNWATCH_REDIS": redis_url,
        "CHURNWATCH_DATA": str(tmp_path),
        "CHURNWATCH_ALERTS_PORT": str(port),
        "CHURNWATCH_SLACK_URL": f"{slack.url}api/",
        "CHURNWATCH_SLACK_TOKEN": "xoxb-test",
        "CHURNWATCH_SLACK_SIGNING_SECRET": secret,
        "CHURNWATCH_KEY_PEPPER": KEY,
        "CHURNWATCH_DEAD_LETTER_KEY": KEY,
    }
    async with producer(kafka) as sending:
        await sending.send_and_wait(RISK, msgspec.json.encode(transition()), key=b"acme")
    with process(environment, tmp_path / "log") as running:

        async def told() -> bool:
            assert running.poll() is None, (tmp_path / "log").read_text()
            return len(slack.messages) == 1

        await soon(told, within_s=60)
        (message,) = slack.messages
        buttons = [button["action_id"] for button in message.blocks[-1]["elements"]]
        assert buttons == ["ack", "right", "not_a_risk"]
        page = f"{slack.url}press"
        async with httpx.AsyncClient() as client:
            for action in ("not_a_risk", "ack"):
                said = {"channel": message.channel, "ts": message.ts, "action_id": action}
                answer = await client.post(page, data=said)
                assert answer.status_code == 303, answer.text

        async def shown() -> bool:
            blocks = str(slack.messages[0].blocks)
            return "Dana: not a risk" in blocks and "Acknowledged by Dana" in blocks

        await soon(shown, within_s=20)
        assert len(slack.messages) == 1
        assert [button["action_id"] for button in slack.messages[0].blocks[-1]["elements"]] == ["right", "not_a_risk"]
