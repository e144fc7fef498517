"""Measure how long a scorer takes to be itself again: 1,000,000 accounts in the checkpoint, 10,000 events/s coming in.

A checkpoint of every partition is written as the scorer writes it (two cycles, as a crash finds them), then one is
started while events come at a steady rate, from accounts drawn by Zipf's law as in the other benchmarks; or uniformly,
when nearly every event makes another account due. From its start: until every partition's state is there, and until
what came meanwhile is scored, too.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis

from benchmarks.events import Population, drawn_from, population
from benchmarks.states import SOURCE, filled, names_by_partition, ticked
from deploy.local.kafka import LocalKafka
from deploy.local.redis import LocalRedis
from deploy.local.server import HOST, free_port
from services.scorer.app import seed_of
from services.scorer.config import load_bundle
from services.scorer.core import pack
from services.scorer.core.partition import Partition
from shared import clock
from shared.contracts.context import ContextKind
from shared.contracts.events import wire_time
from shared.contracts.topics import ACTIVITY, CONTEXT, EVENTS, PARTITIONS, TOPICS
from shared.contracts.topology import Topology
from shared.health_store import HealthStore
from shared.kafka import create_topics, producer

RESULTS = Path(__file__).parent / "results" / "recovery.json"
KEY = "42" * 32
FIRST = Topology(generation=1, partitions=PARTITIONS)
TIMEOUT_S = 400.0
DRAWN = 1_000_000
AGO_MS = 60_000
"""How long before the benchmark everybody was judged last."""
CAUGHT_UP = 1.0
"""Seconds of traffic that may lie unread: the consumer is never at the very end."""

_EVENT = (
    '{"specversion":"1.0","id":"%032x","source":"%s","type":"churn.usage.v1","subject":"%s","time":"%s",'
    '"receivedat":"%s","data":{"user":"u1_%032x","name":"Dashboard Widget Opened From The Weekly Overview"}}'
)


def main() -> None:
    """Measure, print and write the results."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--accounts", type=int, default=1_000_000)
    arguments.add_argument("--rate", type=int, default=10_000, help="events a second while the scorer starts")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--uniform", action="store_true", help="every account is as active as any other")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="churnwatch-bench-") as folder:
        kafka, redis = LocalKafka(Path(folder) / "kafka"), LocalRedis(Path(folder) / "redis")
        kafka.start()
        redis.start()
        try:
            run = Run(kafka=kafka.bootstrap, redis=redis.url, folder=Path(folder), rate=given.rate)
            people = population(given.accounts, is_uniform=given.uniform)
            result = asyncio.run(run.measure(people, repeats=given.repeats))
            result = {**result, "activity": "uniform" if given.uniform else "zipf"}
        finally:
            redis.stop()
            kafka.stop()
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result))


class Run:
    """One broker with a checkpoint in it, and scorers that recover from it."""

    def __init__(self, *, kafka: str, redis: str, folder: Path, rate: int) -> None:
        self._kafka = kafka
        self._redis = redis
        self._folder = folder
        self._rate = rate
        self._port = 0
        self._sent = 0

    async def measure(self, people: Population, *, repeats: int) -> Mapping[str, object]:
        await create_topics(self._kafka, TOPICS.values())
        size = await self._write_checkpoints(names_by_partition(len(people.names)))
        runs = [await self._recovery(people) for _ in range(repeats)]
        ready, caught_up = ([run[name] for run in runs] for name in ("state_s", "caught_up_s"))
        return {
            "accounts": len(people.names),
            "events_per_s": self._rate,
            "checkpoint_mb": round(size / 1e6),
            "state_s": {"median": statistics.median(ready), "worst": max(ready)},
            "caught_up_s": {"median": statistics.median(caught_up), "worst": max(caught_up)},
            "target_s": 60,
            "core": "numpy",
            "load_average": round(os.getloadavg()[1], 1),
        }

    async def _write_checkpoints(self, names: Sequence[Sequence[str]]) -> int:
        """Publish the configuration and a checkpoint of every partition that ends where its log does."""
        seed, now, size = seed_of(bytes.fromhex(KEY)), clock.now_ms(), 0
        bundle = load_bundle(Path("config"))
        async with producer(self._kafka, max_batch_bytes=1 << 20) as client:
            key = ContextKind.BUNDLE.value.encode()
            await client.send_and_wait(CONTEXT, key=key, value=msgspec.json.encode(bundle), partition=0)
            for number, some in enumerate(names):
                state = filled(number, some, seed=seed, now=now - AGO_MS)
                ticked(state, at=now - AGO_MS)
                state.position = 0  # the log is empty; an account's chunk contains nothing of it
                for cycle in range(2):
                    size += await _write_cycle(client, pack.begin(state, writer=str(cycle)), state)
        async with Redis.from_url(self._redis) as redis:
            store, topology = HealthStore(redis), Topology(generation=1, partitions=PARTITIONS)
            for partition in range(PARTITIONS):
                await store.end_fill(topology, partition, fill=await store.begin_fill(partition))
        return size // 2

    async def _recovery(self, people: Population) -> Mapping[str, float]:
        """Start a scorer under load and return the seconds until its state is there and until it has caught up."""
        stop = asyncio.Event()
        load = asyncio.create_task(self._send(people, stop))
        await asyncio.sleep(1.0)
        began, ready = time.monotonic(), 0.0
        process = self._started()
        try:
            while time.monotonic() - began < TIMEOUT_S:
                if process.poll() is not None:
                    raise RuntimeError(f"the scorer ended: {(self._folder / 'scorer.log').read_text('utf-8')[-2000:]}")
                if not ready and await asyncio.to_thread(self._is_ready):
                    ready = time.monotonic() - began
                if ready and await asyncio.to_thread(self._scored) >= self._sent - CAUGHT_UP * self._rate:
                    return {"state_s": round(ready, 1), "caught_up_s": round(time.monotonic() - began, 1)}
                await asyncio.sleep(0.2)
            raise TimeoutError("not recovered in time")
        finally:
            process.kill()
            process.wait(60)
            stop.set()
            await load

    async def _send(self, people: Population, stop: asyncio.Event) -> None:
        """Append events at the rate until told to stop."""
        drawn = drawn_from(people, DRAWN, np.random.default_rng(11)).tolist()
        partitions = people.partitions.tolist()
        async with producer(self._kafka, linger_ms=5) as client:
            began, sent = time.monotonic(), 0
            while not stop.is_set():
                due = int((time.monotonic() - began) * self._rate) - sent
                for number in range(sent, sent + due):
                    account = drawn[number % DRAWN]
                    value = _event(people.names[account], self._sent)
                    await client.send(EVENTS, value, key=None, partition=partitions[account])
                    self._sent += 1
                sent += due
                await asyncio.sleep(0.02)

    def _started(self) -> "subprocess.Popen[bytes]":
        self._port = free_port()
        environment = {
            **os.environ,
            "CHURNWATCH_KAFKA": self._kafka,
            "CHURNWATCH_REDIS": self._redis,
            "CHURNWATCH_DATA": str(self._folder / "data"),
            "CHURNWATCH_DEAD_LETTER_KEY": KEY,
            "CHURNWATCH_SCORER_PORT": str(self._port),
            "CHURNWATCH_SCORER_INSTANCE": "scorer-0",
            "CHURNWATCH_SCORER_SESSION_S": "30",
        }
        with (self._folder / "scorer.log").open("ab") as log:
            command = [sys.executable, "-m", "services.scorer"]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def _is_ready(self) -> bool:
        return self._answer("/readyz") is not None

    def _scored(self) -> float:
        lines = (self._answer("/metrics") or "").splitlines()
        fates = [line for line in lines if line.startswith("churn_scorer_log_records{") and '"ticks"' not in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in fates)

    def _answer(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None


async def _write_cycle(client: AIOKafkaProducer, cycle: pack.Cycle, state: Partition) -> int:
    size, first = 0, None
    while (records := cycle.next(state)) is not None:
        for record in records:
            sent = await client.send_and_wait(ACTIVITY, value=record, partition=state.partition)
            first, size = sent.offset if first is None else first, size + len(record)
    marker = cycle.marker(first_record=first or 0, mirrored=True)
    await client.send_and_wait(ACTIVITY, value=marker, partition=state.partition)
    return size


def _event(account: str, number: int) -> bytes:
    now = wire_time(clock.now_ms())
    return (_EVENT % (number, SOURCE, account, now, now, number % 10)).encode()


if __name__ == "__main__":
    main()
