"""Say which column of a file is what, and turn its rows into what the ingest takes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from lab.importing.readers import Cells, Fault, Table
from lab.importing.times import BadTime, TimeReader
from shared.contracts.events import DATA_OF, Activity, Kind

GUESSES: Final[Mapping[str, Sequence[str]]] = {
    "account": (
        "account",
        "account_id",
        "accountid",
        "company_id",
        "customer_id",
        "org_id",
        "organization_id",
        "group_id",
    ),
    "time": ("time", "timestamp", "ts", "occurred_at", "created_at", "event_time", "date"),
    "user": ("user", "user_id", "userid", "distinct_id", "contact_id"),
    "name": ("name", "event", "event_name", "action"),
    "kind": ("kind",),
    "source": ("source", "app", "product"),
    "data": ("data",),
}
FIELDS: Final = tuple(GUESSES)
DEFAULT_KINDS: Final = {"Signed In": Kind.LOGIN, "login": Kind.LOGIN}

Row = tuple[int, str, int, str, str | None, str | None, str | None, Mapping[str, Any] | None]
"""As the ingest takes it: row, account, time (epoch ms), kind, source, user, name, data."""


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """The YAML of a mapping."""

    columns: dict[str, str] = {}
    kinds: dict[str, list[str]] = {}
    kind: str = Kind.USAGE
    data: dict[str, str] = {}
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """Which column is what. `kinds` gives the kind of an event name, `kind` that of all others; `data` the column of
    each field of a fact; `source` stands for all rows. Columns not named are found by their names for the fields
    `guessed`.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_KINDS))
    kind: str = Kind.USAGE
    data: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    guessed: Sequence[str] = FIELDS

    def canonical(self) -> bytes:
        """Return what makes it this mapping, always the same bytes."""
        parts = [self.columns, self.kinds, self.kind, self.data, self.source]
        return json.dumps(parts, sort_keys=True, ensure_ascii=True).encode()


class BadMapping(ValueError):
    """A mapping that can't be."""


def mapped(words: Sequence[str], *, file: Path | None = None, source: str | None = None) -> Mapped:
    """Return the mapping of `field=COLUMN` words over that of a YAML file; raises BadMapping."""
    said = _Said() if file is None else _read(file)
    columns = dict(said.columns)
    for word in ",".join(words).split(",") if words else ():
        name, equals, column = word.partition("=")
        if not equals or not column:
            raise BadMapping(f"--map {word!r}: write field=COLUMN, for example account=company_id")
        columns[name.strip()] = column.strip()
    unknown = sorted(set(columns) - set(FIELDS))
    if unknown:
        raise BadMapping(f"--map: no field is called {unknown[0]!r}; there are {', '.join(FIELDS)}")
    kinds = {name: kind for kind, names in said.kinds.items() for name in names}
    wrong = sorted({*said.kinds, said.kind} - set(Kind))
    if wrong:
        raise BadMapping(f"{file}: no kind is called {wrong[0]!r}; there are {', '.join(Kind)}")
    return Mapped(
        columns=columns, kinds={**DEFAULT_KINDS, **kinds}, kind=said.kind, data=said.data, source=source or said.source
    )


def fitted(mapping: Mapped, table: Table) -> Mapped:
    """Return the mapping with columns that were not named guessed by their names; raises Fault for one missing."""
    by_name = {column.lower().replace(" ", "_").replace("-", "_"): column for column in table.columns}
    columns = dict(mapping.columns)
    for name, guesses in GUESSES.items():
        found = next((by_name[guess] for guess in guesses if guess in by_name), None)
        if name in mapping.guessed and name not in columns and found is not None and found not in columns.values():
            columns[name] = found
    wanted = [*(f"{name}={column}" for name, column in columns.items()), *mapping.data.values()]
    missing = [one for one in wanted if table.is_closed and one.rpartition("=")[2] not in table.columns]
    if missing:
        raise Fault(table.path, f"has no column for {missing[0]}; it has {', '.join(table.columns)}")
    for name in ("account", "time"):
        if name not in columns:
            words = f"no column looks like the {name}: say --map {name}=COLUMN, one of {', '.join(table.columns)}"
            raise Fault(table.path, words)
    return replace(mapping, columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How cells are read: the zone of times that name none, and whether days come before months."""

    zone: tzinfo = UTC
    day_first: bool | None = None
    shift_ms: int = 0


def rows_of(table: Table, mapping: Mapped, *, first: int, reading: Reading) -> Iterator[Row | Fault]:
    """Yield each row, numbered from `first` on, or what is wrong with it."""
    cell_of = _Cells(table, mapping)
    time = TimeReader(zone=reading.zone, day_first=reading.day_first)
    for number, (in_file, cells) in enumerate(table.rows, start=first):
        account = _text(cell_of("account", cells))
        if account is None:
            yield Fault(table.path, "is empty", row=in_file, column=mapping.columns["account"])
            continue
        try:
            at = time(cell_of("time", cells)) + reading.shift_ms
        except BadTime as fault:
            yield Fault(table.path, str(fault), row=in_file, column=mapping.columns["time"])
            continue
        yield _row(number, account, at, cells, cell_of=cell_of, mapping=mapping, in_file=in_file)


class _Cells:
    """Find the cell of a field."""

    def __init__(self, table: Table, mapping: Mapped) -> None:
        self.path = table.path
        places = {column: place for place, column in enumerate(table.columns)}
        self._columns = {**mapping.columns, **{f"data.{name}": column for name, column in mapping.data.items()}}
        self._place = {name: places.get(column, 0) for name, column in self._columns.items()}
        self.data = list(mapping.data)

    def __call__(self, name: str, cells: Cells) -> object:
        if isinstance(cells, Mapping):
            return cells.get(self._columns.get(name, ""))
        place = self._place.get(name)
        return None if place is None else cells[place]


def _row(  # noqa: PLR0913  the parts of one row
    number: int, account: str, at: int, cells: Cells, *, cell_of: _Cells, mapping: Mapped, in_file: int
) -> Row | Fault:
    name = _text(cell_of("name", cells))
    said = _text(cell_of("kind", cells))
    kind = said or (mapping.kinds.get(name, mapping.kind) if name is not None else mapping.kind)
    if kind not in _KINDS:
        words = f"no kind is called {kind!r}; there are {', '.join(Kind)}"
        return Fault(cell_of.path, words, row=in_file, column=mapping.columns.get("kind"))
    user, source = _text(cell_of("user", cells)), _text(cell_of("source", cells)) or mapping.source
    type_ = DATA_OF.get(Kind(kind))
    if type_ is Activity:
        return (number, account, at, kind, source, user, name, None)
    try:
        data = _data(cells, cell_of, user=user, type_=type_)
    except (msgspec.MsgspecError, ValueError) as fault:
        return Fault(cell_of.path, f"is no {kind}: {fault}", row=in_file)
    return (number, account, at, kind, source, user, name, data)


def _data(cells: Cells, cell_of: _Cells, *, user: str | None, type_: type[msgspec.Struct] | None) -> Mapping[str, Any]:
    """Return a fact's data from its own columns and from the cell `data`, in the types of its kind."""
    whole = cell_of("data", cells)
    found: dict[str, Any] = dict(whole) if isinstance(whole, Mapping) else json.loads(str(whole)) if whole else {}
    told = {name: cell_of(f"data.{name}", cells) for name in cell_of.data}
    found |= {name: value for name, value in told.items() if value not in (None, "")}
    found.pop("user", None)
    if type_ is None:
        return found
    read = msgspec.convert({**found, "user": user} if user else found, type_, strict=False)
    said: dict[str, Any] = msgspec.to_builtins(read)
    said.pop("user", None)
    return said


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return value.strip() or None if isinstance(value, str) else str(value)


def _read(file: Path) -> _Said:
    try:
        return msgspec.convert(yaml.safe_load(file.read_text("utf-8")) or {}, _Said)
    except OSError as fault:
        raise BadMapping(f"{file}: {fault.strerror}") from None
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as fault:
        raise BadMapping(f"{file}: {fault}") from None


_KINDS: Final = frozenset(Kind)
