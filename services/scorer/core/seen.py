"""Remember the ids of applied events and where each came first: a retry counts once, a replay is no retry."""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.days import HOUR
from services.scorer.core.table import Hashes, HashTable, Ints

KEPT_HOURS: Final = 24
_NEVER: Final = -1


class Seen:
    """Ids of one partition by keyed hash with their first offset; forgotten by arrival hour (docs/scoring.md §1)."""

    def __init__(self) -> None:
        self.table = HashTable()
        self.hours: list[tuple[int, int]] = []
        """(arrival hour, first offset at which it was reached), rising in both."""

    def arrive(self, offsets: Ints, timestamps: Ints) -> Ints:
        """Take note of the arrival of records, in order, and return each one's arrival hour."""
        before = self.hours[-1][0] if self.hours else _NEVER
        hours = np.maximum(np.maximum.accumulate(timestamps // HOUR), before)
        for row in np.flatnonzero(np.diff(hours, prepend=before)).tolist():
            if not self.hours or offsets[row] > self.hours[-1][1]:
                self.hours.append((int(hours[row]), int(offsets[row])))
        return hours

    def duplicates(self, ids: Hashes, *, offsets: Ints, hours: Ints) -> npt.NDArray[np.bool_]:
        """Say which of these records repeat an id applied before, and remember the others.

        Rows are in offset order; `hours` are what `arrive` returned for them. An id first seen at the very same offset
        is a replay of that record, not a repetition.
        """
        repeats = np.zeros(len(ids), bool)
        bounds = np.flatnonzero(np.diff(hours, prepend=-2, append=-2))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            piece = slice(start, end)
            repeats[piece] = self._in_one_hour(ids[piece], offsets=offsets[piece], hour=int(hours[start]))
        return repeats

    def forget(self) -> None:
        """Drop what is forgotten by now; called only where a checkpoint cycle begins: a replay knows it."""
        if not self.hours:
            return
        horizon = self._horizon(self.hours[-1][0])
        keys, offsets = self.table.entries()
        kept = offsets >= horizon
        self.table = HashTable(int(kept.sum()))
        self.table.put(keys[kept], offsets[kept])
        self.hours = [(hour, offset) for hour, offset in self.hours if hour >= self.hours[-1][0] - KEPT_HOURS]

    def _in_one_hour(self, ids: Hashes, *, offsets: Ints, hour: int) -> npt.NDArray[np.bool_]:
        distinct, first, which = np.unique(ids, return_index=True, return_inverse=True)
        known = self.table.find(distinct)
        first_offset = offsets[first]
        is_remembered = (known >= self._horizon(hour)) & (known >= 0) & (known < first_offset)
        fresh = ~is_remembered & (known != first_offset)
        self.table.put(distinct[fresh], first_offset[fresh])
        repeats: npt.NDArray[np.bool_] = is_remembered[which] | (np.arange(len(ids)) != first[which])
        return repeats

    def _horizon(self, hour: int) -> int:
        """Return the first offset that is still remembered at an arrival hour."""
        for reached, offset in self.hours:
            if reached >= hour - KEPT_HOURS:
                return offset
        return 0
