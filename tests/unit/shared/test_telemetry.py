"""The ops endpoints tell a live process from a ready one, and logs are JSON, one object a line."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping

import httpx
import pytest
import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter

from shared.telemetry import Ready, configure_logs, ops_router, with_zeros


def client(ready: Ready, registry: CollectorRegistry | None = None) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(ops_router(ready, registry=registry or CollectorRegistry()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ops")


async def not_ready() -> Mapping[str, bool]:
    return {"kafka": True, "redis": False}


async def test_a_live_process_that_is_not_ready_says_what_is_missing() -> None:
    async with client(not_ready) as ops:
        assert (await ops.get("/healthz")).status_code == 200
        answer = await ops.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"kafka": True, "redis": False}


async def test_a_ready_process_says_so() -> None:
    async def ready() -> Mapping[str, bool]:
        return {"kafka": True}

    async with client(ready) as ops:
        assert (await ops.get("/readyz")).status_code == 200


async def test_a_check_that_fails_or_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails() -> Mapping[str, bool]:
        raise ConnectionError

    async def hangs() -> Mapping[str, bool]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr("shared.telemetry.READY_TIMEOUT_S", 0.01)
    for ready in (fails, hangs):
        async with client(ready) as ops:
            assert (await ops.get("/readyz")).status_code == 503


async def test_a_metric_shows_its_zeros() -> None:
    registry = CollectorRegistry()
    counter = Counter("churn_ingest_events_total", "Events by outcome, for SREs", ["outcome"], registry=registry)
    with_zeros(counter, ["accepted", "rejected"])
    async with client(not_ready, registry) as ops:
        text = (await ops.get("/metrics")).text
    assert 'churn_ingest_events_total{outcome="rejected"} 0.0' in text


@pytest.fixture
def _logs_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logs_restored")
def test_ours_and_the_libraries_logs_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("ingest", "info")
    structlog.get_logger("ingest.api").info("batch_accepted", events=3)
    logging.getLogger("aiokafka").warning("lost %s", "broker")
    logging.getLogger("aiokafka").debug("not shown")
    ours, library = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["events"], ours["service"], ours["level"]) == ("batch_accepted", 3, "ingest", "info")
    assert (library["event"], library["logger"]) == ("lost broker", "aiokafka")
