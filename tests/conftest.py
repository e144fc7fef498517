"""Fixtures every test may use: real Kafka, Redis and SMTP, started once a run and ended with it.

A server that can't start fails the tests that need it, with the reason; nothing is skipped.
"""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from deploy.local.kafka import LocalKafka
from shared.contracts.topics import Topic
from tests.support.servers import Mailbox, fresh_topic, kafka_in, redis_in, running


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the run's broker. It is shared: use `new_topic`, or a broker of your own."""
    with running(kafka_in(tmp_path_factory.mktemp("kafka"))) as broker:
        yield broker.bootstrap


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """Return a started broker for one test, to fill with the real topic names or to kill (6 s to start)."""
    with running(kafka_in(tmp_path)) as broker:
        yield broker


@pytest.fixture
def new_topic(kafka: str) -> Callable[[Topic], Awaitable[str]]:
    """Return a maker of topics: settings of the given topic, a name of its own, on the run's broker."""

    async def make(like: Topic) -> str:
        return await fresh_topic(kafka, like)

    return make


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the run's Redis, as the last test left it."""
    with running(redis_in(tmp_path_factory.mktemp("redis"))) as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """Return the address of an empty Redis."""
    with Redis.from_url(redis_server_url) as client:
        client.flushall()
        client.script_flush()
    return redis_server_url


@pytest.fixture(scope="session")
def smtp_server() -> Iterator[Mailbox]:
    """Return the run's mail server, as the last test left it."""
    with running(Mailbox()) as mailbox:
        yield mailbox


@pytest.fixture
def smtp(smtp_server: Mailbox) -> Mailbox:
    """Return a real SMTP server whose `messages` list is empty."""
    smtp_server.empty()
    return smtp_server
