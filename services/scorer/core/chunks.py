"""Pack a partition's state into the records of its rolling checkpoint, and restore it from one complete cycle.

A cycle is a run of chunks on `churn.activity.v1` closed by a marker. Each chunk holds a range of accounts with all that
their evaluation reads, as they were after the log up to its own `upto`; the ids seen are those of the cycle's base. The
marker holds the base offset and what belongs to the partition as a whole at the base. A restored state stands at the
base; replaying from there, an account passes over what its chunk already contains.

A record is one kind byte, a CRC-32 (4 bytes, big-endian) of the rest, and MessagePack.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import msgspec
import numpy as np

from services.scorer.core.activity import FIRST_FEATURE, Activity, pairs_of
from services.scorer.core.bundle import CompiledBundle, compile_bundle
from services.scorer.core.days import NO_DAY
from services.scorer.core.erasure import Entry
from services.scorer.core.imports import NO_JOB
from services.scorer.core.rules import Episodes
from services.scorer.core.seen import Segment
from services.scorer.core.step import Partition
from services.scorer.core.table import NONE, Columns, HashTable, Ints
from shared.contracts.topology import remedy

SCHEMA_READ: Final = 3
SCHEMA_WRITTEN: Final = 2
"""What we write is readable by every version that reads this schema. A schema is read one release before it is written,
so that going back by one version loses nothing; fields a version doesn't know are passed over."""
ACCOUNTS_A_CHUNK: Final = 512
IDS_A_CHUNK: Final = 32_768
MOST_BYTES: Final = 900_000
"""A longer chunk is split into several records."""
REMEDY: Final = "stop the scorers and run `churnwatch rebuild`, which restores it from the event log"

Kind = Literal["chunk", "marker"]
_KINDS: Final[Mapping[bytes, Kind]] = {b"C": "chunk", b"M": "marker"}
_DERIVED: Final = frozenset({"first_signal", "first_user", "first_source", "next"})


class CheckpointError(Exception):
    """A checkpoint that can't be used; the message says why and what to do."""


class UnfitError(CheckpointError):
    """A whole checkpoint of another version or topology: no rebuild mends that."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    cycle: str
    number: int
    part: int
    parts: int
    body: bytes


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A range of accounts with all that evaluating them reads; columns are bytes of the layouts in `activity.py`."""

    schema: int
    upto: int
    first: int
    """Number of the first account."""
    names: list[bytes]
    accounts: dict[str, bytes]
    signals: dict[str, bytes]
    users: dict[str, bytes]
    rules: list[str]
    episodes: dict[str, bytes]
    features: list[str]
    facts: dict[int, dict[str, tuple[Any, int, str, str]]]
    sources: dict[str, bytes] = {}
    source_names: list[str] = []
    jobs: list[str] = []
    erased: dict[int, Entry] = {}
    erased_users: dict[int, dict[int, int]] = {}


class Ids(msgspec.Struct, frozen=True, kw_only=True, tag="ids"):
    """Keyed hashes of ids seen, and the offset at which each came first."""

    keys: bytes
    offsets: bytes


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What closes a cycle: the state of the partition as a whole at `base`, the next offset to process."""

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
    hours: list[tuple[int, int]] = []
    """Arrival hours and the offset at which each began: what versions go by that know no segments."""
    hour: int = -1
    segments: list[Segment] = []
    bundle: bytes | None
    bundle_version: str | None
    rules: list[str]
    features: list[str]
    imports: list[tuple[str, int, int]] = []
    guards: list[str] = []
    generation: int = 1
    first_record: int
    """Offset of the cycle's first record on `churn.activity.v1`."""
    previous: int
    """`first_record` of the cycle before, −1 without one."""


class Cycle:
    """One pass over the state; call `next` until it returns None, then `marker`."""

    def __init__(self, state: Partition, *, writer: str) -> None:
        state.seen.forget()
        self.base = state.position
        self.id = f"{self.base}-{writer}"
        self._ids = state.seen.table.entries()
        self._ids_done = 0
        self._accounts_done = 0
        self._accounts = state.accounts
        self._number = 0
        bundle = state.bundle
        self._at_base = Marker(
            schema=SCHEMA_WRITTEN,
            cycle=self.id,
            base=self.base,
            chunks=0,
            accounts=0,
            partition=state.partition,
            partitions=state.partitions,
            clock=state.clock,
            pending=state.pending,
            counts=dict(state.counts),
            hours=_hours(state.seen.segments),
            hour=state.seen.hour,
            segments=list(state.seen.segments),
            bundle=bundle.source if bundle else None,
            bundle_version=bundle.version if bundle else None,
            rules=list(state.episodes.rules),
            features=list(state.activity.feature_names),
            imports=state.imports.entries(),
            guards=sorted(state.guards),
            generation=state.generation,
            first_record=-1,
            previous=-1,
        )

    def next(self, state: Partition) -> list[bytes] | None:
        """Return the records of the next chunk under `upto` = the last offset processed, None when all are written."""
        if self._ids_done < len(self._ids[0]):
            part = slice(self._ids_done, self._ids_done + IDS_A_CHUNK)
            self._ids_done += IDS_A_CHUNK
            keys, offsets = self._ids
            body = msgspec.msgpack.encode(Ids(keys=keys[part].tobytes(), offsets=offsets[part].tobytes()))
            return self._records(b"I" + body)
        if self._accounts_done >= max(self._accounts, state.accounts):
            return None
        rows = np.arange(self._accounts_done, min(state.accounts, self._accounts_done + ACCOUNTS_A_CHUNK))
        self._accounts_done += len(rows)
        return self._records(b"A" + msgspec.msgpack.encode(packed(state, rows)))

    def marker(self, *, first_record: int, previous: int = -1) -> bytes:
        """Return the record that closes the cycle, once every chunk before it is durable."""
        marker = msgspec.structs.replace(
            self._at_base,
            chunks=self._number,
            accounts=self._accounts_done,
            first_record=first_record,
            previous=previous,
        )
        return seal(marker)

    def _records(self, body: bytes) -> list[bytes]:
        pieces = [body[start : start + MOST_BYTES] for start in range(0, len(body), MOST_BYTES)]
        number, self._number = self._number, self._number + 1
        return [
            _sealed(
                b"C",
                msgspec.msgpack.encode(_Part(cycle=self.id, number=number, part=part, parts=len(pieces), body=piece)),
            )
            for part, piece in enumerate(pieces)
        ]


def begin(state: Partition, *, writer: str = "") -> Cycle:
    """Begin a cycle at the state's position; `writer` tells apart cycles of different processes."""
    return Cycle(state, writer=writer)


def kind_of(value: bytes) -> Kind | None:
    """Return what a record of the checkpoint is, None if it is none."""
    return _KINDS.get(value[:1])


def read_marker(value: bytes) -> Marker:
    """Read a marker; raises CheckpointError when it is damaged or of a newer schema."""
    marker = msgspec.msgpack.decode(_opened(value), type=Marker)
    if marker.schema > SCHEMA_READ:
        raise UnfitError(
            f"the checkpoint has schema {marker.schema}, this version reads up to {SCHEMA_READ}: run the newer version"
        )
    return marker


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What one complete cycle holds."""

    marker: Marker
    chunks: list[Chunk]
    ids: list[Ids]


def is_damaged(value: bytes) -> bool:
    """Say whether a record is of no known kind, or its checksum differs."""
    return kind_of(value) is None or zlib.crc32(value[5:]) != int.from_bytes(value[1:5], "big")


def cycle_of(value: bytes) -> str | None:
    """Return the cycle a chunk's record belongs to; None for anything else and for what is damaged."""
    if is_damaged(value) or kind_of(value) != "chunk":
        return None
    return msgspec.msgpack.decode(value[5:], type=_Part).cycle


def seal(marker: Marker) -> bytes:
    """Return a marker as a record."""
    return _sealed(b"M", msgspec.msgpack.encode(marker))


def contents_of(records: Iterable[bytes]) -> Contents | None:
    """Read the complete cycle with the highest base among `records`, in log order; None without one.

    Raises CheckpointError when a record is damaged or a chunk is missing.
    """
    parts: dict[str, dict[tuple[int, int], _Part]] = {}
    best: Marker | None = None
    for value in records:
        if kind_of(value) == "marker":
            marker = read_marker(value)
            best = marker if best is None or marker.base >= best.base else best
        elif kind_of(value) == "chunk":
            part = msgspec.msgpack.decode(_opened(value), type=_Part)
            parts.setdefault(part.cycle, {})[part.number, part.part] = part
        else:
            raise CheckpointError(f"the checkpoint holds a record of no known kind: {REMEDY}")
    if best is None:
        return None
    bodies = list(_bodies(parts.get(best.cycle, {}), count=best.chunks))
    return Contents(
        marker=best,
        chunks=[msgspec.msgpack.decode(body[1:], type=Chunk) for body in bodies if body[:1] == b"A"],
        ids=[msgspec.msgpack.decode(body[1:], type=Ids) for body in bodies if body[:1] == b"I"],
    )


def restore(records: Iterable[bytes], *, partition: int, partitions: int, seed: int) -> Partition | None:
    """Restore the state of the complete cycle with the highest base among `records`, in log order; None without one.

    Raises CheckpointError when a record is damaged, a chunk is missing, or the cycle is of another topology.
    """
    found = contents_of(records)
    if found is None:
        return None
    marker = found.marker
    if (marker.partition, marker.partitions) != (partition, partitions):
        raise UnfitError(
            f"the checkpoint is of partition {marker.partition} of {marker.partitions}, not {partition} of"
            f" {partitions}: the number of partitions must not be changed in place; {remedy(partitions)}"
        )
    return _restored(found, seed=seed)


def _restored(found: Contents, *, seed: int) -> Partition:
    marker, chunks = found.marker, found.chunks
    state = Partition.empty(
        partition=marker.partition, partitions=marker.partitions, seed=seed, generation=marker.generation
    )
    state.position, state.clock, state.pending = marker.base, marker.clock, marker.pending
    state.counts.update(marker.counts)
    state.imports.restore(marker.imports)
    state.guards = frozenset(marker.guards)
    if marker.bundle is not None:
        state.bundle = _bundle(marker)
    for name in marker.features:
        state.activity.feature(name)
    rules = list(dict.fromkeys([*marker.rules, *(rule for chunk in chunks for rule in chunk.rules)]))
    state.episodes = Episodes(rules)
    for ids in found.ids:
        state.seen.table.put(np.frombuffer(ids.keys, np.uint64), np.frombuffer(ids.offsets, np.int64))
    state.seen.hour = max([marker.hour, *(hour for hour, _ in marker.hours)])
    state.seen.segments = list(marker.segments) or _segments(marker, state.seen.table)
    for chunk in sorted(chunks, key=lambda chunk: chunk.first):
        unpack(chunk, state)
    count = state.accounts
    state.next_due = int(state.activity.accounts["due"][:count].min()) if count else None
    return state


def _hours(segments: list[Segment]) -> list[tuple[int, int]]:
    return list({segment.hour: (segment.hour, segment.first) for segment in reversed(segments)}.values())[::-1]


def _segments(marker: Marker, table: HashTable) -> list[Segment]:
    """Return the segments that the checkpoint of a version without any amounts to."""
    _, offsets = table.entries()
    bounds = [*(offset for _, offset in marker.hours), marker.base]
    counts = [int(((offsets >= start) & (offsets < end)).sum()) for start, end in pairwise(bounds)]
    return [Segment(hour, offset, ids) for (hour, offset), ids in zip(marker.hours, counts, strict=True)]


def _bundle(marker: Marker) -> CompiledBundle:
    return compile_bundle(marker.bundle_version or "", msgspec.json.decode(marker.bundle or b"{}"))


def _bodies(parts: Mapping[tuple[int, int], _Part], *, count: int) -> Iterator[bytes]:
    for number in range(count):
        first = parts.get((number, 0))
        pieces = [parts.get((number, part)) for part in range(first.parts)] if first else [None]
        if None in pieces:
            raise CheckpointError(f"chunk {number} of {count} is missing: {REMEDY}")
        yield b"".join(piece.body for piece in pieces if piece)


def packed(state: Partition, rows: Ints) -> Chunk:
    """Return some accounts, ascending rows, as they are; what names a row names that of this state."""
    activity = state.activity
    signals = _linked(activity, activity.signals, head="first_signal", rows=rows)
    users = _linked(activity, activity.users, head="first_user", rows=rows)
    sources = _linked(activity, activity.sources, head="first_source", rows=rows)
    signals = signals[activity.signals["front"][signals] != NO_DAY]
    users = users[activity.users["last_day"][users] != NO_DAY]
    sources = sources[activity.sources["last"][sources] != NONE]
    erased, erased_users = state.erasures.entries(rows.tolist())
    return Chunk(
        schema=SCHEMA_WRITTEN,
        upto=state.position - 1,
        first=int(rows[0]),
        names=[activity.names.text(row) for row in rows.tolist()],
        accounts=_columns(activity.accounts, rows),
        signals=_columns(activity.signals, signals),
        users=_columns(activity.users, users),
        rules=list(state.episodes.rules),
        episodes=_columns(state.episodes.columns, rows),
        features=list(activity.feature_names),
        facts={row: state.facts.fields[row] for row in rows.tolist() if row in state.facts.fields},
        sources=_columns(activity.sources, sources),
        source_names=list(activity.source_names),
        jobs=list(state.imports.names),
        erased=erased,
        erased_users=erased_users,
    )


def _linked(activity: Activity, columns: Columns, *, head: str, rows: Ints) -> Ints:
    links = [linked for _, linked in activity.chain(columns, head=head, accounts=rows)]
    return np.sort(np.concatenate(links)) if links else np.zeros(0, np.int64)


def _columns(columns: Columns, rows: Ints) -> dict[str, bytes]:
    return {name: columns[name][rows].tobytes() for name in columns.spec if name not in _DERIVED}


def unpack(chunk: Chunk, state: Partition) -> None:
    """Append the accounts of a chunk, whose rows must be the next ones of the state."""
    activity, accounts = state.activity, state.activity.accounts
    if chunk.first != accounts.count:
        raise CheckpointError(f"accounts from {accounts.count} are missing: {REMEDY}")
    rows = accounts.add(len(chunk.names))
    state.episodes.columns.add(len(rows))
    activity.names.append(chunk.names)
    _fill(accounts, chunk.accounts, rows)
    accounts["upto"][rows] = chunk.upto
    activity.account_rows.put(accounts["hash"][rows], rows)
    # numbers are of the state that was packed; −1 (no job) stays what it is, as the last of the list
    accounts["job"][rows] = np.array([*(state.imports.number(job) for job in chunk.jobs), NO_JOB])[
        accounts["job"][rows]
    ]
    _unpack_signals(chunk, activity)
    _unpack_users(chunk, activity)
    if chunk.sources:
        _unpack_sources(chunk, activity)
    _unpack_episodes(chunk, state, rows)
    state.erasures.restore(chunk.erased, chunk.erased_users)
    for row, fields in chunk.facts.items():
        state.facts.fields[row] = fields
        state.facts.mirror(row, activity=activity)


def _unpack_signals(chunk: Chunk, activity: Activity) -> None:
    signals = activity.signals
    rows = signals.add(len(chunk.signals["account"]) // signals["account"].itemsize)
    _fill(signals, chunk.signals, rows)
    numbers = np.array([*range(FIRST_FEATURE), *(activity.feature(name) for name in chunk.features)])
    signals["signal"][rows] = numbers[signals["signal"][rows]]
    account, signal = signals["account"][rows].astype(np.int64), signals["signal"][rows].astype(np.int64)
    activity.link(signals, head="first_signal", rows=rows, accounts=account)
    activity.signal_rows.put(pairs_of(account, signals=signal), rows)


def _unpack_users(chunk: Chunk, activity: Activity) -> None:
    users = activity.users
    rows = users.add(len(chunk.users["account"]) // users["account"].itemsize)
    _fill(users, chunk.users, rows)
    activity.link(users, head="first_user", rows=rows, accounts=users["account"][rows].astype(np.int64))
    activity.user_rows.put(users["hash"][rows], rows)


def _unpack_sources(chunk: Chunk, activity: Activity) -> None:
    sources = activity.sources
    rows = sources.add(len(chunk.sources["account"]) // sources["account"].itemsize)
    _fill(sources, chunk.sources, rows)
    numbers = np.array([activity.source(name) for name in chunk.source_names], np.int64)
    sources["source"][rows] = numbers[sources["source"][rows]]
    account, source = sources["account"][rows].astype(np.int64), sources["source"][rows].astype(np.int64)
    activity.link(sources, head="first_source", rows=rows, accounts=account)
    activity.source_rows.put(pairs_of(account, signals=source), rows)


def _unpack_episodes(chunk: Chunk, state: Partition, rows: Ints) -> None:
    episodes = state.episodes
    held = Episodes(chunk.rules)
    held.columns.add(len(rows))
    _fill(held.columns, chunk.episodes, np.arange(len(rows)))
    for k, rule in enumerate(chunk.rules):
        column = episodes.rules.index(rule)
        for name in ("opened", "severity"):
            episodes.columns[name][rows, column] = held.columns[name][: len(rows), k]


def _fill(columns: Columns, held: Mapping[str, bytes], rows: Ints) -> None:
    for name, (dtype, width, _) in columns.spec.items():
        if name in held:
            values = np.frombuffer(held[name], dtype)
            columns[name][rows] = values if width is None else values.reshape(len(rows), width)


def _sealed(kind: bytes, body: bytes) -> bytes:
    return kind + zlib.crc32(body).to_bytes(4, "big") + body


def _opened(value: bytes) -> bytes:
    body = value[5:]
    if zlib.crc32(body) != int.from_bytes(value[1:5], "big"):
        raise CheckpointError(f"a checkpoint record is damaged (its checksum differs): {REMEDY}")
    return body
