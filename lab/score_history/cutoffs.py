"""Read which accounts are to be scored when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.importing.mapping import Reading
from lab.importing.readers import Cells, Fault, Table, table
from lab.importing.times import BadTime, TimeReader

COLUMNS: Final = ("account", "cutoff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoff:
    """One account at one moment (epoch ms): events strictly before it count. `text` is the moment as it was written."""

    account: str
    at: int
    text: str


def read_cutoffs(path: Path, *, reading: Reading) -> list[Cutoff]:
    """Return the distinct cut-offs of a file, in its order; its other columns are left alone. Raises Fault."""
    with table(path) as found:
        missing = [name for name in COLUMNS if name not in found.columns]
        if missing:
            words = (
                f"has no column {missing[0]}; it has {', '.join(found.columns)}: name two of them account and cutoff"
            )
            raise Fault(path, words)
        cutoffs = {(one.account, one.at): one for one in _cutoffs(found, reading=reading)}
    if not cutoffs:
        raise Fault(path, "has no rows: each one is an account and a cutoff")
    return list(cutoffs.values())


def _cutoffs(found: Table, *, reading: Reading) -> Iterator[Cutoff]:
    time = TimeReader(zone=reading.zone, day_first=reading.day_first)
    places = [found.columns.index(name) for name in COLUMNS]
    for row, cells in found.rows:
        account, cutoff = _two(cells, places)
        if account in (None, ""):
            raise Fault(found.path, "is empty", row=row, column="account")
        try:
            yield Cutoff(account=str(account).strip(), at=time(cutoff), text=str(cutoff).strip())
        except BadTime as fault:
            raise Fault(found.path, str(fault), row=row, column="cutoff") from None


def _two(cells: Cells, places: Sequence[int]) -> tuple[object, object]:
    if isinstance(cells, Sequence):
        return cells[places[0]], cells[places[1]]
    return cells.get(COLUMNS[0]), cells.get(COLUMNS[1])
