"""Fixtures for tests of the scorer as a process: a broker where topics have their real names, and a scorer on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.scoring import OWN_TIME, ScorerProcess, empty_topics
from tests.support.servers import kafka_in, running


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a broker on which the topics have their real names, as the last test left them."""
    with running(kafka_in(tmp_path_factory.mktemp("broker"))) as server:
        yield server.bootstrap


@pytest.fixture
async def scorer(
    broker: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ScorerProcess]:
    """Return a scorer, not started, before an empty log into which the test writes the time; commands find the log."""
    monkeypatch.setenv("CHURNWATCH_KAFKA", broker)
    await empty_topics(broker)
    process = ScorerProcess(kafka=broker, redis=redis_url, folder=tmp_path, settings=OWN_TIME)
    yield process
    process.stop()
