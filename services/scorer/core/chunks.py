"""The records of a rolling checkpoint: how chunks and markers are written, and one complete cycle read back.

A cycle is a run of chunks on `churn.activity.v1` closed by a marker. Each chunk holds a range of accounts with all that
their evaluation reads, as they were after the log up to its own `upto`; the ids seen are those of the cycle's base. The
marker holds the base offset and what belongs to the partition as a whole at the base. A restored state stands at the
base; replaying from there, an account passes over what its chunk already contains.

A record is one kind byte, a CRC-32 (4 bytes, big-endian) of the rest, and MessagePack.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from services.scorer.core.erasure import Entry
from services.scorer.core.seen import Segment

SCHEMA_READ: Final = 3
SCHEMA_WRITTEN: Final = 2
"""What we write is readable by every version that reads this schema. A schema is read one release before it is written,
so that going back by one version loses nothing; fields a version doesn't know are passed over."""
MOST_BYTES: Final = 900_000
"""A longer chunk is split into several records."""
REMEDY: Final = "stop the scorers and run `churnwatch rebuild`, which restores it from the event log"

Kind = Literal["chunk", "marker"]
_KINDS: Final[Mapping[bytes, Kind]] = {b"C": "chunk", b"M": "marker"}


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
    uses: dict[str, bytes] = {}
    """Uses of key features; `user` is the place among `users`."""
    rules: list[str]
    episodes: dict[str, bytes]
    features: list[str]
    """Names of the signals that have one: key features and classes of events."""
    facts: dict[int, dict[str, tuple[Any, int, str, str]]]
    sources: dict[str, bytes] = {}
    source_names: list[str] = []
    marks: dict[str, bytes] = {}
    mark_names: list[str] = []
    """What milestones need, by the number in `event` of marks."""
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
    medians: dict[int, Mapping[str, Mapping[str, int]]] = {}
    """Medians by UTC day, segment and feature."""
    generation: int = 1
    first_record: int
    """Offset of the cycle's first record on `churn.activity.v1`."""
    previous: int
    """`first_record` of the cycle before, −1 without one."""
    mirrored: bool = False
    """Whether Redis had every health the chunks hold when the cycle was closed."""


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


def base_of(value: bytes) -> int | None:
    """Return the base of the cycle that a chunk's record or a marker belongs to; None for anything else."""
    cycle = read_marker(value).cycle if kind_of(value) == "marker" else cycle_of(value)
    return None if cycle is None else int(cycle.partition("-")[0])


def records_of(content: Chunk | Ids, *, cycle: str, number: int) -> list[bytes]:
    """Return what a cycle holds under `number` as records, several where it is long."""
    body = (b"A" if isinstance(content, Chunk) else b"I") + msgspec.msgpack.encode(content)
    pieces = [body[start : start + MOST_BYTES] for start in range(0, len(body), MOST_BYTES)]
    return [
        _sealed(
            b"C", msgspec.msgpack.encode(_Part(cycle=cycle, number=number, part=part, parts=len(pieces), body=piece))
        )
        for part, piece in enumerate(pieces)
    ]


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


def _bodies(parts: Mapping[tuple[int, int], _Part], *, count: int) -> Iterator[bytes]:
    for number in range(count):
        first = parts.get((number, 0))
        pieces = [parts.get((number, part)) for part in range(first.parts)] if first else [None]
        if None in pieces:
            raise CheckpointError(f"chunk {number} of {count} is missing: {REMEDY}")
        yield b"".join(piece.body for piece in pieces if piece)


def _sealed(kind: bytes, body: bytes) -> bytes:
    return kind + zlib.crc32(body).to_bytes(4, "big") + body


def _opened(value: bytes) -> bytes:
    body = value[5:]
    if zlib.crc32(body) != int.from_bytes(value[1:5], "big"):
        raise CheckpointError(f"a checkpoint record is damaged (its checksum differs): {REMEDY}")
    return body
