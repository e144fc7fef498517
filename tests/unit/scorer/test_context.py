"""Which bundle is in force at an offset, and how ticks say which one they mean."""

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from services.scorer.config import load_bundle
from services.scorer.context import Context, WrongSecret, named_context
from services.scorer.core.medians import median_of
from services.scorer.feed import batch_of
from shared.contracts.context import (
    ContextKind,
    Guard,
    GuardState,
    Import,
    ImportState,
    SegmentSummary,
    Summary,
)
from shared.contracts.events import tick_record
from tests.support.fake_core import as_any

SHIPPED = Path(__file__).parents[3] / "config"


class Topic:
    """The context topic in memory, as a producer sees it."""

    def __init__(self) -> None:
        self.records: list[ConsumerRecord[bytes | None, bytes | None]] = []

    async def send_and_wait(self, topic: str, *, key: bytes, value: bytes, partition: int) -> object:
        self.records.append(ConsumerRecord(topic, partition, len(self.records), 0, 0, key, value, None, 0, 0, ()))
        return self.records[-1]


class Reader:
    """One consumer of it."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._read = 0

    async def getmany(self, tp: object, timeout_ms: int) -> object:  # noqa: ARG002  the real one's names
        await asyncio.sleep(0)
        found, self._read = self._topic.records[self._read :], len(self._topic.records)
        return {tp: found}

    async def position(self, tp: object) -> int:  # noqa: ARG002  the real one's names
        return self._read

    async def end_offsets(self, tps: list[object]) -> dict[object, int]:
        return {tps[0]: len(self._topic.records)}


async def context_of(topic: Topic) -> Context:
    context = Context(as_any(Reader(topic)), as_any(topic))
    await context._read_through(len(topic.records))
    return context


async def test_the_bundle_in_force_is_the_last_at_or_before_the_offset(tmp_path: Path) -> None:
    topic = Topic()
    context = await context_of(topic)
    one = load_bundle(SHIPPED)
    await context.publish(one)
    await context.publish(one)
    await context.check_secrets({"dead_letter_key": b"k"})
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "config"))
    rules = (folder / "rules.yaml").read_text("utf-8").replace("alpha_permille: 10", "alpha_permille: 20")
    (folder / "rules.yaml").write_text(rules, "utf-8")
    two = load_bundle(folder)
    await context.publish(two)
    assert [record.key for record in topic.records] == [b"bundle", b"fingerprint", b"bundle"]

    for reader in (context, await context_of(topic)):
        found = [reader.known_at(offset, 0).bundle for offset in (-1, 0, 1, 2, 99)]
        versions = [bundle and bundle.version for bundle in found]
        assert versions == [None, one.version, one.version, two.version, two.version]
        assert reader.offset == 2


async def test_another_key_is_refused_with_its_reason() -> None:
    topic = Topic()
    await (await context_of(topic)).check_secrets({"dead_letter_key": b"first"})
    again = await context_of(topic)
    await again.check_secrets({"dead_letter_key": b"first"})
    with pytest.raises(WrongSecret, match="dead_letter_key has the fingerprint"):
        await again.check_secrets({"dead_letter_key": b"other"})
    assert len(topic.records) == 1


async def test_a_tick_waits_until_what_it_names_is_read_but_not_for_what_does_not_exist() -> None:
    topic = Topic()
    context = await context_of(topic)
    await topic.send_and_wait("c", key=ContextKind.FINGERPRINT.value.encode(), value=_fingerprint(), partition=0)
    reached = asyncio.create_task(context.reach(0))
    await asyncio.sleep(0.01)
    assert not reached.done()
    running = asyncio.create_task(context.run())
    await asyncio.wait_for(reached, 1)
    await asyncio.wait_for(context.reach(10**9), 1)
    running.cancel()


def test_the_context_a_batch_needs_is_the_greatest_its_ticks_name() -> None:
    values: list[bytes | None] = [
        tick_record(1, context=7),
        b"{",
        tick_record(2, context=12),
        b'{"type":"churn.tick.v1","data":3}',
        None,
    ]
    keys: list[bytes | None] = [None, None, None, None, None]
    assert named_context(batch_of(_records(keys, values), generation=1)) == 12
    assert named_context(batch_of(_records([b"k"], [tick_record(1, context=7)]), generation=1)) == -1


def _fingerprint() -> bytes:
    return msgspec.json.encode({"name": "x", "fingerprint": "0"})


def _records(keys: list[bytes | None], values: list[bytes | None]) -> list[ConsumerRecord[bytes | None, bytes | None]]:
    return [
        ConsumerRecord("events", 0, offset, 0, 1, key, value, None, 0, 0, ())
        for offset, (key, value) in enumerate(zip(keys, values, strict=True))
    ]


async def test_summaries_are_known_from_their_offset_on() -> None:
    topic = Topic()
    writer = await context_of(topic)
    segment = SegmentSummary(segment="smb", accounts=3, histograms={"usage_7": [1, 0, 2]})
    summary = Summary(partition=4, partitions=12, day=20_515, at=7, segments=[segment])
    await writer.tell(summary)
    later = msgspec.structs.replace(summary, day=20_516, segments=[])
    await writer.tell(later)
    topic.records.append(ConsumerRecord("", 0, 2, 0, 0, b"summary", b"{", None, 0, 0, ()))
    assert topic.records[0].key == b"summary"

    reader = await context_of(topic)
    assert [reader.known_at(offset, 0).summaries for offset in (-1, 0, 1, 2)] == [
        {},
        {4: summary},
        {4: later},
        {4: later},
    ]
    known = reader.known_at(0, 0).summaries
    assert median_of(known, segment="smb", feature="usage_7") == 2


async def test_imports_and_guards_are_known_from_their_offset_on() -> None:
    topic = Topic()
    writer = await context_of(topic)
    running = Import(job="i_1", state=ImportState.RUNNING, at=5)
    ended = Import(job="i_1", state=ImportState.ENDED, at=9)
    guard = Guard(source="/sources/web", partitions=[0, 3], state=GuardState.HELD, at=7)
    for entry in (running, guard, ended):
        await writer.tell(entry)
    topic.records.append(ConsumerRecord("", 0, 3, 0, 0, b"import", b"{", None, 0, 0, ()))

    reader = await context_of(topic)
    assert [reader.known_at(offset, 0).imports.get("i_1") for offset in (-1, 0, 1, 2, 3)] == [
        None,
        running,
        running,
        ended,
        ended,
    ]
    assert [reader.known_at(1, partition).guards for partition in (0, 1, 3)] == [
        {"/sources/web": guard},
        {},
        {"/sources/web": guard},
    ]
