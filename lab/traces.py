"""Find what topics know of an account or a user, and take it back: the log, facts, identities."""

import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
from aiokafka.structs import ConsumerRecord

from services.ingest.core.identity import Belonging, user_key
from shared.contracts.events import source_of
from shared.contracts.topics import FACTS, IDENTITY
from shared.contracts.topology import Topology
from shared.kafka import partition_counts, producer, read_to_end
from shared.topology import current_topology

TOLD_EVERY_S: Final = 5.0
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]+")

Record: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom to forget: a user of a source by the hash of its id, or else everything of `account`."""

    account: str | None = None
    source: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a compacted topic, in the partition it lies in."""

    partition: int
    key: bytes


class _Data(msgspec.Struct):
    user: str | None = None


class Seen(msgspec.Struct):
    """What finding somebody reads of an event."""

    subject: str = ""
    source: str = ""
    data: _Data = msgspec.field(default_factory=_Data)


async def accounts_of(kafka: str, subject: Subject, *, tell: Tell) -> Sequence[str]:
    """Return every account in which a user was seen: by what is known of its belonging, by facts, and by the log.

    The log is read once from its start, of every generation that still exists; `tell` hears how far it is every few
    seconds.
    """
    found = {told.account async for key, told in _belongings(kafka) if key.key == _user_key(subject)}
    async for record in read_to_end(kafka, FACTS):
        event = event_of(record, subject)
        found |= {event.subject} if event else set()
    seen, told_at = 0, time.monotonic()
    async for record in _log(kafka):
        seen += 1
        event = event_of(record, subject)
        found |= {event.subject} if event else set()
        if time.monotonic() - told_at > TOLD_EVERY_S:
            told_at = time.monotonic()
            tell(f"{seen} records of the log read, {len(found)} accounts found")
    tell(f"{seen} records of the log read: the user was seen in {len(found)} accounts")
    return sorted(found)


async def _log(kafka: str) -> AsyncIterator[Record]:
    current = await current_topology(kafka)
    generations = [Topology(generation=n, partitions=current.partitions) for n in range(1, current.generation + 1)]
    for topic, count in (await partition_counts(kafka, [one.events for one in generations])).items():
        if count:
            async for record in read_to_end(kafka, topic):
                yield record


async def identities_of(kafka: str, subject: Subject) -> Sequence[Key]:
    """Return the keys of `churn.identity.v1` to take back: the user's, or those of all users of the account."""
    return [
        key
        async for key, told in _belongings(kafka)
        if (key.key == _user_key(subject) if subject.user else told.account == subject.account)
    ]


async def facts_of(kafka: str, subject: Subject, *, partitions: Iterable[int]) -> Sequence[Key]:
    """Return the keys of `churn.facts.v1` to take back: those that name the user, or all of the account."""
    found: dict[Key, None] = {}
    for partition in partitions:
        async for record in read_to_end(kafka, FACTS, partition):
            key = Key(partition=partition, key=record.key or b"")
            if record.value is None:
                found.pop(key, None)
            elif event_of(record, subject) is not None:
                found[key] = None
    return list(found)


async def take_back(kafka: str, topic: str, keys: Sequence[Key]) -> None:
    """Write an empty record under each key, and return when all are durable."""
    async with producer(kafka, linger_ms=5) as client:
        sent = [await client.send(topic, None, key=key.key, partition=key.partition) for key in keys]
        for one in sent:
            await one


async def _belongings(kafka: str) -> AsyncIterator[tuple[Key, Belonging]]:
    last: dict[Key, bytes | None] = {}
    async for record in read_to_end(kafka, IDENTITY):
        last[Key(partition=record.partition, key=record.key or b"")] = record.value
    for key, value in last.items():
        if value is not None:
            try:
                yield key, msgspec.json.decode(value, type=Belonging)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # the ingest can't read it either: it tells nobody anything


def event_of(record: Record, subject: Subject) -> Seen | None:
    """Return the event in a record if it is of the subject."""
    wanted = subject.user or subject.account or ""
    # letters can be written as \u…: only a value without any may be passed over unread
    is_plain = _PLAIN.fullmatch(wanted) is not None and b"\\u" not in (record.value or b"")
    if record.value is None or (is_plain and wanted.encode() not in record.value):
        return None
    try:
        event = msgspec.json.decode(record.value, type=Seen)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if subject.user is None:
        return event if event.subject == subject.account else None
    is_theirs = event.data.user == subject.user and event.source == source_of(subject.source or "")
    return event if is_theirs and event.subject else None


def _user_key(subject: Subject) -> bytes:
    return user_key(subject.source or "", subject.user or "").encode()
