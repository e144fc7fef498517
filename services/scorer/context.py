"""Know what a partition can't know alone: configurations, imports, guards, fingerprints, by offset of their topic.

A tick names the last offset of `churn.context.v1` its writer knew; the bundle in force at it is the last one at or
before that offset. So a replay judges old ticks with the bundles of their time.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from services.scorer import metrics
from services.scorer.core.batch import Batch
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.compile import compile_bundle
from services.scorer.core.known import Known
from services.scorer.core.summary import Summaries
from shared.contracts.context import Bundle, ContextKind, Crash, Fingerprint, Guard, Import, Quarantine, Summary
from shared.contracts.events import TICK_TYPE, Tick
from shared.contracts.topics import CONTEXT
from shared.contracts.topology import Standing, Topology
from shared.topology import after_record

START_TIMEOUT_S: Final = 30.0
POLL_MS: Final = 500
FETCH_WAIT_MS: Final = 100
"""Asking for the end waits behind a fetch."""
_TP: Final = TopicPartition(CONTEXT, 0)
_TICK_TYPE: Final = TICK_TYPE.encode()

Entry = Import | Guard | Crash | Quarantine | Summary

log = structlog.get_logger(__name__)


class WrongSecret(RuntimeError):
    """A secret is not the one this deployment's data was made with."""


class _NamedContext(msgspec.Struct):
    type: str
    data: Tick


_read_tick = msgspec.json.Decoder(_NamedContext)


def reader(bootstrap: str) -> AIOKafkaConsumer:
    """Return a consumer for a Context, not started."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )


class Context:
    """A reader of the context topic. Owns its consumer (see `reader`); the producer is somebody else's."""

    def __init__(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._consumer = consumer
        self._producer = producer
        self._bundles: list[tuple[int, CompiledBundle]] = []
        self._entries: list[tuple[int, Entry]] = []
        self._known: dict[int, tuple[int, Known]] = {}
        """What was asked last, by partition: most ticks name the offset of the one before."""
        self._summaries = Summaries()
        self._fingerprints: dict[str, str] = {}
        self.standing: Standing | None = None
        """How the event log is cut, by the entries read; None where nobody noted it yet."""
        self._position = 0
        self._news = asyncio.Condition()

    @property
    def offset(self) -> int:
        """The last offset read, -1 before the first: what a tick written now names."""
        return self._position - 1

    async def start(self) -> None:
        """Read the topic to its end."""
        await self._consumer.start()
        self._consumer.assign([_TP])
        await self._consumer.seek_to_beginning(_TP)
        self._position = await self._consumer.position(_TP)
        await self._read_through(await self._end())

    async def stop(self) -> None:
        await self._consumer.stop()

    async def publish(self, bundle: Bundle) -> None:
        """Append a bundle unless it is the last one, and return when it has been read back."""
        if not self._bundles or self._bundles[-1][1].version != bundle.version:
            await self._append(ContextKind.BUNDLE, msgspec.json.encode(bundle))
            log.info("bundle_published", version=bundle.version)

    async def check_secrets(self, secrets: Mapping[str, bytes]) -> None:
        """Raise WrongSecret if a secret differs from the one first used here; note the ones not seen before."""
        for name, secret in secrets.items():
            fingerprint = hashlib.sha256(secret).hexdigest()[:16]
            known = self._fingerprints.get(name)
            if known is None:
                entry = Fingerprint(name=name, fingerprint=fingerprint)
                await self._append(ContextKind.FINGERPRINT, msgspec.json.encode(entry))
            elif known != fingerprint:
                raise WrongSecret(
                    f"{name} has the fingerprint {fingerprint}, but this deployment's data was made with {known}:"
                    " give the scorer the key it had before, or start on empty topics"
                )

    async def tell(self, entry: Entry) -> None:
        """Append an entry and return when it has been read back."""
        await self._append(_KIND_OF[type(entry)], msgspec.json.encode(entry))

    def quarantined(self, topic: str, partition: int) -> Sequence[Quarantine]:
        """Return what is known of a partition's records on which the core raised."""
        return [
            entry
            for _, entry in self._entries
            if isinstance(entry, Quarantine) and (entry.topic, entry.partition) == (topic, partition)
        ]

    def crashes(self, topic: str, partition: int) -> Sequence[Crash]:
        """Return on which records of a partition the core raised so far."""
        return [
            entry
            for _, entry in self._entries
            if isinstance(entry, Crash) and (entry.topic, entry.partition) == (topic, partition)
        ]

    async def note(self, topology: Topology) -> int:
        """Append how the event log is cut, and return the entry's offset when it has been read back."""
        await self._append(ContextKind.TOPOLOGY, msgspec.json.encode(topology))
        return self.offset

    async def read_on(self) -> None:
        """Read to the end the topic has now; not beside `run`."""
        await self._read_through(await self._end())

    async def run(self) -> None:
        """Keep reading until cancelled."""
        while True:
            await self._poll(POLL_MS)

    def known_at(self, offset: int, partition: int) -> Known:
        """Return what is known at an offset in a partition; an offset not reached yet is as good as the last one."""
        offset = min(offset, self.offset)
        asked = self._known.get(partition)
        if asked is None or asked[0] != offset:
            asked = self._known[partition] = (offset, self._known_now(offset, partition))
        return asked[1]

    def _known_now(self, offset: int, partition: int) -> Known:
        entries = [entry for at, entry in self._entries if at <= offset and self._is_ours(at, entry)]
        return Known(
            bundle=next((bundle for at, bundle in reversed(self._bundles) if at <= offset), None),
            imports={entry.job: entry for entry in entries if isinstance(entry, Import)},
            guards={
                entry.key: entry for entry in entries if isinstance(entry, Guard) and partition in entry.partitions
            },
            summaries=self._summaries.at(offset),
        )

    def _is_ours(self, offset: int, entry: Entry) -> bool:
        # a guard names partitions by their number in the generation it was told in
        return not isinstance(entry, Guard) or self.standing is None or self.standing.holds(offset)

    async def reach(self, offset: int) -> None:
        """Return when everything up to `offset` is read, or when the topic ends before it.

        Needs `run` to be running. An offset past the end was not written by a scorer: what is known has to do.
        """
        if offset < self._position:
            return
        end = await self._end()
        async with self._news:
            await self._news.wait_for(lambda: self._position >= min(offset + 1, end))

    async def _append(self, kind: ContextKind, value: bytes) -> None:
        sent = await self._producer.send_and_wait(CONTEXT, key=kind.value.encode(), value=value, partition=0)
        await self._read_through(sent.offset + 1)

    async def _read_through(self, position: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._position < position:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{CONTEXT} gives nothing after offset {self.offset}, its end is {position}")
            await self._poll(100)

    async def _poll(self, timeout_ms: int) -> None:
        found = await self._consumer.getmany(_TP, timeout_ms=timeout_ms)
        for record in found.get(_TP, ()):
            self._take(record)
        self._position = await self._consumer.position(_TP)
        async with self._news:
            self._news.notify_all()

    async def _end(self) -> int:
        ends = await self._consumer.end_offsets([_TP])
        return int(ends[_TP])

    def _take(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        kind, value = record.key, record.value or b""
        standing = after_record(self.standing, record)
        if standing is not self.standing:
            self.standing = standing
            self._known.clear()
        if kind in _OF_KIND:
            self._take_entry(record, _OF_KIND[kind])
        elif kind == ContextKind.BUNDLE.value.encode():
            bundle = msgspec.json.decode(value, type=Bundle)
            config = msgspec.json.decode(bundle.config)
            self._bundles.append((record.offset, compile_bundle(bundle.version, config)))
        elif kind == ContextKind.FINGERPRINT.value.encode():
            entry = msgspec.json.decode(value, type=Fingerprint)
            self._fingerprints.setdefault(entry.name, entry.fingerprint)

    def _take_entry(self, record: ConsumerRecord[bytes | None, bytes | None], kind: type[Entry]) -> None:
        try:
            entry = msgspec.json.decode(record.value or b"", type=kind)
        except msgspec.MsgspecError as fault:  # others write these too: what can't be read says nothing, to everybody
            log.error("context_entry_unreadable", offset=record.offset, fault=str(fault))  # noqa: TRY400
            return
        if isinstance(entry, Summary):
            self._summaries.add(record.offset, entry)
        else:
            self._entries.append((record.offset, entry))
        if isinstance(entry, Quarantine):
            metrics.QUARANTINED_AT.set(entry.at / 1000)


_KIND_OF: Final[Mapping[type[Entry], ContextKind]] = {
    Import: ContextKind.IMPORT,
    Guard: ContextKind.GUARD,
    Crash: ContextKind.CRASH,
    Quarantine: ContextKind.QUARANTINE,
    Summary: ContextKind.SUMMARY,
}
_OF_KIND: Final = {kind.value.encode(): entry for entry, kind in _KIND_OF.items()}


def named_context(batch: Batch) -> int:
    """Return the greatest context offset that the ticks of a batch name, -1 if there is none.

    Scorers write ticks without a key, so only such records are looked at.
    """
    named = -1
    for row in np.flatnonzero(batch.key_length < 0).tolist():
        value = batch.value(row)
        if value is not None and _TICK_TYPE in value:
            try:
                tick = _read_tick.decode(value)
            except (msgspec.DecodeError, RecursionError):
                continue
            named = max(named, tick.data.context)
    return named
