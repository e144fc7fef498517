"""Real Kafka, Redis and SMTP on this machine behave as the rest of the tests assume."""

import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from redis import Redis

from deploy.local.jars import JarUnavailable, jars, pinned
from deploy.local.kafka import LocalKafka
from deploy.local.redis import LocalRedis
from deploy.local.server import HOST, ServerFailed, free_port, port_is_open
from shared.contracts.topics import ALERTS, EVENTS, TOPICS, Topic
from shared.kafka import KafkaProblem, TopicMismatch, create_topics, producer, read_to_end
from tests.support.servers import Mailbox
from tests.support.waiting import eventually


async def test_topics_are_created_once_with_their_settings(own_kafka: LocalKafka) -> None:
    created = await create_topics(own_kafka.bootstrap, TOPICS.values())
    assert set(created) == set(TOPICS)
    assert await create_topics(own_kafka.bootstrap, TOPICS.values()) == []


async def test_a_topic_with_other_settings_is_named(kafka: str, new_topic: Callable[[Topic], Awaitable[str]]) -> None:
    name = await new_topic(TOPICS[ALERTS])
    with pytest.raises(TopicMismatch) as caught:
        await create_topics(kafka, [Topic(name=name, partitions=1)])
    assert caught.value.differences == [
        f"{name}: 12 partitions, not 1",
        f"{name}: cleanup.policy is compact, not delete",
    ]


async def test_what_was_acknowledged_is_read_to_the_end_after_a_kill(own_kafka: LocalKafka) -> None:
    await create_topics(own_kafka.bootstrap, [TOPICS[EVENTS]])
    async with producer(own_kafka.bootstrap) as sender:
        for number in range(100):
            await sender.send_and_wait(EVENTS, str(number).encode(), key=b"acme")
    own_kafka.kill()
    own_kafka.start()
    found = [record.value async for record in read_to_end(own_kafka.bootstrap, EVENTS)]
    assert found == [str(number).encode() for number in range(100)]


async def test_reading_starts_where_it_is_told(kafka: str, new_topic: Callable[[Topic], Awaitable[str]]) -> None:
    name = await new_topic(Topic(name="one", partitions=1))
    assert [record async for record in read_to_end(kafka, name)] == []
    async with producer(kafka) as sender:
        for number in range(3):
            await sender.send_and_wait(name, str(number).encode())
    assert [record.offset async for record in read_to_end(kafka, name, 0, 1)] == [1, 2]
    assert [record.offset async for record in read_to_end(kafka, name, 0, 3)] == []


async def test_reading_a_topic_that_does_not_exist_says_so(kafka: str) -> None:
    with pytest.raises(KafkaProblem, match="topic 'nowhere' does not exist"):
        assert [record async for record in read_to_end(kafka, "nowhere")] == []


def test_redis_is_empty_at_the_start_of_a_test(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_redis_is_empty_again(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_redis_refuses_writes_when_full_rather_than_forget(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_mail_is_kept(smtp: Mailbox) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "hello"
    message.set_content("text")
    with smtplib.SMTP(smtp.host, smtp.port) as client:
        client.send_message(message)
    assert [str(kept["Subject"]) for kept in smtp.messages] == ["hello"]


def test_mail_to_a_refused_recipient_is_not_kept(smtp: Mailbox) -> None:
    smtp.refuse = lambda _address: "550 no such user"
    with smtplib.SMTP(smtp.host, smtp.port) as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail("a@example.com", ["b@example.com"], "text")
    assert smtp.messages == []


def test_a_taken_port_is_one_clear_line(tmp_path: Path, redis_server_url: str) -> None:
    taken = int(redis_server_url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
    with pytest.raises(ServerFailed, match=f"port {taken} is taken.*CHURNWATCH_REDIS_PORT"):
        LocalRedis(tmp_path, taken).start()


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    port = free_port()
    starter = subprocess.Popen([sys.executable, "-c", _START_REDIS, str(tmp_path), str(port)])
    eventually(lambda: port_is_open(port))
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    eventually(lambda: not port_is_open(port))


def test_a_broken_jar_is_fetched_again_and_a_false_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the smallest jar stands for all, so that the test fetches little
    jar = next(jar for jar in pinned() if jar.artifact == "slf4j-api")
    lock = tmp_path / "jars.lock"
    monkeypatch.setattr("deploy.local.jars.PINS", lock)
    lock.write_text(f"{jar.coordinate} {jar.sha256}\n")
    [path] = jars(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert jars(tmp_path) == [path]
    assert path.read_bytes() == whole

    lock.write_text(f"{jar.coordinate} {'0' * 64}\n")
    with pytest.raises(JarUnavailable, match=r"org\.slf4j:slf4j-api:.*its SHA-256 is"):
        jars(tmp_path)


def test_nothing_listens_anywhere_but_on_this_machine(own_kafka: LocalKafka) -> None:
    settings = (own_kafka.folder / "server.properties").read_text()
    listeners = next(line for line in settings.splitlines() if line.startswith("listeners="))
    assert all(f"://{HOST}:" in listener for listener in listeners.split(","))


_START_REDIS = """
import sys, time
from pathlib import Path
from deploy.local.redis import LocalRedis
LocalRedis(Path(sys.argv[1]), int(sys.argv[2])).start()
time.sleep(60)
"""
