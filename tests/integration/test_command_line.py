"""The command line against a real Kafka."""

import re

import pytest

from deploy.local.kafka import LocalKafka
from lab import cli, keys, topics
from lab.trouble import Trouble
from shared.contracts.topics import TOPICS
from shared.keys import KeyRing, load

PEPPER = "ab" * 32


@pytest.fixture
def kafka(own_kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHURNWATCH_KAFKA", own_kafka.bootstrap)
    monkeypatch.setenv("CHURNWATCH_KEY_PEPPER", PEPPER)
    return own_kafka.bootstrap


async def test_a_key_is_shown_once_listed_without_its_secret_and_ended(
    kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await topics.create()
    assert f"{len(TOPICS)} topics are as agreed" in capsys.readouterr().out

    await keys.create("web")
    shown = capsys.readouterr().out
    (key,) = set(re.findall(r"ck_[0-9a-f]+_[0-9a-f]+", shown))
    for word in ("analytics.write_key", "new Analytics(", "curl http://127.0.0.1:8801/v1/batch"):
        assert word in shown
    ring = KeyRing(bytes.fromhex(PEPPER))
    ring.records = await load(kafka)
    assert ring.check(key) is not None

    await keys.list_()
    listed = capsys.readouterr().out
    assert "web" in listed
    assert key.split("_")[2] not in listed

    await keys.revoke(key)
    ring.records = await load(kafka)
    assert ring.check(key) is None
    with pytest.raises(Trouble, match="churnwatch key list"):
        await keys.revoke("nobody")
    with pytest.raises(Trouble, match="My App"):
        await keys.create("My App")


def test_without_kafka_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURNWATCH_KAFKA", "127.0.0.1:9")
    monkeypatch.setattr(keys, "PATIENCE_S", 0.5)
    with pytest.raises(SystemExit, match="churnwatch up"):
        cli.main(["key", "list"])
