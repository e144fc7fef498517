"""Hold the rows of a history compactly, whatever their order, and write them as records of the event log."""

from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from lab.importing.mapping import Row
from shared.contracts.events import source_of, type_of, wire_time


@dataclass(slots=True, kw_only=True)
class Held:
    """Rows in compact columns, some 40 bytes each, whatever their order; facts keep their data beside."""

    accounts: dict[str, int] = field(default_factory=dict)
    texts: dict[str | None, int] = field(default_factory=lambda: {None: 0})
    columns: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    data: dict[int, bytes] = field(default_factory=dict)
    blocks: list[np.ndarray[tuple[int, int], np.dtype[np.int64]]] = field(default_factory=list)

    def take(self, row: Row) -> None:
        """Keep one row."""
        number, account, at, kind, source, user, name, data = row
        text = self.texts.setdefault
        places = [text(value, len(self.texts)) for value in (kind, source, user, name)]
        self.columns.append((at, self.accounts.setdefault(account, len(self.accounts)), *places))  # type: ignore[arg-type]
        if data:
            told = {name: value for name, value in data.items() if name != "user"}  # the row says who it was
            self.data[len(self.blocks) * _BLOCK + len(self.columns) - 1] = msgspec.json.encode(told)
        if len(self.columns) == _BLOCK:
            self._pack()
        del number

    def rows(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """Return the columns of all rows: time, account, kind, source, user, name (numbers of texts)."""
        if self.columns:
            self._pack()
        return np.concatenate(self.blocks) if self.blocks else np.zeros((0, 6), np.int64)

    def _pack(self) -> None:
        self.blocks.append(np.array(self.columns, np.int64).reshape(-1, 6))
        self.columns = []


class Lines:
    """Write rows as records of the event log."""

    def __init__(self, held: Held, columns: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> None:
        self._columns = columns
        self._data = held.data
        self._accounts = [msgspec.json.encode(account).decode() for account in held.accounts]
        self._texts = [msgspec.json.encode(text).decode() for text in held.texts]
        self._kinds = ["" if text is None else type_of(text) for text in held.texts]
        self._sources = [source_of(text or "history") for text in held.texts]

    def of(self, row: int) -> bytes:
        """Return one record."""
        at, account, kind, source, user, name = self._columns[row].tolist()
        data = self._data.get(row)
        said = data.decode() if data else f'{{"user":{self._texts[user]},"name":{self._texts[name]}}}'
        if data and user:
            said = f'{said[:-1]}{"" if data == _NOTHING else ","}"user":{self._texts[user]}}}'
        return (
            f'{{"specversion":"1.0","id":"{row}","source":"{self._sources[source]}","type":"{self._kinds[kind]}",'
            f'"subject":{self._accounts[account]},"time":"{wire_time(at)}","data":{said}}}'
        ).encode()


_BLOCK: Final = 1 << 16
_NOTHING: Final = b"{}"
