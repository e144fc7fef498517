"""Say which column of an export is which field of an account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.accounts.presets import FIELDS, ID, PLAIN, PRESETS, Product, squashed
from lab.importing.readers import Fault, Table
from lab.trouble import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The column of each field, what is told of some of them, and the columns not read."""

    of: Mapping[str, str]
    notes: Sequence[str]
    unread: Sequence[str]


def told(words: Sequence[str]) -> Mapping[str, str]:
    """Read `--map field=COLUMN,...`; an empty column leaves the field out. Raises Trouble."""
    found: dict[str, str] = {}
    for word in ",".join(words).split(",") if words else ():
        name, equals, column = word.partition("=")
        if not equals:
            raise Trouble(f"--map {word!r}: write field=COLUMN, for example arr='Annual Value'")
        found[ID if name.strip() == "account" else name.strip()] = column.strip()
    unknown = sorted(set(found) - set(FIELDS))
    if unknown:
        raise Trouble(f"--map: no field is called {unknown[0]!r}; there are {', '.join(FIELDS)}")
    return found


def fit(table: Table, *, product: Product | None, said: Mapping[str, str]) -> Columns:
    """Return the columns of a table; raises Fault for a column that is not there, and for no id."""
    preset = PRESETS[product] if product else PLAIN
    by_name = {squashed(column): column for column in table.columns}
    found: dict[str, str] = {}
    for name in FIELDS:
        if name in said:
            column = said[name]
            if column and column not in table.columns:
                raise Fault(table.path, f"has no column {column!r} (--map {name}); it has {_names(table)}")
        else:
            column = next((by_name[s] for c in preset.columns.get(name, ()) if (s := squashed(c)) in by_name), "")
        if column and (name in said or column not in found.values()):
            found[name] = column
    if ID not in found:
        wanted = " or ".join(repr(column) for column in preset.columns[ID][:3])
        words = f"has no column {wanted} for the account's id: say --map id=COLUMN, one of {_names(table)}"
        raise Fault(table.path, words)
    unread = [column for column in table.columns if column not in found.values()]
    return Columns(of=found, notes=_notes(preset.notes, table, read=found, said=said), unread=unread)


def _notes(
    notes: Mapping[str, str], table: Table, *, read: Mapping[str, str], said: Mapping[str, str]
) -> Sequence[str]:
    chosen = {column for name, column in read.items() if name in said}
    seen = [(column, notes[squashed(column)]) for column in table.columns if squashed(column) in notes]
    return [f"{column} {words.format(column=column)}" for column, words in seen if column not in chosen]


def _names(table: Table) -> str:
    return ", ".join(table.columns)
