"""Remember the ids of applied events and where each came first: a retry counts once, a replay is no retry.

[ hour 7 ][ hour 7, full at 65,536 ids ][ hour 8 ][ hour 9 .....    segments, the oldest first
^ first offset of what is remembered: ids that came before it are forgotten
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.scorer.core.days import HOUR
from services.scorer.core.table import Hashes, HashTable, Ints

KEPT_HOURS: Final = 24
SEGMENT_IDS: Final = 1 << 16
MOST_IDS: Final = 1 << 20
"""Of one partition: 32 bytes an id in a table half full, 12 partitions in 400 MB."""
_NEVER: Final = -1


class Segment(NamedTuple):
    """Ids applied one after the other within an arrival hour, from an offset on."""

    hour: int
    first: int
    ids: int


class Seen:
    """Ids of one partition by keyed hash with their first offset; forgotten by segment (docs/scoring.md §1)."""

    def __init__(self) -> None:
        self.table = HashTable()
        self.segments: list[Segment] = []
        self.hour = _NEVER
        """The arrival hour of the last record."""

    @property
    def horizon_hours(self) -> int:
        """For how many hours an id is remembered at present: 24, or fewer where memory ends before."""
        is_full = sum(segment.ids for segment in self.segments) > MOST_IDS - 2 * SEGMENT_IDS
        return min(KEPT_HOURS, self.hour - self.segments[0].hour) if is_full else KEPT_HOURS

    def arrive(self, timestamps: Ints) -> Ints:
        """Take note of the arrival of records, in order, and return each one's arrival hour."""
        hours = np.maximum(np.maximum.accumulate(timestamps // HOUR), self.hour)
        if len(hours):
            self.hour = int(hours[-1])
        return hours

    def duplicates(self, ids: Hashes, *, offsets: Ints, hours: Ints) -> npt.NDArray[np.bool_]:
        """Say which of these records repeat an id applied before, and remember the others.

        Rows are in offset order; `hours` are what `arrive` returned for them. An id first seen at the very same offset
        is a replay of that record, not a repetition.
        """
        repeats = np.zeros(len(ids), bool)
        bounds = np.flatnonzero(np.diff(hours, prepend=-2, append=-2))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            done = start
            while done < end:
                piece = slice(done, end)
                some = self._take(ids[piece], offsets=offsets[piece], hour=int(hours[start]))
                repeats[done : done + len(some)] = some
                done += len(some)
        return repeats

    def forget(self) -> None:
        """Drop what is forgotten by now from the table; called where a checkpoint cycle begins."""
        self._forget(self.hour)
        keys, offsets = self.table.entries()
        kept = offsets >= (self.segments[0].first if self.segments else np.iinfo(np.int64).max)
        table = HashTable(int(kept.sum()))
        table.put(keys[kept], offsets[kept])
        self.table = table  # whole at once: another thread may be copying us

    def _take(self, ids: Hashes, *, offsets: Ints, hour: int) -> npt.NDArray[np.bool_]:
        """Take rows of one arrival hour until the segment is full; return for each row taken whether it repeats."""
        self._forget(hour)
        horizon = self.segments[0].first if self.segments else np.iinfo(np.int64).max
        distinct, first, which = np.unique(ids, return_index=True, return_inverse=True)
        known, first_offset = self.table.find(distinct), offsets[first]
        is_remembered = (known >= horizon) & (known < first_offset)
        fresh = np.flatnonzero(~is_remembered & (known != first_offset))
        fresh = fresh[np.argsort(first[fresh])]
        room = self._room(hour, at=int(first_offset[fresh[0]])) if fresh.size else 0
        taken = len(ids) if len(fresh) <= room else int(first[fresh[room]])
        fresh = fresh[:room]
        self.table.put(distinct[fresh], first_offset[fresh])
        if fresh.size:
            last = self.segments[-1]
            self.segments[-1] = last._replace(ids=last.ids + len(fresh))
        repeats: npt.NDArray[np.bool_] = is_remembered[which] | (np.arange(len(ids)) != first[which])
        return repeats[:taken]

    def _room(self, hour: int, *, at: int) -> int:
        """Return how many more ids the last segment takes.

        Where none has room another begins at offset `at`; 0 when that made the oldest ones go, for then what comes
        from there on must be looked up again.
        """
        if self.segments and self.segments[-1].hour == hour and self.segments[-1].ids < SEGMENT_IDS:
            return SEGMENT_IDS - self.segments[-1].ids
        before = len(self.segments)
        while sum(segment.ids for segment in self.segments) > MOST_IDS - SEGMENT_IDS:
            del self.segments[0]
        has_forgotten = len(self.segments) < before
        self.segments.append(Segment(hour, at, 0))
        return 0 if has_forgotten else SEGMENT_IDS

    def _forget(self, hour: int) -> None:
        while self.segments and self.segments[0].hour < hour - KEPT_HOURS:
            del self.segments[0]
