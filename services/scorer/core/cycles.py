"""Find complete cycles among the records of `churn.activity.v1` and `churn.snapshots.v1`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from services.scorer.core import chunks


class Closing(Protocol):
    """What a marker says of its cycle."""

    @property
    def first_record(self) -> int: ...

    @property
    def base(self) -> int: ...


C = TypeVar("C", bound=Closing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One complete, undamaged cycle: its records without the marker, in order, and what they hold."""

    records: list[bytes]
    contents: chunks.Contents

    @property
    def base(self) -> int:
        """Offset of the event log at which a state restored from it stands."""
        return self.contents.marker.base


def last_of(markers: Iterable[C], *, held: int) -> C | None:
    """Return the marker of the complete cycle with the highest base: a stale writer's may come later.

    `held` is the first offset still in the topic; cycles that begin before it are not whole.
    """
    whole = [marker for marker in markers if marker.first_record >= held]
    return max(whole, key=lambda marker: marker.base, default=None)


def values_from(
    first: int, records: Iterable[tuple[int, bytes]], *, marker_of: Callable[[bytes], Closing | None]
) -> list[bytes]:
    """Return what lies from a cycle's first record on, without the markers of cycles that began before it.

    Those are not whole, though their marker lies here: a process that was stopped half way and woke up closed them.
    """
    values = [value for offset, value in records if offset >= first]
    markers = ((value, marker_of(value)) for value in values)
    return [value for value, marker in markers if marker is None or marker.first_record >= first]


def checkpoint_of(records: Sequence[tuple[int, bytes]]) -> chunks.Contents | None:
    """Return the last complete cycle among records (offset, value) of the rolling checkpoint, None without one.

    Raises CheckpointError when one of its records, or any marker, is damaged or missing.
    """
    markers = [marker for _, value in records if (marker := _marker_of(value)) is not None]
    last = last_of(markers, held=records[0][0] if records else 0)
    return chunks.contents_of(values_from(last.first_record, records, marker_of=_marker_of)) if last else None


def _marker_of(value: bytes) -> chunks.Marker | None:
    return chunks.read_marker(value) if chunks.kind_of(value) == "marker" else None


def snapshots_of(records: Sequence[tuple[int, bytes]]) -> list[Snapshot]:
    """Return the snapshots among records (offset, value) of one partition, the oldest base first.

    What is cut short or damaged is passed over, records of other writers between theirs too.
    """
    cycles = [chunks.cycle_of(value) for _, value in records]
    found = []
    for place, (_, value) in enumerate(records):
        if chunks.kind_of(value) == "marker" and not chunks.is_damaged(value):
            cycle = chunks.read_marker(value).cycle
            mine = [
                record for (_, record), whose in zip(records[:place], cycles[:place], strict=True) if whose == cycle
            ]
            snapshot = _complete(mine, marker=value)
            found += [snapshot] if snapshot else []
    return sorted(found, key=lambda snapshot: snapshot.base)


def _complete(records: list[bytes], *, marker: bytes) -> Snapshot | None:
    try:
        contents = chunks.contents_of([*records, marker])
    except chunks.CheckpointError:
        return None
    return Snapshot(records=records, contents=contents) if contents else None
