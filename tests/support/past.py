"""Write an event log and the scores that the oracle makes of it into Kafka, with times of their own."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from redis.asyncio import Redis

from lab.oracle_records import Record
from shared.contracts.health import AccountHealth, Band, Reconstructed
from shared.contracts.topics import EVENTS, PARTITIONS, SCORES, TOPICS
from shared.contracts.topology import Topology
from shared.health_store import HealthRow, HealthStore
from shared.kafka import create_topics, producer
from tests.support.log import DAY, Log, by_oracle

REPEATED = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What lies in the topics: records of the event log by partition, and every health by account, in order."""

    log: Mapping[int, Sequence[Record]]
    scores: Mapping[str, Sequence[AccountHealth]]

    def known_at(self, account: str, at: int) -> AccountHealth | None:
        """Return the last health published of an account at or before a moment, by looking at all of them."""
        return next((one for one in reversed(self.scores.get(account, ())) if one.at <= at), None)


async def write_history(kafka: str, log: Log) -> History:
    """Create both topics and fill them; what a crash publishes twice and what an import reconstructs included."""
    events = replace(TOPICS[EVENTS], log_append_time=False, retention=None)  # with times long ago
    await create_topics(kafka, [events, TOPICS[SCORES]])
    parts = {number: log.partition(number, partitions=PARTITIONS) for number in range(PARTITIONS)}
    scores: dict[str, list[AccountHealth]] = {}
    async with producer(kafka, linger_ms=5) as client:
        for number, records in parts.items():
            for record in records:
                await client.send(EVENTS, value=record.value, key=record.key, partition=number, timestamp_ms=record.ts)
            published = by_oracle(records, log.contexts, partition=number, partitions=PARTITIONS).scores
            for one in published:
                scores.setdefault(one.account, []).append(one)
            for key, value, at in _as_published(published):
                await client.send(SCORES, value=value, key=key, partition=number, timestamp_ms=at)
    return History(log=parts, scores=scores)


async def mirror(redis: Redis, history: History) -> None:
    """Write the last health of every account to Redis, and say that nothing is missing."""
    store = HealthStore(redis)
    for number in range(PARTITIONS):
        fill = await store.begin_fill(number)
        await store.end_fill(Topology(generation=1, partitions=PARTITIONS), number, fill=fill)
    for healths in history.scores.values():
        last = healths[-1]
        await store.write(1, last.offset, [HealthRow(last.account, encoded(last), last.health, last.band, last.at)])


def encoded(health: AccountHealth) -> bytes:
    """Return a health as the scorer writes it."""
    return msgspec.json.encode(health)


def _as_published(scores: Sequence[AccountHealth]) -> list[tuple[bytes, bytes, int]]:
    draw, rows = random.Random(1), []
    for number, one in enumerate(scores):
        rows.append((one.account.encode(), encoded(one), one.at))
        if draw.random() < 0.01:
            rows += rows[-REPEATED:]
        if number % 50 == 0:
            past = one.at - draw.randrange(1, 5) * DAY
            day = Reconstructed(
                account=one.account, at=past, health=1, band=Band.CRITICAL, bundle=one.bundle, job="history"
            )
            rows.append((one.account.encode(), msgspec.json.encode(day), past))
    return rows
