"""Write the oracle core's checkpoint as small records: `C cycle number upto value` and `M cycle base chunks value …`.

A value is the number of something the core keeps: the ids seen, one account, or what belongs to the whole partition.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from services.scorer.core.chunks import CheckpointError


class OracleChunk(NamedTuple):
    """A chunk: `kept` is the ids seen (number 0) or one account's name and value, as after the log through `upto`."""

    upto: int
    kept: int


class OracleMarker(NamedTuple):
    """What closes a cycle."""

    cycle: str
    base: int
    chunks: int
    kept: int
    first_record: int
    previous: int
    mirrored: bool


Chunks = Mapping[str, Mapping[int, OracleChunk]]


class Keeper(Protocol):
    """Whoever keeps the values that records name."""

    def keep(self, value: object) -> int: ...


class Packed(Protocol):
    """A state as a cycle packs it."""

    position: int
    counts: Counter[str]

    @property
    def accounts(self) -> int: ...

    def ids(self) -> object: ...

    def account(self, number: int) -> object: ...

    def whole(self) -> object: ...


class OracleCycle:
    """One pass over a state: the ids first, then account by account, each as it is when its chunk is asked for."""

    def __init__(self, keeper: Keeper, state: Packed, *, writer: str) -> None:
        self._keeper = keeper
        self._base = state.position
        self._id = f"{state.position}-{writer}"
        self._whole = keeper.keep((state.whole(), tuple(sorted(state.counts.items()))))
        self._number = 0

    def next(self, state: Packed) -> Sequence[bytes] | None:
        """Return the next chunk under `upto` = the last offset processed, None when all are written."""
        number = self._number
        if number > state.accounts:
            return None
        self._number += 1
        kept = self._keeper.keep(state.ids() if number == 0 else state.account(number - 1))
        return [b"C %s %d %d %d" % (self._id.encode(), number, state.position - 1, kept)]

    def marker(self, *, first_record: int, previous: int, mirrored: bool = False) -> bytes:
        return b"M %s %d %d %d %d %d %d" % (
            self._id.encode(),
            self._base,
            self._number,
            self._whole,
            first_record,
            previous,
            mirrored,
        )


def read_marker(record: bytes) -> OracleMarker:
    """Read a marker."""
    _, cycle, *numbers, mirrored = record.split()
    base, chunks, kept, first_record, previous = map(int, numbers)
    return OracleMarker(cycle.decode(), base, chunks, kept, first_record, previous, mirrored == b"1")


def base_of(record: bytes) -> int:
    """Return the base of the cycle a record belongs to."""
    return int(record.split()[1].partition(b"-")[0])


def sorted_out(records: Iterable[bytes]) -> tuple[dict[str, dict[int, OracleChunk]], list[OracleMarker]]:
    """Return the chunks by cycle and number, and the markers, in log order."""
    chunks: dict[str, dict[int, OracleChunk]] = {}
    markers: list[OracleMarker] = []
    for record in records:
        if record[:1] == b"M":
            markers.append(read_marker(record))
        elif record[:1] == b"C":
            _, cycle, number, upto, kept = record.split()
            chunks.setdefault(cycle.decode(), {})[int(number)] = OracleChunk(int(upto), int(kept))
        else:
            raise CheckpointError("a record of no known kind")
    return chunks, markers


def complete(chunks: Chunks, markers: Iterable[OracleMarker]) -> Iterator[OracleMarker]:
    """Yield the markers all of whose chunks are there."""
    for marker in markers:
        if len(chunks.get(marker.cycle, {})) == marker.chunks:
            yield marker
