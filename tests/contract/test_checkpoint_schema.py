"""A checkpoint of the version before is read, and what we write the version before could read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lab import oracle
from lab.oracle_records import Record
from services.scorer.core import chunks, pack
from services.scorer.core.partition import Partition
from services.scorer.core.restore import restore
from services.scorer.core.step import step
from shared.contracts.context import Guard, Import
from tests.support.log import Configurations, Log, batches, by_columns, outcome_of

GOLDEN = Path(__file__).parent / "golden" / "checkpoint.2.msgpack"


class MarkerBefore(msgspec.Struct, frozen=True, kw_only=True):
    """The marker as the version without segments reads it: every field without a default must be there."""

    schema: int
    cycle: str
    base: int
    chunks: int
    accounts: int
    partition: int
    partitions: int
    clock: int | None
    pending: bool
    counts: dict[str, int]
    hours: list[tuple[int, int]]
    bundle: bytes | None
    bundle_version: str | None
    rules: list[str]
    features: list[str]
    imports: list[tuple[str, int, int]] = []
    guards: list[str] = []
    first_record: int
    previous: int


def golden() -> tuple[Log, Sequence[bytes], int]:
    """Return a log, the records of a checkpoint of the version before taken on the way, and the seed of its hashes."""
    held: dict[str, Any] = msgspec.msgpack.decode(GOLDEN.read_bytes())
    log = Log()
    kinds: dict[str, type[oracle.Entry]] = {"Bundle": oracle.Bundle, "Import": Import, "Guard": Guard}
    log.contexts = {offset: msgspec.convert(entry, kinds[kind]) for offset, kind, entry in held["contexts"]}
    log.records = [
        Record(offset=offset, ts=ts, key=key, value=value, headers=tuple((name, text) for name, text in headers))
        for offset, ts, key, value, headers in held["records"]
    ]
    return log, held["checkpoint"], held["seed"]


def test_a_state_of_the_version_before_goes_on_as_one_uninterrupted_run() -> None:
    log, records, seed = golden()
    state = restore(records, partition=0, partitions=1, seed=seed)
    assert state is not None
    assert state.seen.segments
    base = state.position
    known = Configurations(log.contexts)
    after = outcome_of(state, [(batch, step(state, batch, known_at=known)) for batch in batches(log.records, 0)])
    whole = by_columns(log.records, log.contexts)
    assert after.counts == whole.counts
    last = {row.account: row for row in whole.healths}
    assert {row.account: row for row in after.healths if row.offset >= base}.items() <= last.items()
    assert after.healths


def test_the_version_before_reads_what_we_write() -> None:
    log, _, seed = golden()
    state = Partition.empty(partition=0, partitions=1, seed=seed)
    for batch in batches(log.records, 0):
        step(state, batch, known_at=Configurations(log.contexts))
    cycle = pack.begin(state)
    while cycle.next(state) is not None:
        pass
    marker = msgspec.msgpack.decode(cycle.marker(first_record=0)[5:], type=MarkerBefore)
    assert marker.schema == 2
    hours = sorted({(segment.hour, segment.first) for segment in state.seen.segments})
    assert marker.hours == hours
    assert marker.base == state.position


def test_a_schema_we_cannot_read_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    state = Partition.empty(partition=0, partitions=1, seed=7)
    monkeypatch.setattr(pack, "SCHEMA_WRITTEN", 99)
    marker = pack.begin(state).marker(first_record=0)
    with pytest.raises(chunks.CheckpointError, match=r"schema 99.* run the newer version"):
        chunks.read_marker(marker)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    state = Partition.empty(partition=0, partitions=1, seed=7)
    body = msgspec.msgpack.decode(pack.begin(state).marker(first_record=0)[5:])
    newer = chunks._sealed(b"M", msgspec.msgpack.encode(body | {"of_a_newer_version": [1, 2]}))
    assert chunks.read_marker(newer).base == 0
