"""Read a whole history, several files after one another, as often as is needed: to check, to send, to replay it."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from lab.importing.mapping import Mapped, Reading, Row, fitted, rows_of
from lab.importing.readers import Fault, table

WEEK_MS: Final = 7 * 86_400_000
MOST_FAULTS: Final = 20
SHOWN: Final = 5
BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Files in their order, and how they are read."""

    files: Sequence[Path]
    mapping: Mapped
    reading: Reading = field(default_factory=Reading)
    encoding: str = "utf-8"

    def rows(self) -> Iterator[Row | Fault]:
        """Yield every row with its number in the history, from 0 on, or what is wrong with it; raises Fault."""
        number = 0
        for path in self.files:
            with table(path, encoding=self.encoding) as found:
                for row in rows_of(found, fitted(self.mapping, found), first=number, reading=self.reading):
                    number += 1
                    yield row

    def columns(self) -> Mapped:
        """Return the mapping as the first file completes it."""
        with table(self.files[0], encoding=self.encoding) as found:
            return fitted(self.mapping, found)

    def job(self) -> str:
        """Return the id of the import: the same files read the same way are the same job."""
        digest = hashlib.sha256(self.mapping.canonical())
        digest.update(f"{self.reading!r} {self.encoding}".encode())
        for path in self.files:
            digest.update(_digest(path))
        return f"i_{digest.hexdigest()[:16]}"

    def shifted_to(self, day: date, *, latest: int) -> "History":
        """Return the history moved by whole weeks, so that its latest event lies in the seven days up to `day`."""
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        weeks = (int(end.timestamp() * 1000) - 1 - latest) // WEEK_MS
        return replace(self, reading=replace(self.reading, shift_ms=weeks * WEEK_MS))


@dataclass(slots=True, kw_only=True)
class Survey:
    """What a history holds: counts, its first rows, and its first faults."""

    rows: int = 0
    faults: int = 0
    first_faults: list[Fault] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    accounts: set[str] = field(default_factory=set)
    earliest: int | None = None
    latest: int | None = None
    shown: list[Row] = field(default_factory=list)

    def take(self, row: Row | Fault) -> None:
        """Count one row."""
        if isinstance(row, Fault):
            self.faults += 1
            if len(self.first_faults) < MOST_FAULTS:
                self.first_faults.append(row)
            return
        self.rows += 1
        self.kinds[row[3]] += 1
        self.accounts.add(row[1])
        at = row[2]
        self.earliest = at if self.earliest is None or at < self.earliest else self.earliest
        self.latest = at if self.latest is None or at > self.latest else self.latest
        if len(self.shown) < SHOWN:
            self.shown.append(row)


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.digest()
