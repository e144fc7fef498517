"""Run the scorer as a process and say what it should have done: the oracle over the same log."""

import asyncio
import json
import random
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from redis.asyncio import Redis

from deploy.local.server import HOST, Server, free_port
from lab import oracle
from lab.live import read_contexts
from lab.oracle_records import Record
from shared.contracts.events import source_of, tick_record, type_of, wire_time
from shared.contracts.health import AccountHealth
from shared.contracts.partition import partition_of
from shared.contracts.risk import OpenEpisodes, Transition
from shared.contracts.topics import ACTIVITY, CONTEXT, EVENTS, PARTITIONS, RISK, TOPICS
from shared.health_store import HealthStore
from shared.kafka import create_topics, producer, read_to_end
from tests.support.waiting import eventually, soon

KEY = "5a" * 32
HEALTHY_AFTER_S = 60.0
DAY = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A record for the event log."""

    partition: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def event(account: str, kind: str, *, at: int, number: int, data: Mapping[str, object] | None = None) -> Written:
    """Return an event as the ingest writes it, in its account's partition."""
    value = {
        "specversion": "1.0",
        "id": f"m-{number}",
        "source": source_of("app"),
        "type": type_of(kind),
        "subject": account,
        "time": wire_time(at),
        "data": data or {},
    }
    key = account.encode()
    return Written(partition=partition_of(key, partitions=PARTITIONS), key=key, value=msgspec.json.encode(value))


def ticks(at: int, *, context: int) -> Sequence[Written]:
    """Return a tick for every partition."""
    return [Written(partition=number, value=tick_record(at, context=context)) for number in range(PARTITIONS)]


def days_of_use(days: range, *, end: int, context: int, accounts: int = 25, seed: int = 1) -> Iterator[Written]:
    """Yield events of accounts that differ in rhythm, day by day with a tick at each day's end; day 0 ends at `end`.

    Some go quiet for the last three days; some pay late; names are facts; every tenth event comes twice.
    """
    draw = random.Random(seed + days.start)
    number = days.start * 1_000_000
    for day in days:
        noon = end + day * DAY - DAY // 2
        for index in range(accounts):
            account = f"account-{index}"
            for _ in range(draw.randrange(3) if index % 5 or day < -3 else 0):
                number += 1
                at = noon + draw.randrange(-DAY // 3, DAY // 3)
                data = {"user": f"u{draw.randrange(9)}", "name": draw.choice(["export", "report"])}
                used = event(account, draw.choice(["login", "usage", "outcome"]), at=at, number=number, data=data)
                yield used
                if number % 10 == 0:
                    yield used
            if draw.random() < 0.05:
                number += 1
                status = draw.choice(["payment_failed", "invoice_paid"])
                yield event(account, "billing", at=noon, number=number, data={"status": status})
                number += 1
                facts = {"owner": f"o{index % 3}@vendor.example", "arr": 1000 * index, "name": f"Account {index}"}
                yield event(account, "account", at=noon, number=number, data=facts)
        yield from ticks(end + day * DAY, context=context)


async def write(bootstrap: str, records: Iterable[Written]) -> None:
    """Append records to the event log, each partition in the order given, and return when they are durable."""
    client = producer(bootstrap, linger_ms=5)
    async with client:
        sent = [
            await client.send(
                EVENTS, value=record.value, key=record.key, partition=record.partition, headers=list(record.headers)
            )
            for record in records
        ]
        await asyncio.gather(*sent)


@dataclass(kw_only=True)
class ScorerProcess:
    """`python -m services.scorer`, or a module that changes something in it, against given servers."""

    kafka: str
    redis: str
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    module: str = "services.scorer"
    port: int = 0
    _server: Server | None = None

    def start(self) -> None:
        self.port = free_port()
        environment = {
            "CHURNWATCH_KAFKA": self.kafka,
            "CHURNWATCH_REDIS": self.redis,
            "CHURNWATCH_DATA": str(self.folder / "data"),
            "CHURNWATCH_DEAD_LETTER_KEY": KEY,
            "CHURNWATCH_SCORER_PORT": str(self.port),
            "CHURNWATCH_SCORER_CYCLE_S": "0.5",
            **self.settings,
        }
        command = [sys.executable, "-m", self.module]
        self._server = Server(command, log=self.folder / "scorer.log", environment=environment)

    def start_ready(self) -> None:
        """Start and return once every partition's state is there."""
        self.start()
        self.server.wait_until(self.is_ready, timeout_s=HEALTHY_AFTER_S)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        self.server.kill()

    async def exit_code(self) -> int:
        """Return the code with which the process ends by itself."""
        await soon(self.has_ended, within_s=HEALTHY_AFTER_S)
        self.server.kill()  # closes what we hold of it
        return self.server.returncode or 0

    def wait_ended(self) -> None:
        eventually(lambda: not self.server.is_running(), within_s=HEALTHY_AFTER_S)

    async def has_ended(self) -> bool:
        return not self.server.is_running()

    @property
    def server(self) -> Server:
        assert self._server is not None
        return self._server

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def metrics(self) -> Mapping[str, float]:
        """Return every sample of /metrics by its name with labels."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def logged(self, event_name: str) -> Sequence[Mapping[str, object]]:
        """Return the log lines of one event."""
        lines = (self.folder / "scorer.log").read_text("utf-8").splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in parsed if line.get("event") == event_name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the oracle makes of the event log as it lies in Kafka."""

    healths: Mapping[str, AccountHealth]
    transitions: Sequence[Transition]
    scores: Sequence[AccountHealth]
    fates: Sequence[str]
    facts: Mapping[bytes, bytes | None]
    """The last value of every key of the facts topic."""

    @property
    def counts(self) -> Mapping[str, int]:
        return {fate: self.fates.count(fate) for fate in sorted(set(self.fates))}


OWN_TIME: Final = {"CHURNWATCH_SCORER_TICKS": "false", "CHURNWATCH_SCORER_INSTANCE": "scorer-0"}
"""Settings of a scorer whose time the test writes.

A static member gets its partitions back at once; another waits until the group has given the dead one up.
"""


async def empty_topics(bootstrap: str) -> None:
    """Create every topic anew, empty."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(set(await admin.list_topics()) & set(TOPICS)))
        await soon(lambda: _none_left(admin))
    finally:
        await admin.close()
    await create_topics(bootstrap, TOPICS.values())


async def _none_left(admin: AIOKafkaAdminClient) -> bool:
    return not set(await admin.list_topics()) & set(TOPICS)


async def last_context(bootstrap: str) -> int:
    """Return the last offset of the context topic, -1 if it is empty."""
    return max([record.offset async for record in read_to_end(bootstrap, CONTEXT)], default=-1)


async def expected(bootstrap: str) -> Expected:
    """Score the whole event log with the oracle."""
    contexts = await read_contexts(bootstrap)
    logs: dict[int, list[Record]] = {number: [] for number in range(PARTITIONS)}
    async for record in read_to_end(bootstrap, EVENTS):
        logs[record.partition].append(
            Record(
                offset=record.offset,
                ts=record.timestamp,
                key=record.key,
                value=record.value,
                headers=tuple(record.headers),
            )
        )
    results = [
        oracle.run(log, partition=number, partitions=PARTITIONS, contexts=contexts) for number, log in logs.items()
    ]
    return Expected(
        healths={account: health for result in results for account, health in result.healths.items()},
        transitions=[transition for result in results for transition in result.transitions],
        scores=[score for result in results for score in result.scores],
        fates=[fate for result in results for fate in result.fates],
        facts={
            key.encode(): logs[number][offset].value
            for number, result in enumerate(results)
            for offset, key in result.facts
        },
    )


async def wait_scored(redis: str, wanted: Mapping[str, AccountHealth], *, within_s: float = 60.0) -> None:
    """Return once Redis holds exactly the health wanted of every account; show the first that differs in time."""
    client: Redis = Redis.from_url(redis)
    store = HealthStore(client)

    async def differing() -> tuple[AccountHealth | None, AccountHealth] | None:
        for account, health in wanted.items():
            found = await store.get(account)
            if found != health:
                return found, health
        return None

    async def same() -> bool:
        return await differing() is None

    try:
        await soon(same, within_s=within_s)
    except AssertionError:
        difference = await differing()
        assert difference is None, f"redis has {difference[0]}, the oracle {difference[1]}"
    finally:
        await client.aclose()


async def published_transitions(bootstrap: str) -> Sequence[Transition]:
    """Return the transitions on the risk topic, repetitions included."""
    found = [record async for record in read_to_end(bootstrap, RISK) if record.key is not None]
    transitions = [msgspec.json.decode(record.value or b"", type=Transition) for record in found]
    assert all(record.timestamp == transition.at for record, transition in zip(found, transitions, strict=True))
    assert all(record.partition == transition.partition for record, transition in zip(found, transitions, strict=True))
    return transitions


async def published_lists(bootstrap: str) -> Sequence[OpenEpisodes]:
    """Return the parts of lists of open episodes on the risk topic, repetitions included."""
    found = [record async for record in read_to_end(bootstrap, RISK) if record.key is None]
    return [msgspec.json.decode(record.value or b"", type=OpenEpisodes) for record in found]


async def checkpoint_spans(bootstrap: str) -> Mapping[int, tuple[int, int]]:
    """Return where the checkpoint topic begins and ends, by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    async with consumer:
        tps = [TopicPartition(ACTIVITY, number) for number in range(PARTITIONS)]
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    return {tp.partition: (begins[tp], ends[tp]) for tp in tps}
