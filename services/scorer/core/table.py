"""Hold state as arrays: growing columns, growing text, and the one open-addressing hash table over them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
Column = npt.NDArray[Any]
Layout = Mapping[str, tuple[type[np.generic], int | None, int]]
"""Dtype, width (None: scalar) and first value of each column."""

GROWTH: Final = 16
"""Columns grow by a sixteenth: memory counts for more here than the copying."""
NONE: Final = np.iinfo(np.int64).min
"""The value of an int64 column where nothing is known."""


class HashTable:
    """Map non-zero 64-bit hashes to int64 values by linear probing; at most half full, so a probe always ends.

    Hashes must be keyed (senders choose what is hashed). Two different things with one hash are one entry: for n
    entries the odds that any two collide are n²/2⁶⁵, 3·10⁻⁸ for a million.
    """

    def __init__(self, capacity: int = 1024) -> None:
        size = 1 << max(4, (2 * capacity - 1).bit_length())
        self.keys: Hashes = np.zeros(size, np.uint64)
        self.values: Ints = np.zeros(size, np.int64)
        self.count = 0

    def find(self, hashes: Hashes) -> Ints:
        """Return the value of each hash, −1 where it is absent (values are never negative)."""
        found = np.full(len(hashes), -1, np.int64)
        mask = np.uint64(len(self.keys) - 1)
        open_rows = np.arange(len(hashes))
        slots = hashes & mask
        while open_rows.size:
            keys = self.keys[slots]
            hit = keys == hashes[open_rows]
            found[open_rows[hit]] = self.values[slots[hit]]
            go_on = ~hit & (keys != 0)
            open_rows, slots = open_rows[go_on], (slots[go_on] + np.uint64(1)) & mask
        return found

    def put(self, hashes: Hashes, values: Ints) -> None:
        """Set the value of each hash; the hashes are distinct. Grows before the table is half full."""
        while 2 * (self.count + len(hashes)) > len(self.keys):
            self._grow()
        mask = np.uint64(len(self.keys) - 1)
        open_rows = np.arange(len(hashes))
        slots = hashes & mask
        while open_rows.size:
            keys = self.keys[slots]
            free = keys == 0
            self.keys[slots[free]] = hashes[open_rows[free]]
            mine = self.keys[slots] == hashes[open_rows]
            self.count += int((mine & free).sum())
            self.values[slots[mine]] = values[open_rows[mine]]
            open_rows, slots = open_rows[~mine], (slots[~mine] + np.uint64(1)) & mask

    def entries(self) -> tuple[Hashes, Ints]:
        """Return all hashes and their values, in no particular order."""
        used = self.keys != 0
        return self.keys[used], self.values[used]

    def _grow(self) -> None:
        keys, values = self.entries()
        self.keys = np.zeros(2 * len(self.keys), np.uint64)
        self.values = np.zeros(len(self.keys), np.int64)
        self.count = 0
        self.put(keys, values)


class RowIndex:
    """Find rows by a non-zero 64-bit hash that can be told from their columns: 4 bytes a slot, at most half full.

    `hashes_of` returns the hashes of rows of `columns`; those of rows put here must not change, and are all different.
    It must not hold the columns itself: a deep copy keeps functions as they are, and would look into the original.
    """

    def __init__(self, columns: "Columns", hashes_of: Callable[["Columns", Ints], Hashes]) -> None:
        self.slots: npt.NDArray[np.int32] = np.full(64, -1, np.int32)
        self.count = 0
        self._columns = columns
        self._hashes_of = hashes_of

    def find(self, hashes: Hashes) -> Ints:
        """Return the row of each hash, −1 where it is absent."""
        found = np.full(len(hashes), -1, np.int64)
        mask = np.uint64(len(self.slots) - 1)
        asked, slots = np.arange(len(hashes)), hashes & mask
        while asked.size:
            rows = self.slots[slots].astype(np.int64)
            used = rows >= 0
            asked, slots, rows = asked[used], slots[used], rows[used]
            hit = self._hashes_of(self._columns, rows) == hashes[asked]
            found[asked[hit]] = rows[hit]
            asked, slots = asked[~hit], (slots[~hit] + np.uint64(1)) & mask
        return found

    def put(self, hashes: Hashes, rows: Ints) -> None:
        """Add rows that are not there yet, under distinct hashes. Grows before it is half full."""
        if 2 * (self.count + len(rows)) > len(self.slots):
            there = self.slots[self.slots >= 0].astype(np.int64)
            size = 1 << (2 * (self.count + len(rows))).bit_length()
            self.slots = np.full(size, -1, np.int32)
            self._fill(self._hashes_of(self._columns, there), there)
        self._fill(hashes, rows)
        self.count += len(rows)

    def _fill(self, hashes: Hashes, rows: Ints) -> None:
        mask = np.uint64(len(self.slots) - 1)
        left, slots = np.arange(len(rows)), hashes & mask
        while left.size:
            free = self.slots[slots] < 0
            self.slots[slots[free]] = rows[left[free]]
            placed = self.slots[slots] == rows[left]
            left, slots = left[~placed], (slots[~placed] + np.uint64(1)) & mask


class Columns:
    """Rows of a fixed layout, one growing array a column."""

    def __init__(self, spec: Layout, capacity: int = 256) -> None:
        self.spec = spec
        self.count = 0
        self._arrays: dict[str, Column] = {
            name: np.full(capacity if width is None else (capacity, width), first, dtype)
            for name, (dtype, width, first) in spec.items()
        }

    def __getitem__(self, name: str) -> Column:
        """Return a column over its whole capacity; rows from `count` on are free."""
        return self._arrays[name]

    def add(self, rows: int) -> Ints:
        """Append rows with their first values and return their numbers."""
        start, self.count = self.count, self.count + rows
        for name, (dtype, width, first) in self.spec.items():
            old = self._arrays[name]
            if len(old) < self.count:
                capacity = max(len(old) + len(old) // GROWTH, self.count)
                new = np.full(capacity if width is None else (capacity, width), first, dtype)
                new[:start] = old[:start]
                self._arrays[name] = new
        return np.arange(start, self.count)


class Names:
    """Texts by number, in one byte array: account ids, compared in full."""

    def __init__(self) -> None:
        self.data: npt.NDArray[np.uint8] = np.zeros(4096, np.uint8)
        self.bounds: npt.NDArray[np.uint32] = np.zeros(256, np.uint32)
        """Where each text begins, and the one before ends."""
        self.count = 0

    def append(self, texts: Sequence[bytes]) -> None:
        """Append texts; the first gets the number `count`."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        joined = np.frombuffer(b"".join(texts), np.uint8)
        begin = int(self.bounds[self.count])
        self.data = _room(self.data, begin + len(joined))
        self.bounds = _room(self.bounds, self.count + len(texts) + 1)
        self.data[begin : begin + len(joined)] = joined
        self.bounds[self.count + 1 : self.count + len(texts) + 1] = begin + np.cumsum(lengths)
        self.count += len(texts)

    def text(self, row: int) -> bytes:
        """Return one text."""
        return self.data[self.bounds[row] : self.bounds[row + 1]].tobytes()

    def texts(self, rows: Ints) -> list[bytes]:
        """Return many texts."""
        view = self.data.data
        spans = zip(self.bounds[rows].tolist(), self.bounds[rows + 1].tolist(), strict=True)
        return [bytes(view[begin:end]) for begin, end in spans]

    def equal(self, rows: Ints, texts: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Say for each pair whether the text of that row is that text, byte for byte."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        begins = self.bounds[rows].astype(np.int64)
        same: npt.NDArray[np.bool_] = self.bounds[rows + 1] - begins == lengths
        begins, mine, theirs = begins[same], lengths[same], np.frombuffer(b"".join(texts), np.uint8)
        owner = np.repeat(np.arange(len(begins)), mine)
        within = np.arange(int(mine.sum())) - np.repeat(np.cumsum(mine) - mine, mine)
        their_begin = (np.cumsum(lengths) - lengths)[same]
        differs = self.data[begins[owner] + within] != theirs[their_begin[owner] + within]
        wrong = np.zeros(len(begins), bool)
        wrong[owner[differs]] = True
        same[np.flatnonzero(same)[wrong]] = False
        return same


class Words:
    """Few texts by number, as they come up; no text, or an empty one, is −1."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._numbers = {text: number for number, text in enumerate(texts)}

    def number(self, text: str | None) -> int:
        """Return the number of a text, a new one if need be."""
        return self._numbers.setdefault(text, len(self._numbers)) if text else -1

    def find(self, text: str) -> int:
        """Return the number of a text, −2 where nothing has it."""
        return self._numbers.get(text, -2) if text else -1

    @property
    def texts(self) -> list[str]:
        """Return the texts by number."""
        return list(self._numbers)


def _room(array: Column, size: int) -> Column:
    if len(array) >= size:
        return array
    grown = np.zeros(max(len(array) + len(array) // GROWTH, size), array.dtype)
    grown[: len(array)] = array
    return grown
