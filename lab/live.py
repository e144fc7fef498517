"""Read what the live system holds: the log, the configurations, what Redis and the outgoing topics say."""

from contextlib import suppress
from dataclasses import dataclass

import msgspec
from redis.asyncio import Redis

from lab.oracle import Bundle, Entry
from lab.oracle_records import Record
from shared.contracts.context import Bundle as PublishedBundle
from shared.contracts.context import ContextKind, Guard, Import, Quarantine, Summary
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition
from shared.contracts.topics import CONTEXT, RISK, SCORES
from shared.health_store import Filter, HealthStore, Sort
from shared.kafka import read_to_end
from shared.topology import read_standing

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What was published: each transition and score at least once."""

    transitions: list[Transition]
    scores: list[AccountHealth]


async def read_partition(kafka: str, topic: str, number: int, *, from_offset: int = 0) -> list[Record]:
    """Return a partition's records from an offset on, as the oracle takes them."""
    return [
        Record(
            offset=record.offset,
            ts=record.timestamp,
            key=record.key,
            value=record.value,
            headers=tuple((name, bytes(value)) for name, value in record.headers),
        )
        async for record in read_to_end(kafka, topic, number, from_offset)
    ]


async def read_contexts(kafka: str) -> dict[int, Entry]:
    """Return every entry of the context topic that scoring reads, by its offset; of guards those of this generation."""
    standing = await read_standing(kafka)
    found: dict[int, Entry] = {}
    async for record in read_to_end(kafka, CONTEXT):
        if record.key == ContextKind.BUNDLE.encode() and record.value is not None:
            published = msgspec.json.decode(record.value, type=PublishedBundle)
            config = msgspec.json.decode(published.config)
            found[record.offset] = Bundle(
                version=published.version,
                scorecard=config["scorecard"],
                rules=config["rules"],
                journey=config.get("journey"),
                calendars=config.get("calendars"),
            )
        elif record.key == ContextKind.GUARD.encode() and standing and not standing.holds(record.offset):
            continue  # it names partitions of another generation
        elif record.key in _OF_KIND and record.value is not None:
            with suppress(msgspec.MsgspecError):  # an entry nobody can read says nothing
                found[record.offset] = msgspec.json.decode(record.value, type=_OF_KIND[record.key])
    return found


async def read_live(kafka: str) -> Live:
    """Return all transitions and scores that were ever published."""
    risks = [record.value async for record in read_to_end(kafka, RISK) if record.key is not None]
    scores = [record.value async for record in read_to_end(kafka, SCORES)]
    return Live(
        transitions=[msgspec.json.decode(value, type=Transition) for value in risks if value],
        scores=[msgspec.json.decode(value, type=AccountHealth) for value in scores if value],
    )


async def read_healths(redis: "Redis") -> dict[str, AccountHealth]:
    """Return the health of every account in Redis."""
    store, found, cursor = HealthStore(redis), dict[str, AccountHealth](), None
    while True:
        page = await store.page(where=Filter(), sort=Sort.NAME, limit=PAGE, cursor=cursor)
        found |= {health.account: health for health in page.healths}
        cursor = page.cursor
        if cursor is None:
            return found


_OF_KIND: dict[bytes, type[Import | Guard | Quarantine | Summary]] = {
    ContextKind.IMPORT.encode(): Import,
    ContextKind.GUARD.encode(): Guard,
    ContextKind.QUARANTINE.encode(): Quarantine,
    ContextKind.SUMMARY.encode(): Summary,
}
