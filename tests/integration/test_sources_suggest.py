"""`churnwatch sources suggest` reads the real log: one source, some days, and no more events than allowed."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import yaml

from deploy.local.kafka import LocalKafka
from lab.sources import command
from lab.trouble import Trouble
from shared.contracts.events import Event, source_of, tick_record, type_of, wire_time
from shared.contracts.partition import partition_of
from shared.contracts.topics import EVENTS, PARTITIONS, TOPICS
from shared.kafka import create_topics, producer

NOW = datetime.now(UTC)
DAYS = 8


def event(n: int, *, name: str, days_ago: int, source: str = "web-app") -> Event:
    at = int((NOW - timedelta(days=days_ago, minutes=n)).timestamp() * 1000)
    data = msgspec.json.encode({"user": f"u1_{n}", "name": name})
    return Event(
        id=f"{source}-{name}-{days_ago}-{n}",
        source=source_of(source),
        type=type_of("usage"),
        subject=f"account-{n % 4}",
        time=wire_time(at),
        data=msgspec.Raw(data),
    )


@pytest.fixture
async def kafka(own_kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHURNWATCH_KAFKA", own_kafka.bootstrap)
    await create_topics(own_kafka.bootstrap, TOPICS.values())
    events = [
        event(n, name=name, days_ago=day)
        for day in range(DAYS)
        for n in range(12)
        for name in ("Report Exported", "userLoggedIn")
    ]
    events += [event(n, name="Long Ago", days_ago=40 + n % DAYS) for n in range(60)]
    events += [event(n, name="Elsewhere", days_ago=day, source="other") for day in range(DAYS) for n in range(8)]
    sender = producer(own_kafka.bootstrap)
    await sender.start()
    for number in range(PARTITIONS):
        await sender.send(EVENTS, value=tick_record(1, context=0), partition=number)
        await sender.send(EVENTS, key=b"x", value=b"junk", partition=number)
    for one in events:
        key = one.subject.encode()
        number = partition_of(key, partitions=PARTITIONS)
        await sender.send(EVENTS, key=key, value=msgspec.json.encode(one), partition=number)
    await sender.stop()
    return own_kafka.bootstrap


@pytest.mark.usefixtures("kafka")
async def test_the_log_tells_key_features_and_log_ins(capsys: pytest.CaptureFixture[str]) -> None:
    await command.suggest(source="web-app")
    said = capsys.readouterr().out
    assert said.startswith("# 192 events of 12 users in 4 accounts on 8 days, source web-app")
    found = yaml.safe_load(said)
    assert found["key_features"] == ["Report Exported"]
    assert found["sources"] == {"web-app": {"events": {"userLoggedIn": "Signed In"}}}

    await command.suggest(days=60)
    said = capsys.readouterr().out
    assert set(yaml.safe_load(said)["key_features"]) == {"Elsewhere", "Report Exported"}
    assert "Long Ago: only 0 % of its users came back to it" in said

    await command.suggest(most=10 * PARTITIONS)
    assert capsys.readouterr().out.startswith(f"# only the newest {10 * PARTITIONS} events were read\n")
    with pytest.raises(Trouble, match="no events of source 'nobody' in the last 28 days"):
        await command.suggest(source="nobody")
