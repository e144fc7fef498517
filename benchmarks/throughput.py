"""Measure the scorer's whole job on one core against a loop that only fetches, in the same run.

Real Kafka and Redis, events of 350 bytes compressed as the ingest writes them, 200,000 accounts (Zipf) with 28 days of
history, 1 % duplicates, 10 % late, a tick in a partition after each 50,000 of its events, every sink on.
A sample of accounts is compared with the oracle. Judge by the ratios: machines differ.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis import Redis

from benchmarks.events import Population, history, live, population, write
from deploy.local.kafka import LocalKafka
from deploy.local.redis import LocalRedis
from deploy.local.server import free_port
from lab import oracle
from lab.oracle_records import Record
from services.scorer.config import load_bundle
from services.scorer.core import chunks
from shared import clock
from shared.contracts.context import ContextKind
from shared.contracts.health import AccountHealth
from shared.contracts.topics import ACTIVITY, CONTEXT, EVENTS, PARTITIONS, TOPICS
from shared.kafka import create_topics, producer, read_to_end

RESULTS = Path(__file__).parent / "results" / "throughput.json"
JOB_CORE, SERVER_CORE = 0, 1
TIMEOUT_S = 900
SPAN_MINUTES = 10
SAMPLE = 40
KEY = "42" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure."""

    accounts: int
    events: int
    repeats: int
    history: int
    profile: Path | None


def main() -> None:
    """Measure, print and write the results."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--accounts", type=int, default=200_000)
    arguments.add_argument("--events", type=int, default=1_000_000, help="events a repeat")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--history", type=int, default=4, help="events of history an account")
    arguments.add_argument("--profile", type=Path, help="write what py-spy saw of the last repeat, as raw stacks")
    given = arguments.parse_args()
    plan = Plan(**vars(given))
    with tempfile.TemporaryDirectory(prefix="churnwatch-bench-") as folder:
        kafka, redis = LocalKafka(Path(folder) / "kafka"), LocalRedis(Path(folder) / "redis")
        os.sched_setaffinity(0, {SERVER_CORE})  # inherited by the servers; the measured processes choose their own
        kafka.start()
        redis.start()
        try:
            results = asyncio.run(Run(plan, kafka=kafka.bootstrap, redis=redis.url, folder=Path(folder)).measure())
        finally:
            redis.stop()
            kafka.stop()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    for result in results:
        print(json.dumps(result))


class Run:
    """One run: load, then measure floor and job again and again over new stretches of the log."""

    def __init__(self, plan: Plan, *, kafka: str, redis: str, folder: Path) -> None:
        self._plan = plan
        self._kafka = kafka
        self._redis = redis
        self._folder = folder
        self._people: Population = population(plan.accounts)
        self._now = clock.now_ms() - 3_600_000 - plan.repeats * SPAN_MINUTES * 60_000

    async def measure(self) -> Sequence[Mapping[str, object]]:
        await create_topics(self._kafka, TOPICS.values())
        context = await self._publish_bundle()
        parts = history(self._people, end=self._now, per_account=self._plan.history, seed=7)
        loaded = await write(self._kafka, self._people, parts, context=context)
        _say(f"{loaded} records of history written")
        await self._job(loaded, profile=None)
        pairs = []
        for repeat in range(self._plan.repeats):
            starts = await self._ends(EVENTS)
            start = self._now + repeat * SPAN_MINUTES * 60_000
            parts = live(self._people, events=self._plan.events, start=start, minutes=SPAN_MINUTES, seed=repeat + 1)
            records = await write(self._kafka, self._people, parts, context=context)
            floor = self._floor(records, starts)
            profile = self._plan.profile if repeat == self._plan.repeats - 1 else None
            job = await self._job(records, profile=profile)
            pairs.append((records, floor, job))
            _say(f"floor {records / floor['wall_s']:,.0f}/s, whole job {job['records'] / job['wall_s']:,.0f}/s: {job}")
        compared = await self._compare_with_oracle(context)
        return _results(pairs, plan=self._plan, compared=compared)

    async def _publish_bundle(self) -> int:
        bundle = load_bundle(Path("config"))
        client = producer(self._kafka)
        async with client:
            sent = await client.send_and_wait(
                CONTEXT, key=ContextKind.BUNDLE.value.encode(), value=msgspec.json.encode(bundle), partition=0
            )
        return int(sent.offset)

    def _floor(self, records: int, starts: Sequence[int]) -> Mapping[str, float]:
        command = ["benchmarks.floor", self._kafka, str(JOB_CORE), str(records), ",".join(map(str, starts))]
        done = subprocess.run(
            [sys.executable, "-m", *command], check=True, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        return _numbers(done.stdout)

    async def _job(self, records: int, *, profile: Path | None) -> Mapping[str, float]:
        """Run the scorer until `records` are scored and the checkpoint contains them all; return its measurement."""
        command = [sys.executable, "-m", "benchmarks.job", str(JOB_CORE), str(records)]
        job = self._started(command)
        spy = None if profile is None else subprocess.Popen(_spying(job.pid, profile), stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        try:
            line = await asyncio.wait_for(asyncio.to_thread(job.stdout.readline), TIMEOUT_S)  # type: ignore[union-attr]
            if not line:
                raise RuntimeError(f"the scorer ended: {(self._folder / 'scorer.log').read_text('utf-8')[-2000:]}")
            if spy is not None:
                spy.send_signal(signal.SIGINT)  # then it writes what it saw
                await asyncio.to_thread(spy.wait, 60)
            await self._checkpointed()
        finally:
            if spy is not None:
                spy.kill()
            job.terminate()
            job.wait(60)
            job.stdout.close()  # type: ignore[union-attr]
        return _numbers(line)

    def _started(self, command: Sequence[str]) -> "subprocess.Popen[str]":
        with (self._folder / "scorer.log").open("ab") as log:
            return subprocess.Popen(command, env=self._environment(), stdout=subprocess.PIPE, stderr=log, text=True)

    def _environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "CHURNWATCH_KAFKA": self._kafka,
            "CHURNWATCH_REDIS": self._redis,
            "CHURNWATCH_DATA": str(self._folder / "data"),
            "CHURNWATCH_DEAD_LETTER_KEY": KEY,
            "CHURNWATCH_SCORER_PORT": str(free_port()),
            "CHURNWATCH_SCORER_TICKS": "false",
        }

    async def _checkpointed(self) -> None:
        """Return when a complete cycle of every partition has the end of the log as its base."""
        deadline = time.monotonic() + 300
        ends = await self._ends(EVENTS)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, group_id=None, max_partition_fetch_bytes=1 << 21)
        async with consumer:
            while await self._bases(consumer) != ends:
                if time.monotonic() > deadline:
                    raise TimeoutError("the checkpoint does not reach the end of the log")
                await asyncio.sleep(1.0)

    async def _bases(self, consumer: AIOKafkaConsumer) -> list[int]:
        bases = []
        for partition, end in enumerate(await self._ends(ACTIVITY)):
            tp = TopicPartition(ACTIVITY, partition)
            consumer.assign([tp])
            consumer.seek(tp, max(0, end - 1))
            value = (await consumer.getone(tp)).value if end else b""
            closed = chunks.kind_of(value) == "marker"
            bases.append(chunks.read_marker(value).base if closed else -1)
        return bases

    async def _ends(self, topic: str) -> list[int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, group_id=None)
        async with consumer:
            tps = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            ends = await consumer.end_offsets(tps)
        return [ends[tp] for tp in tps]

    async def _compare_with_oracle(self, context: int) -> int:
        """Score a sample of accounts with the oracle and return how many are equal in Redis; raise if one is not."""
        draw = random.Random(1)  # noqa: S311  a sample, not a secret
        chosen = {self._people.names[rank] for rank in (0, 10, *draw.sample(range(self._plan.accounts), SAMPLE))}
        keys = {name.encode() for name in chosen}
        logs: dict[int, list[Record]] = {number: [] for number in range(PARTITIONS)}
        async for record in read_to_end(self._kafka, EVENTS):
            if record.key is None or record.key in keys:
                kept = Record(offset=record.offset, ts=record.timestamp, key=record.key, value=record.value)
                logs[record.partition].append(kept)
        bundle = load_bundle(Path("config"))
        config = msgspec.json.decode(bundle.config)
        parts = {name: config.get(name) for name in ("scorecard", "rules", "journey", "calendars")}
        contexts = {context: oracle.Bundle(version=bundle.version, **parts)}
        with Redis.from_url(self._redis) as client:
            for partition, log in logs.items():
                wanted = oracle.run(log, partition=partition, partitions=PARTITIONS, contexts=contexts).healths
                for account, health in wanted.items():
                    found = msgspec.json.decode(client.hget(f"churn:health:{account}", "p"), type=AccountHealth)  # type: ignore[arg-type]
                    if found != health:
                        raise AssertionError(f"{account}: redis has {found}, the oracle {health}")
        return len(chosen)


def _results(
    pairs: Sequence[tuple[int, Mapping[str, float], Mapping[str, float]]], *, plan: Plan, compared: int
) -> Sequence[Mapping[str, object]]:
    floors = [records / floor["wall_s"] for records, floor, _ in pairs]
    jobs = [job["records"] / job["wall_s"] for _, _, job in pairs]
    ratios = [job / floor for job, floor in zip(jobs, floors, strict=True)]
    floor_cpu = [floor["cpu_s"] / records * 1e6 for records, floor, _ in pairs]
    job_cpu = [job["cpu_s"] / job["records"] * 1e6 for _, _, job in pairs]
    cpu_ratios = [floor / job for floor, job in zip(floor_cpu, job_cpu, strict=True)]
    about = {"accounts": plan.accounts, "events": plan.events, "repeats": plan.repeats, "core": "numpy"}
    whole = {
        "name": "whole job, numpy only",
        "value": round(statistics.median(jobs)),
        "unit": "events/s",
        "ratio": round(statistics.median(ratios), 3),
        "ratio_worst": round(min(ratios), 3),
        "ratio_of_cpu": round(statistics.median(cpu_ratios), 3),
        "cpu_us_per_event": round(statistics.median(job_cpu), 2),
        "equal_to_oracle": compared,
        "load_average": round(os.getloadavg()[1], 1),
        **about,
    }
    floor_line = {
        "name": "floor: fetch and count",
        "value": round(statistics.median(floors)),
        "unit": "records/s",
        "ratio": 1.0,
        "cpu_us_per_event": round(statistics.median(floor_cpu), 2),
    }
    names = {"fold_s": "in fold batches", "tick_s": "in batches with a tick", "redis_s": "waiting for redis"}
    shares = [
        {
            "name": f"share: {name}",
            "value": round(statistics.median(job[key] / job["wall_s"] for _, _, job in pairs), 3),
            "unit": "of wall time",
            "ratio": None,
        }
        for key, name in names.items()
    ]
    rows = statistics.median(job["redis_rows"] / job["records"] for _, _, job in pairs)
    return [
        whole,
        floor_line,
        *shares,
        {"name": "accounts written to redis", "value": round(rows, 3), "unit": "an event", "ratio": None},
    ]


def _spying(pid: int, profile: Path) -> Sequence[str]:
    program = str(Path(sys.executable).parent / "py-spy")
    return [program, "record", "--nonblocking", "-r", "100", "-f", "raw", "-o", str(profile), "-p", str(pid)]


def _numbers(line: str) -> Mapping[str, float]:
    return msgspec.json.decode(line, type=dict[str, float])


def _say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
