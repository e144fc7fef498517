"""Measure how long it takes to say what was known of an account: one partition of 1,000,000 accounts over twelve.

A topic of one partition holds three days as the scorer writes them: every account once between 00:00 and 01:00 UTC, and
after that two changes an account and day, of a third of the accounts. Accounts and moments are drawn; then those for
whom most must be read: accounts heard of once a day, just before their next day, and some that do not exist. Beside it
a consumer that reads the same 25 hours forwards. Then how fast the event log is searched for a busy account's events.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.kafka import LocalKafka
from services.alerts.scores import DAILY_MS, Scores
from shared.contracts.events import source_of, type_of, wire_time
from shared.contracts.health import AccountHealth, Attributes, Band, Contribution
from shared.contracts.topics import EVENTS, SCORES, TOPICS
from shared.kafka import create_topics, producer
from shared.key_search import KeySearch

T = TypeVar("T")

RESULTS: Final = Path(__file__).parent / "results" / "past.json"
DAY: Final = 86_400_000
HOUR: Final = 3_600_000
START: Final = 1_780_012_800_000 // DAY * DAY
DAYS: Final = 3
CHANGES: Final = 2
"""An account and day, on average."""
BUSY: Final = b"account-0000001"
RARE: Final = b"account-0080000"
MEASURES: Final = (
    *(("engagement", name) for name in ("recency_days", "active_days_28", "usage_change")),
    *(("adoption", name) for name in ("seats_used", "features_used")),
    ("outcome", "outcomes_28"),
    *(("commercial", name) for name in ("payment_ok", "contract_ok")),
)
Row = tuple[bytes, bytes, int]


def main() -> None:
    """Measure, print and write the results."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--accounts", type=int, default=83_333, help="in the partition")
    arguments.add_argument("--events", type=int, default=3_000_000, help="in the event log's partition")
    arguments.add_argument("--questions", type=int, default=100)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="churnwatch-bench-") as folder:
        kafka = LocalKafka(Path(folder) / "kafka")
        kafka.start()
        try:
            result = asyncio.run(_measure(kafka.bootstrap, given))
        finally:
            kafka.stop()
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


async def _measure(kafka: str, given: argparse.Namespace) -> dict[str, object]:
    await create_topics(kafka, [replace(TOPICS[name], partitions=1) for name in (SCORES, EVENTS)])
    size = await _fill(kafka, SCORES, _healths(given.accounts))
    events_size = await _fill(kafka, EVENTS, _events(given.accounts, given.events))
    search = KeySearch(kafka)
    await search.start()
    scores, draw = Scores(search, partitions=1), np.random.default_rng(1)
    last = START + DAYS * DAY
    drawn = [
        (f"account-{int(draw.integers(given.accounts)):07d}", int(draw.integers(last - DAY, last)))
        for _ in range(given.questions)
    ]
    # told last between 00:00 and 01:00 of the day that ends
    silent = [(f"account-{given.accounts - 1 - n:07d}", last - 1) for n in range(10)]
    forwards = [lambda a=account, t=at: _forwards(kafka, a, t) for account, at in drawn[:5]]
    result = {
        "accounts_in_partition": given.accounts,
        "records_in_a_day": given.accounts * (1 + CHANGES),
        "mb_in_a_day": round(size / DAYS / 1e6),
        "drawn_ms": await _timed([lambda a=a, t=t: scores.known_at(a, t) for a, t in drawn]),
        "heard_of_once_a_day_ms": await _timed([lambda a=a, t=t: scores.known_at(a, t) for a, t in silent]),
        "never_heard_of_ms": await _timed([lambda n=n: scores.known_at(f"nobody-{n}", last - 1) for n in range(10)]),
        "forwards_by_a_consumer_ms": await _timed(forwards),
        "eight_at_once_ms": await _at_once(scores, drawn[:8]),
        "events": given.events,
        "events_mb": round(events_size / 1e6),
        "events_per_s": await _search_events(kafka, search),
    }
    await search.stop()
    return result


async def _timed(questions: Sequence[Callable[[], Awaitable[object]]]) -> dict[str, int]:
    """Ask one after the other; return median and worst, in ms."""
    took = []
    for question in questions:
        began = time.perf_counter()
        await question()
        took.append(1000 * (time.perf_counter() - began))
    return {"median": round(statistics.median(took)), "worst": round(max(took))}


async def _at_once(scores: Scores, questions: Sequence[tuple[str, int]]) -> dict[str, int]:
    async def timed(account: str, at: int) -> float:
        began = time.perf_counter()
        await scores.known_at(account, at)
        return 1000 * (time.perf_counter() - began)

    took = await asyncio.gather(*(timed(*question) for question in questions))
    return {"median": round(statistics.median(took)), "worst": round(max(took))}


async def _search_events(kafka: str, search: KeySearch) -> dict[str, int]:
    """Return how many events a second are passed over for a busy account, a rare one, and by a consumer that counts."""
    tp = TopicPartition(EVENTS, 0)
    end = await search.end(tp)
    rates = {}
    for name, key in (("busy", BUSY), ("rare", RARE)):
        began = time.perf_counter()
        found = await search.all_between(tp, key, start=0, end=end)
        rates[name] = round(found.records / (time.perf_counter() - began))
        rates[f"{name}_found"] = len(found.hits)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=None, max_partition_fetch_bytes=1 << 22)
    async with consumer:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        began = time.perf_counter()
        while await consumer.position(tp) < end:
            await consumer.getmany(tp, timeout_ms=200, max_records=5000)
    return {**rates, "consumer": round(end / (time.perf_counter() - began))}


async def _forwards(kafka: str, account: str, as_of: int) -> AccountHealth | None:
    """Read the 25 hours as a consumer does."""
    tp, found, at = TopicPartition(SCORES, 0), None, 0
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=None, max_partition_fetch_bytes=1 << 22)
    async with consumer:
        consumer.assign([tp])
        consumer.seek(tp, (await consumer.offsets_for_times({tp: as_of - DAILY_MS}))[tp].offset)
        end = (await consumer.end_offsets([tp]))[tp]
        while at <= as_of and await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
                at = record.timestamp
                if record.key == account.encode() and at <= as_of:
                    found = record.value
    return None if found is None else msgspec.json.decode(found, type=AccountHealth)


async def _fill(kafka: str, topic: str, rows: Iterator[Row]) -> int:
    """Write rows into the only partition and return how many bytes their values have."""
    size = 0
    async with producer(kafka) as client:
        builder = client.create_batch()
        for key, value, at in rows:
            size += len(value)
            if builder.append(key=key, value=value, timestamp=at) is None:
                await client.send_batch(builder, topic, partition=0)
                builder = client.create_batch()
                builder.append(key=key, value=value, timestamp=at)
        await _last(client, builder, topic)
    return size


async def _last(client: AIOKafkaProducer, builder: object, topic: str) -> None:
    await client.send_batch(builder, topic, partition=0)
    await client.flush()


def _healths(accounts: int) -> Iterator[Row]:
    draw = np.random.default_rng(2)
    for day in range(DAYS):
        begins = START + day * DAY
        for number in range(accounts):
            yield _health(number, begins + number * HOUR // accounts, draw)
        for number in range(CHANGES * accounts):
            at = begins + HOUR + number * (DAY - HOUR) // (CHANGES * accounts)
            yield _health(int(draw.integers(accounts // 3)), at, draw)


def _health(number: int, at: int, draw: np.random.Generator) -> Row:
    points = [int(draw.integers(12_500)) for _ in MEASURES]
    health = AccountHealth(
        account=f"account-{number:07d}",
        at=at,
        partition=0,
        offset=number,
        generation=1,
        bundle="b_0123456789abcdef",
        health=sum(points),
        band=Band.WATCH,
        evidence_days=14,
        evidence_needed=14,
        active_days=3,
        active_days_needed=3,
        last_activity=at - int(draw.integers(DAY)),
        silence_deadline=at + int(draw.integers(DAY)),
        contributions=[
            Contribution(dimension=d, measure=m, points=p, possible=12_500, value=int(draw.integers(1000)))
            for (d, m), p in zip(MEASURES, points, strict=True)
        ],
        episodes=[],
        attributes=Attributes(
            name=f"Company {number}", owner=f"owner-{number % 50}@vendor.example", segment="mid", arr=number * 10
        ),
    )
    return health.account.encode(), msgspec.json.encode(health), at


def _events(accounts: int, count: int) -> Iterator[Row]:
    draw = np.random.default_rng(3)
    for number in range(count):
        account = f"account-{int(accounts ** draw.random()):07d}"
        at = START + number * DAY // count
        event = {
            "specversion": "1.0",
            "id": draw.bytes(16).hex(),
            "source": source_of("app"),
            "type": type_of("usage"),
            "subject": account,
            "time": wire_time(at),
            "receivedat": wire_time(at),
            "data": {"user": f"u1_{draw.bytes(16).hex()}", "name": "Dashboard Widget Opened"},
        }
        yield account.encode(), msgspec.json.encode(event), at


if __name__ == "__main__":
    main()
