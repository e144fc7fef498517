"""Find complete cycles among the records of `churn.snapshots.v1`."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.scorer.core import chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One complete, undamaged cycle: its records without the marker, in order, and what they hold."""

    records: list[bytes]
    contents: chunks.Contents

    @property
    def base(self) -> int:
        """Offset of the event log at which a state restored from it stands."""
        return self.contents.marker.base


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
