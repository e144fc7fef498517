"""Find out how a file of accounts is written: its encoding, and what stands between its columns."""

import codecs
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from lab.importing.readers import GZIP, PARQUET, Fault, Table, table

BLOCK: Final = 1 << 20
ENCODINGS: Final = ("utf-8", "cp932")
DELIMITERS: Final = ",;\t"


@contextmanager
def open_accounts(path: Path, *, encoding: str | None = None) -> Iterator[Table]:
    """Open an export as a table; without an encoding it is UTF-8 if it can be, else CP932. Raises Fault."""
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
        if head == PARQUET:
            found, delimiter = "utf-8", None
        else:
            found = encoding or _encoding_of(path, is_gzip=head[:2] == GZIP)
            delimiter = _delimiter_of(path, is_gzip=head[:2] == GZIP, encoding=found)
    except (OSError, EOFError) as fault:
        raise Fault(path, getattr(fault, "strerror", None) or str(fault)) from None
    with table(path, encoding=found, delimiter=delimiter) as opened:
        yield opened


def _encoding_of(path: Path, *, is_gzip: bool) -> str:
    left = {name: codecs.getincrementaldecoder(name)() for name in ENCODINGS}
    with _opened(path, is_gzip=is_gzip) as raw:
        while left:
            block = raw.read(BLOCK)
            for name in list(left):
                try:
                    left[name].decode(block, final=not block)
                except UnicodeDecodeError:
                    del left[name]
            if not block:
                break
    if not left:
        raise Fault(path, "is neither UTF-8 nor CP932: say --encoding, for example latin-1, or save it as UTF-8")
    return next(name for name in ENCODINGS if name in left)


def _delimiter_of(path: Path, *, is_gzip: bool, encoding: str) -> str | None:
    """Return what stands between the columns of the first line, None where the file's name tells it."""
    with _opened(path, is_gzip=is_gzip) as raw:
        line = raw.readline(BLOCK)
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Fault(path, "is UTF-16 (Excel's `Unicode Text`): save it as `CSV UTF-8`")
    try:
        text = line.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None  # the reader says which row, or that no encoding is called so
    bare = "".join(text.split('"')[::2])
    counts = {sign: bare.count(sign) for sign in DELIMITERS}
    best = max(counts, key=lambda sign: counts[sign])
    is_csv = not path.name.removesuffix(".gz").lower().endswith((".tsv", ".tab"))
    return best if is_csv and counts[best] else None


def _opened(path: Path, *, is_gzip: bool) -> IO[bytes]:
    return gzip.GzipFile(path) if is_gzip else path.open("rb")  # type: ignore[return-value]  # binary all the same
