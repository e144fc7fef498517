"""Replay a history through the live core, a tick a day: what each account's health would have been."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from lab.importing.mapping import Row
from lab.lines import batch_of_lines
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.publish import HealthRow
from services.scorer.core.step import Outputs, step
from shared.contracts.events import Kind, source_of, tick_record, type_of, wire_time
from shared.contracts.health import Band
from shared.contracts.risk import Transition

DAY: Final = 86_400_000
SHOWN_DAYS: Final = 91
NEEDED_DAYS: Final = 2 * SHOWN_DAYS
"""Older rows change nothing of the days shown but since when an account is known."""


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
            self.data[len(self.blocks) * _BLOCK + len(self.columns) - 1] = msgspec.json.encode(data)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One tick of a replay, at the end of a day (epoch ms): what was judged, and what opened or ended."""

    at: int
    healths: Sequence[HealthRow]
    transitions: Sequence[Transition]


def replay(rows: Iterable[Row], *, bundle: CompiledBundle) -> Iterator[Day]:
    """Yield each day from the first event to the end of the last one's day, judged as it would have been at its end."""
    held = Held()
    for row in rows:
        held.take(row)
    columns = held.rows()
    if not len(columns):
        return
    order = np.argsort(columns[:, 0], kind="stable")
    at = columns[order, 0]
    state = Partition.empty(partition=0, partitions=1, seed=0)
    lines = _Lines(held, columns)
    for midnight in range((int(at[0]) // DAY + 1) * DAY, (int(at[-1]) // DAY + 2) * DAY, DAY):
        first, last = np.searchsorted(at, [midnight - DAY, midnight])
        records = [lines.of(row) for row in order[first:last].tolist()]
        outputs = _fold(state, [*records, tick_record(midnight, context=0)], at=midnight, bundle=bundle)
        transitions = [msgspec.json.decode(record.value, type=Transition) for record in outputs.transitions]
        yield Day(at=midnight, healths=outputs.healths, transitions=transitions)


def points(days: Iterable[Day], *, bundle: str, until: int) -> list[Sequence[object]]:
    """Return the days to show as the ingest takes them: account, at, health, band, bundle; none after `until`."""
    found = [
        (row.account, row.at, row.health, Band(row.band), bundle)
        for day in days
        if until - SHOWN_DAYS * DAY <= day.at <= until
        for row in day.healths
    ]
    return list(found)


class _Lines:
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
        if data and user and self._kinds[kind] == _SURVEY:
            said = f'{said[:-1]},"user":{self._texts[user]}}}'
        return (
            f'{{"specversion":"1.0","id":"{row}","source":"{self._sources[source]}","type":"{self._kinds[kind]}",'
            f'"subject":{self._accounts[account]},"time":"{wire_time(at)}","data":{said}}}'
        ).encode()


def _fold(state: Partition, records: Sequence[bytes], *, at: int, bundle: CompiledBundle) -> Outputs:
    batch = batch_of_lines(records, first=state.position, times=np.full(len(records), at, np.int64))
    return step(state, batch, known_at=lambda _offset, _partition: Known(bundle=bundle))


_BLOCK: Final = 1 << 16
_SURVEY: Final = type_of(Kind.SURVEY)
