"""Make the log of a benchmark: events as the ingest writes them, Zipf over accounts, with duplicates and latecomers."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaProducer

from shared.contracts.events import tick_record, wire_time
from shared.contracts.partition import partition_of
from shared.contracts.topics import EVENTS, PARTITIONS
from shared.kafka import producer

DAY = 86_400_000
LATE = 0.10
DUPLICATES = 0.01
TICK_EVERY = 50_000
HISTORY_DAYS = 28
IN_FLIGHT = 60
NAMES = [f"Dashboard Widget {verb} From The Weekly Overview" for verb in ("Opened", "Saved", "Shared", "Exported")]

_EVENT = (
    '{"specversion":"1.0","id":"%s","source":"/sources/customer-web-app","type":"churn.%s.v1","subject":"%s",'
    '"time":"%s","receivedat":"%s","data":{"user":"u1_%032x","name":"%s"}}'
)

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Accounts with their partition, and how likely each is to be the next one seen."""

    names: Sequence[str]
    partitions: Ints
    cumulative: npt.NDArray[np.float64]


def population(accounts: int, *, is_uniform: bool = False) -> Population:
    """Return accounts whose activity follows Zipf's law, the most active first; or all equally active."""
    names = [f"account-{number:07d}" for number in range(accounts)]
    weights = np.ones(accounts) if is_uniform else 1.0 / np.arange(10, accounts + 10)
    return Population(
        names=names,
        partitions=np.array([partition_of(name.encode(), partitions=PARTITIONS) for name in names]),
        cumulative=np.cumsum(weights / weights.sum()),
    )


def drawn_from(people: Population, count: int, draw: np.random.Generator) -> Ints:
    """Return the numbers of `count` accounts, each as likely as it is active."""
    return np.searchsorted(people.cumulative, draw.random(count)).clip(0, len(people.names) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Events of one stretch of the log: `ids` number them, equal ids are duplicates; `at` in epoch ms."""

    accounts: Ints
    ids: Ints
    at: Ints
    received: int
    tick: int
    """T of the ticks in and after the stretch."""
    closes: bool
    """Whether every partition gets a tick at its end."""


def history(people: Population, *, end: int, per_account: int, seed: int) -> Iterator[Part]:
    """Yield four weeks before `end`, week by week: every account on `per_account` of 28 days."""
    draw = np.random.default_rng(seed)
    count = len(people.names)
    for week in range(4):
        start = end - (4 - week) * 7 * DAY
        accounts = np.concatenate([draw.permutation(count) for _ in range(max(1, per_account // 4))])
        at = start + draw.integers(0, 7 * DAY, len(accounts))
        ids = week * 10**8 + np.arange(len(accounts))
        yield Part(accounts=accounts, ids=ids, at=at, received=start + 7 * DAY, tick=start + 7 * DAY, closes=True)


def live(people: Population, *, events: int, start: int, minutes: int, seed: int) -> Iterator[Part]:
    """Yield `events` events over some minutes from `start`."""
    draw = np.random.default_rng(seed)
    parts = max(1, events // TICK_EVERY)
    for part in range(parts):
        begin = start + part * minutes * 60_000 // parts
        end = start + (part + 1) * minutes * 60_000 // parts
        accounts = drawn_from(people, TICK_EVERY, draw)
        at = np.sort(draw.integers(begin, end, TICK_EVERY))
        late = draw.random(TICK_EVERY) < LATE
        at[late] -= draw.integers(DAY, 20 * DAY, int(late.sum()))
        ids = seed * 10**9 + part * TICK_EVERY + np.arange(TICK_EVERY)
        again = np.flatnonzero(draw.random(TICK_EVERY) < DUPLICATES)
        again = again[again > 1000]
        before = again - draw.integers(1, 1000, len(again))
        for column in (accounts, at, ids):
            column[again] = column[before]
        yield Part(accounts=accounts, ids=ids, at=at, received=end, tick=end, closes=part == parts - 1)


def encoded(people: Population, part: Part) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield partition, key and value of each event: 350 bytes or a little more."""
    received = wire_time(part.received)
    partitions = people.partitions[part.accounts].tolist()
    for partition, account, number, at in zip(
        partitions, part.accounts.tolist(), part.ids.tolist(), part.at.tolist(), strict=True
    ):
        # everything follows from the id, so that a duplicate is one
        kind = "login" if number % 4 == 0 else "outcome" if number % 20 == 1 else "usage"
        name = people.names[account]
        user = account * 10 + number % 7
        message = f"{number * 0x9E3779B97F4A7C15 & (1 << 128) - 1:032x}-{number:012d}"
        value = _EVENT % (message, kind, name, wire_time(at), received, user, NAMES[number % 4])
        yield partition, name.encode(), value.encode()


async def write(bootstrap: str, people: Population, parts: Iterator[Part], *, context: int) -> int:
    """Append parts, with a tick in a partition after each 50,000 of its events; return how many records there are."""
    client = producer(bootstrap, linger_ms=5, max_batch_bytes=1 << 17)
    written, since = 0, [0] * PARTITIONS
    async with client:
        writer = _Writer(client)
        for part in parts:
            for partition, key, value in encoded(people, part):
                await writer.add(partition, key=key, value=value)
                since[partition] += 1
            tick = tick_record(part.tick, context=context)
            due = [partition for partition in range(PARTITIONS) if part.closes or since[partition] >= TICK_EVERY]
            for partition in due:
                await writer.add(partition, key=None, value=tick)
                since[partition] = 0
            written += len(part.ids) + len(due)
        await writer.close()
    return written


class _Writer:
    """Fills whole batches by partition and keeps some of them in flight."""

    def __init__(self, client: AIOKafkaProducer) -> None:
        self._client = client
        self._open = [client.create_batch() for _ in range(PARTITIONS)]
        self._sent: list[asyncio.Future[object]] = []

    async def add(self, partition: int, *, key: bytes | None, value: bytes) -> None:
        if self._open[partition].append(key=key, value=value, timestamp=None) is None:
            await self._send(partition)
            self._open[partition].append(key=key, value=value, timestamp=None)

    async def close(self) -> None:
        for partition in range(PARTITIONS):
            await self._send(partition)
        await asyncio.gather(*self._sent)

    async def _send(self, partition: int) -> None:
        batch, self._open[partition] = self._open[partition], self._client.create_batch()
        if batch.record_count():
            self._sent.append(await self._client.send_batch(batch, EVENTS, partition=partition))
        if len(self._sent) > IN_FLIGHT:
            await asyncio.gather(*self._sent)
            self._sent.clear()
