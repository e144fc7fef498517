"""`churnwatch import` through the real ingest into real Kafka: every row once, whatever interrupts it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from deploy.local.kafka import LocalKafka
from deploy.local.redis import LocalRedis
from shared.contracts.context import Import, ImportState
from shared.contracts.events import Imported
from shared.contracts.health import Reconstructed
from shared.contracts.topics import CONTEXT, EVENTS, SCORES
from shared.health_store import HealthStore
from shared.keys import Scope
from tests.support.ingest_process import IngestProcess, kept, make_topics, new_key
from tests.support.servers import kafka_in, redis_in, running
from tests.support.waiting import eventually

HEADER = "account,time,user,event\n"
ROWS = 20_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with running(kafka_in(tmp_path_factory.mktemp("import-kafka"))) as started:
        asyncio.run(make_topics(started.bootstrap))
        yield started


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    with running(redis_in(tmp_path_factory.mktemp("import-redis"))) as started:
        yield started


@pytest.fixture(scope="module")
def ingest(broker: LocalKafka, redis: LocalRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngestProcess]:
    process = IngestProcess(tmp_path_factory.mktemp("import"), broker.bootstrap, CHURNWATCH_REDIS=redis.url)
    with running(process) as started:
        yield started


def command(file: Path, key: str, ingest: IngestProcess, *words: str) -> list[str]:
    return [sys.executable, "-m", "lab.cli", "import", str(file), "--key", key, "--url", ingest.url, *words]


def run(folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    told = {**os.environ, "CHURNWATCH_DATA": str(folder / "data")}
    return subprocess.run(words, env=told, capture_output=True, text=True, timeout=120, check=False)


def history(folder: Path, *, rows: int, prefix: str) -> Path:
    file = folder / f"{prefix}.csv"
    lines = (
        f"{prefix}-{n % 97},{_day(n, rows)}T{n % 24:02d}:00:{n % 60:02d}Z,u{n % 301},Export\n" for n in range(rows)
    )
    file.write_text(HEADER + "".join(lines), "utf-8")
    return file


def _day(n: int, rows: int) -> str:
    return f"2026-0{1 + n * 8 // rows}-{1 + n % 28:02d}"


async def imported(broker: LocalKafka, prefix: str) -> list[Imported]:
    found = [msgspec.json.decode(record.value or b"", type=Imported) for record in await kept(broker.bootstrap, EVENTS)]
    return [event for event in found if event.subject.startswith(prefix)]


async def test_every_row_is_there_once_and_days_are_reconstructed(
    broker: LocalKafka, redis: LocalRedis, ingest: IngestProcess, tmp_path: Path
) -> None:
    file = history(tmp_path, rows=3000, prefix="whole")
    key = await new_key(broker.bootstrap, "past", (Scope.IMPORT,))
    done = await asyncio.to_thread(run, tmp_path, command(file, key, ingest, "--as-of", "2026-11-24"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "sent 3000 rows" in done.stdout
    events = await imported(broker, "whole-")
    assert sorted(event.importrow for event in events) == list(range(3000))
    by_partition: dict[int, list[int]] = {}
    for record in await kept(broker.bootstrap, EVENTS):
        row = msgspec.json.decode(record.value or b"", type=Imported)
        by_partition.setdefault(record.partition, []).append(row.importrow)
    assert all(rows == sorted(rows) for rows in by_partition.values())
    entries = [
        msgspec.json.decode(record.value or b"", type=Import)
        for record in await kept(broker.bootstrap, CONTEXT)
        if record.key == b"import"
    ]
    assert [entry.state for entry in entries] == [ImportState.RUNNING, ImportState.ENDED]
    days = [msgspec.json.decode(r.value or b"", type=Reconstructed) for r in await kept(broker.bootstrap, SCORES)]
    assert days
    assert all(day.reconstructed and day.job == entries[0].job for day in days)
    client: Redis = Redis.from_url(redis.url)
    points = await HealthStore(client).history("whole-1")
    await client.aclose()
    assert len(points) > 30
    assert all(point.reconstructed for point in points)


async def test_a_killed_import_goes_on_where_it_was(broker: LocalKafka, ingest: IngestProcess, tmp_path: Path) -> None:
    file = history(tmp_path, rows=ROWS, prefix="cut")
    key = await new_key(broker.bootstrap, "past", (Scope.IMPORT,))
    words = command(file, key, ingest, "--no-history")
    told = {**os.environ, "CHURNWATCH_DATA": str(tmp_path / "data")}
    first = subprocess.Popen(words, env=told, stdout=subprocess.DEVNULL)  # noqa: ASYNC220  killed below
    progress = tmp_path / "data" / "imports"
    try:
        await asyncio.to_thread(eventually, lambda: any(progress.glob("*.json")), within_s=60)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    again = await asyncio.to_thread(run, tmp_path, words)
    assert again.returncode == 0, again.stderr
    assert "going on after row" in again.stdout
    rows = [event.importrow for event in await imported(broker, "cut-")]
    assert set(rows) == set(range(ROWS))
    assert len(rows) <= ROWS + 10_000, "only what was under way may be there twice"
    assert not any(progress.glob("*.json"))


async def test_a_dry_run_sends_nothing_and_a_bad_file_neither(
    broker: LocalKafka, ingest: IngestProcess, tmp_path: Path
) -> None:
    file = history(tmp_path, rows=50, prefix="dry")
    key = await new_key(broker.bootstrap, "past", (Scope.IMPORT,))
    dry = await asyncio.to_thread(run, tmp_path, command(file, key, ingest, "--dry-run"))
    assert dry.returncode == 0
    assert "50 rows of 50 accounts" in dry.stdout
    assert "nothing was sent" in dry.stdout
    with file.open("a", encoding="utf-8") as more:
        more.write("dry-1,yesterday,u,Export\n")
    bad = await asyncio.to_thread(run, tmp_path, command(file, key, ingest))
    assert bad.returncode == 1
    assert "row 51, column time" in bad.stdout
    assert "nothing was sent" in bad.stderr
    assert await imported(broker, "dry-") == []
    left_out = await asyncio.to_thread(run, tmp_path, command(file, key, ingest, "--skip-bad", "1", "--no-history"))
    assert left_out.returncode == 0
    assert len(await imported(broker, "dry-")) == 50


async def test_a_key_that_may_not_import_is_said_in_one_line(
    broker: LocalKafka, ingest: IngestProcess, tmp_path: Path
) -> None:
    file = history(tmp_path, rows=5, prefix="no")
    key = await new_key(broker.bootstrap, "web", (Scope.INGEST,))
    refused = await asyncio.to_thread(run, tmp_path, command(file, key, ingest))
    assert refused.returncode == 1
    assert "--scope import" in refused.stderr
    assert "Traceback" not in refused.stderr
