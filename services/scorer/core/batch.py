"""Define what one fetch brought of one partition: the seam between Kafka's client and the scorer's core."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of one partition in offset order: one buffer and int64 columns of equal length.

    `timestamps` are the broker's, epoch ms. A key or value lies at `data[start : start + length]`; length −1 is null.
    `headers` holds the headers of the few rows that have any, by row. Nothing of the log lies between `since` and the
    first record.
    """

    topic: str
    partition: int
    generation: int
    data: bytes
    offsets: Ints
    timestamps: Ints
    key_start: Ints
    key_length: Ints
    value_start: Ints
    value_length: Ints
    headers: Mapping[int, tuple[tuple[str, bytes], ...]] = field(default_factory=dict)
    since: int = 0
    quarantined: frozenset[int] = frozenset()
    """Rows that are dead unread: the core raised on them before."""

    def __len__(self) -> int:
        return len(self.offsets)

    def head(self, rows: int) -> "Batch":
        """Return the first rows; the buffer stays whole."""
        columns = ("offsets", "timestamps", "key_start", "key_length", "value_start", "value_length")
        cut = {name: getattr(self, name)[:rows] for name in columns}
        return replace(self, **cut, quarantined=frozenset(row for row in self.quarantined if row < rows))

    def without(self, offsets: frozenset[int]) -> "Batch":
        """Return the batch with these offsets quarantined."""
        rows = np.flatnonzero(np.isin(self.offsets, list(offsets))) if offsets else ()
        return replace(self, quarantined=frozenset(map(int, rows))) if len(rows) else self

    def values(self) -> list[bytes | None]:
        """Return every value in order, None where it is null or may not be read."""
        data = self.data
        spans = zip(self.value_start.tolist(), self.value_length.tolist(), strict=True)
        values = [data[start : start + length] if length >= 0 else None for start, length in spans]
        for row in self.quarantined:
            values[row] = None
        return values

    def key(self, row: int) -> bytes | None:
        """Return the key of one row, None where it is null."""
        length = int(self.key_length[row])
        start = int(self.key_start[row])
        return self.data[start : start + length] if length >= 0 else None

    def value(self, row: int) -> bytes | None:
        """Return the value of one row, None where it is null."""
        length = int(self.value_length[row])
        start = int(self.value_start[row])
        return self.data[start : start + length] if length >= 0 else None
