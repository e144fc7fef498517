"""Define what one fetch brought of one partition: the seam between Kafka's client and the scorer's core."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of one partition in offset order: one buffer and int64 columns of equal length.

    `timestamps` are the broker's, epoch ms. A key or value lies at `data[start : start + length]`; length −1 is null.
    `headers` holds the headers of the few rows that have any, by row.
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

    def __len__(self) -> int:
        return len(self.offsets)

    def values(self) -> list[bytes | None]:
        """Return every value in order, None where it is null."""
        data = self.data
        spans = zip(self.value_start.tolist(), self.value_length.tolist(), strict=True)
        return [data[start : start + length] if length >= 0 else None for start, length in spans]

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
