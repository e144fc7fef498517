"""Read rows from CSV, TSV, JSON lines and Parquet, compressed or not, in flat memory."""

import codecs
import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

GZIP: Final = b"\x1f\x8b"
PARQUET: Final = b"PAR1"
ROWS_A_BATCH: Final = 8192
MOST_CELL: Final = 1 << 20
LOOK_AHEAD: Final = 1000
"""JSON objects read before it is said which columns there are."""

Cells = Sequence[object] | Mapping[str, object]
"""Of one row: in the order of the columns, or by name."""


class Fault(Exception):
    """Something in a file that can't be read: one line that names file, row and column, and the remedy."""

    def __init__(self, path: Path | str, words: str, *, row: int | None = None, column: str | None = None) -> None:
        self.row = row
        place = [str(path), *([f"row {row}"] if row is not None else []), *([f"column {column}"] if column else [])]
        super().__init__(f"{', '.join(place)}: {words}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file's columns, and its rows as (number in the file, cells in the columns' order); the first row is 1."""

    path: Path
    columns: Sequence[str]
    rows: Iterator[tuple[int, Cells]]
    is_closed: bool = True
    """Whether no column but these can come: a JSON object further on may hold names not met so far."""


@contextmanager
def table(path: Path, *, encoding: str = "utf-8", delimiter: str | None = None) -> Iterator[Table]:
    """Open a file and read its columns; raises Fault, while rows are read too.

    `delimiter` is that of a CSV; without one it is told by the file's name.
    """
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
            raw.seek(0)
            if head == PARQUET:
                yield _parquet(path, raw)
            else:
                plain: IO[bytes] = _inflated(path, raw) if head[:2] == GZIP else raw
                yield _text(path, plain, encoding=encoding, delimiter=delimiter)
    except OSError as fault:
        raise Fault(path, fault.strerror or str(fault)) from None


def _inflated(path: Path, raw: IO[bytes]) -> IO[bytes]:
    found = gzip.GzipFile(fileobj=raw)
    try:
        found.peek(1)
    except (OSError, EOFError) as fault:
        raise Fault(path, f"begins like gzip and is none: {fault}") from None
    return found  # type: ignore[return-value]  # a binary file all the same


def _text(path: Path, raw: IO[bytes], *, encoding: str, delimiter: str | None) -> Table:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise Fault(path, f"no encoding is called {encoding!r}: try utf-8, cp932 or latin-1") from None
    name = path.name.removesuffix(".gz").lower()
    lines = _decoded(path, raw, encoding)
    if name.endswith((".jsonl", ".ndjson", ".json")):
        return _json_lines(path, lines)
    return _csv(path, lines, delimiter=delimiter or ("\t" if name.endswith((".tsv", ".tab")) else ","))


def _csv(path: Path, lines: Iterator[str], *, delimiter: str) -> Table:
    csv.field_size_limit(MOST_CELL)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = next(_checked(path, reader), (0, None))[1]
    if not header:
        raise Fault(path, "is empty: its first line must name the columns")
    columns = [name.strip() for name in header]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise Fault(path, f"two columns are called {twice[0]!r}")
    return Table(path=path, columns=columns, rows=_full_rows(path, reader, columns))


def _full_rows(path: Path, reader: Iterator[list[str]], columns: Sequence[str]) -> Iterator[tuple[int, Cells]]:
    width = len(columns)
    for number, cells in _checked(path, reader):
        if len(cells) == width:
            yield number, cells
        elif cells:
            raise Fault(path, f"has {len(cells)} cells where the header has {width}", row=number)


def _checked(path: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield lines with their row numbers (the header is 0), and say which one is no CSV."""
    number = getattr(reader, "line_num", 0)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            raise Fault(path, f"is no CSV: {fault}", row=number) from None
        yield number, cells
        number += 1


def _decoded(path: Path, raw: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield lines as text: decoded one by one, so that the row of a wrong one is known."""
    number = 0
    try:
        for number, line in enumerate(raw):
            yield (line.removeprefix(codecs.BOM_UTF8) if number == 0 else line).decode(encoding)
    except UnicodeDecodeError:
        words = f"is not {encoding}: try --encoding cp932 (Excel in Japan) or latin-1"
        raise Fault(path, words, row=number) from None
    except (OSError, EOFError) as fault:
        raise Fault(path, f"can't be read to its end: {fault}", row=number) from None


def _json_lines(path: Path, lines: Iterator[str]) -> Table:
    objects = _objects(path, lines)
    first = list(islice(objects, LOOK_AHEAD))
    if not first:
        raise Fault(path, "is empty")
    columns = list(dict.fromkeys(name for _, found in first for name in found))
    return Table(path=path, columns=columns, rows=chain(first, objects), is_closed=len(first) < LOOK_AHEAD)


def _objects(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = _OBJECT.decode(line)
        except (msgspec.MsgspecError, RecursionError) as fault:
            raise Fault(path, f"is no JSON object: {fault}", row=number) from None
        yield number, found


def _parquet(path: Path, raw: IO[bytes]) -> Table:
    try:
        file = pq.ParquetFile(raw)
    except (pa.ArrowException, OSError) as fault:
        raise Fault(path, f"is no Parquet file: {fault}") from None
    return Table(path=path, columns=list(file.schema_arrow.names), rows=_parquet_rows(path, file))


def _parquet_rows(path: Path, file: pq.ParquetFile) -> Iterator[tuple[int, Cells]]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=ROWS_A_BATCH):
            columns = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield number, cells
    except (pa.ArrowException, OSError) as fault:
        raise Fault(path, f"can't be read: {fault}", row=number + 1) from None


_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
