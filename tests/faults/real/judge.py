"""Judge one partition: what the log says, by the oracle alone, against what the running system left behind."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from lab import oracle
from lab.live import Live, read_contexts, read_partition
from lab.oracle_records import Record
from lab.verify import Difference, compared
from shared.contracts.events import MOVED_HEADER, TICK_TYPE
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition
from shared.contracts.topics import DEAD_LETTERS, EVENTS, RISK, SCORES
from shared.health_store import HealthStore
from shared.kafka import read_to_end

STAGE: Final = b"scorer"
ASK_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What Redis held of each account, as its bytes, and the log ends it must have been up to."""

    held: Mapping[str, bytes]
    ends: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What judging one partition found."""

    partition: int
    end: int
    fates: Mapping[str, int]
    """Of every record, by the oracle's names."""
    fates_then: Mapping[str, int]
    """Of the records that were there when the scorers' own counts were asked for, by FATES."""
    ids: Mapping[str, int]
    """How often each event id lies here."""
    transitions: Sequence[Transition]
    """What the oracle published, in order."""
    repeated: int
    """Transitions the topic holds more than once: written again after a crash, with the same id."""
    accounts: int
    behind: int
    differences: Sequence[Difference] = field(default_factory=list)
    undead: int = 0
    """Offsets that should be in the dead-letter topic and are not, or the other way round."""


async def snapshot(redis_url: str) -> Mapping[str, bytes]:
    """Return what Redis holds now of each account, as its bytes."""
    client = Redis.from_url(redis_url)
    try:
        keys = [key async for key in client.scan_iter(match="churn:health:*", count=1000)]
        return {key.decode().removeprefix("churn:health:"): await client.hget(key, "p") or b"" for key in keys}  # type: ignore[misc]  # redis-py's types
    finally:
        await client.aclose()


async def filled(redis_url: str) -> int:
    """Return of how many partitions Redis holds every account, 0 when it does not answer."""
    client = Redis.from_url(redis_url, socket_timeout=ASK_S)
    try:
        return len(await HealthStore(client).filled())
    except RedisError:
        return 0
    finally:
        await client.aclose()


def judge(kafka: str, number: int, partitions: int, snapshots: Sequence[Snapshot], then: int) -> Judged:
    """Judge a partition in a process of its own; its log ended at `then` when the scorers' counts were asked for."""
    return asyncio.run(_judge(kafka, number, partitions=partitions, snapshots=snapshots, then=then))


async def _judge(kafka: str, number: int, *, partitions: int, snapshots: Sequence[Snapshot], then: int) -> Judged:
    records = await read_partition(kafka, EVENTS, number)
    contexts = await read_contexts(kafka)
    result = oracle.run(records, partition=number, partitions=partitions, contexts=contexts)
    live = await _published(kafka, number)
    differences: list[Difference] = []
    behind = 0
    for taken in snapshots:
        differences += _against(result, taken.held, live, partition=number)
        behind += _behind(result, taken, partition=number)
    dead = {record.offset for record, fate in zip(records, result.fates, strict=True) if fate not in _ALIVE}
    buried = await _buried(kafka, number)
    return Judged(
        partition=number,
        end=records[-1].offset + 1 if records else 0,
        fates=result.counts,
        fates_then=Counter(
            _FATE_OF.get(fate, "dead")
            for record, fate in zip(records, result.fates, strict=True)
            if record.offset < then
        ),
        ids=_ids(records),
        transitions=result.transitions,
        repeated=len(live.transitions) - len({transition.id for transition in live.transitions}),
        accounts=len(result.healths),
        behind=behind,
        differences=differences,
        undead=len(dead ^ buried),
    )


def _behind(result: oracle.Result, taken: Snapshot, *, partition: int) -> int:
    """Count the accounts whose last health before the log end of that moment was not in Redis."""
    wanted = {
        account: health.offset
        for evaluation in result.evaluations
        if evaluation.offset < taken.ends[partition]
        for account, health in evaluation.healths.items()
    }
    return sum(_offset(taken.held.get(account)) < offset for account, offset in wanted.items())


def _offset(raw: bytes | None) -> int:
    return -1 if raw is None else msgspec.json.decode(raw, type=AccountHealth).offset


def _against(result: oracle.Result, held: Mapping[str, bytes], live: Live, *, partition: int) -> list[Difference]:
    """Compare what was published and what Redis held, field by field and then byte by byte."""
    healths = {name: msgspec.json.decode(raw, type=AccountHealth) for name, raw in held.items()}
    mine = {name: health for name, health in healths.items() if health.partition == partition}
    upto = max((health.offset for health in mine.values()), default=-1)
    found = compared(result, partition=partition, upto=upto, healths=mine, live=live)
    latest = {
        account: health
        for evaluation in result.evaluations
        if evaluation.offset <= upto
        for account, health in evaluation.healths.items()
    }
    found += [
        Difference(account=account, at=health.at, what="bytes in redis")
        for account, health in latest.items()
        if account in mine and held[account] != msgspec.json.encode(health)
    ]
    return found


async def _published(kafka: str, number: int) -> Live:
    risks = [record.value async for record in read_to_end(kafka, RISK, number) if record.key is not None]
    scores = [record.value async for record in read_to_end(kafka, SCORES, number)]
    return Live(
        transitions=[msgspec.json.decode(value, type=Transition) for value in risks if value],
        scores=[msgspec.json.decode(value, type=AccountHealth) for value in scores if value],
    )


async def _buried(kafka: str, number: int) -> set[int]:
    """Return the offsets of this partition's events that the scorer dead-lettered."""
    found = set()
    async for record in read_to_end(kafka, DEAD_LETTERS, number):
        headers = dict(record.headers)
        if headers.get("dlq-stage") == STAGE:
            found.add(int(headers["src-offset"]))
    return found


def _ids(records: Sequence[Record]) -> Counter[str]:
    """Count the ids of events; what was moved to where it belongs lies in the log twice."""
    found: Counter[str] = Counter()
    for record in records:
        if any(name == MOVED_HEADER for name, _ in record.headers):
            continue
        try:
            said = json.loads(record.value or b"")
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("type") != TICK_TYPE:
            found[str(said["id"])] += 1
    return found


FATES: Final = ("applied", "duplicate", "dead", "moved", "ticks")
"""As the scorer counts them; the oracle names the reason of each that is dead."""
_FATE_OF: Final[Mapping[str, str]] = {**{fate: fate for fate in FATES}, "tick": "ticks"}
_ALIVE: Final = frozenset({"applied", "duplicate", "moved", "tick"})
