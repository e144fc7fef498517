"""Measure `churnwatch import`: rows a second from a CSV file into Kafka, beside a loop that only produces the bytes.

`make bench-import`. Importer, ingest, Kafka and this loop share the machine; the floor is aiokafka sending records of
the same size, as many a batch, without reading, judging or HTTP.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from deploy.local.kafka import LocalKafka
from deploy.local.redis import LocalRedis
from shared import kafka
from shared.contracts.topics import EVENTS, PARTITIONS
from shared.keys import Scope
from tests.support.ingest_process import IngestProcess, make_topics, new_key

ROWS = 300_000
RUNS = 3
ACCOUNTS = 2_000


def main() -> None:
    """Run both, one after the other, three times; print each, the median and the worst."""
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(_measure(Path(folder)))
    ratios = [ours / floor for ours, floor in results]
    print(json.dumps({"rows_a_second": results, "ratios": ratios, "load": os.getloadavg()[0]}))
    print(f"import {statistics.median(ours for ours, _ in results):,.0f} rows/s (median of {RUNS})")
    print(f"ratio to the floor: median {statistics.median(ratios):.3f}, worst {min(ratios):.3f}")


async def _measure(folder: Path) -> list[tuple[float, float]]:
    broker, redis = LocalKafka(folder / "kafka", 0), LocalRedis(folder / "redis")
    broker.start()
    redis.start()
    ingest = IngestProcess(folder, broker.bootstrap, CHURNWATCH_REDIS=redis.url)
    try:
        await make_topics(broker.bootstrap)
        ingest.start()
        key = await new_key(broker.bootstrap, "history", (Scope.IMPORT,))
        results = []
        for run in range(RUNS):
            ours = _import(_file(folder, run), key=key, url=ingest.url, data=folder / f"data-{run}")
            results.append((ours, await _floor(broker.bootstrap)))
            print(f"run {run}: import {results[-1][0]:,.0f} rows/s, floor {results[-1][1]:,.0f}")
        return results
    finally:
        ingest.stop()
        redis.stop()
        broker.stop()


def _file(folder: Path, run: int) -> Path:
    rng = np.random.default_rng(run)
    accounts, users = rng.zipf(1.3, ROWS) % ACCOUNTS, rng.integers(0, 20_000, ROWS)
    seconds = np.sort(rng.integers(0, 90 * 86_400, ROWS))
    names = ["Signed In", "Report Viewed", "Record Edited", "Export Run"]
    path = folder / f"history-{run}.csv"
    start = np.datetime64("2026-08-01T00:00:00")
    times = (start + seconds.astype("timedelta64[s]")).astype(str)
    with path.open("w", encoding="utf-8") as file:
        file.write("account,time,user,event\n")
        columns = zip(accounts.tolist(), times.tolist(), users.tolist(), strict=True)
        file.writelines(
            f"acct-{account:05d},{at}Z,user-{user},{names[n % 4]}\n" for n, (account, at, user) in enumerate(columns)
        )
    return path


def _import(file: Path, *, key: str, url: str, data: Path) -> float:
    """Return rows a second by what the command itself says: the sending, after its check of the file."""
    words = [sys.executable, "-m", "lab.cli", "import", str(file), "--key", key, "--url", url, "--no-history"]
    done = subprocess.run(
        words, env={**os.environ, "CHURNWATCH_DATA": str(data)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    print(done.stdout.splitlines()[-1])
    took = float(done.stdout.rpartition(" in ")[2].partition(" s ")[0])
    return ROWS / took


async def _floor(bootstrap: str) -> float:
    value = b'{"specversion":"1.0","id":"i_0123456789abcdef-123456","source":"/sources/history"' + b" " * 220
    client = kafka.producer(bootstrap)
    await client.start()
    began = time.perf_counter()
    for first in range(0, ROWS, 5000):
        sent = []
        for partition in range(PARTITIONS):
            builder = client.create_batch()
            for _ in range(min(5000, ROWS - first) // PARTITIONS + 1):
                if builder.append(key=b"acct-00001", value=value, timestamp=None) is None:
                    sent.append(await client.send_batch(builder, EVENTS, partition=partition))
                    builder = client.create_batch()
            builder.close()
            sent.append(await client.send_batch(builder, EVENTS, partition=partition))
        await asyncio.gather(*sent)
    took = time.perf_counter() - began
    await client.stop()
    return ROWS / took


if __name__ == "__main__":
    main()
