"""Read the rows of an export into accounts, or into what is wrong with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.accounts.cells import BadCell, count, flag, identity, words, zone
from lab.accounts.columns import Columns
from lab.accounts.countries import country_code
from lab.accounts.days import BadDay, Form, day_first, form_of, read_day
from lab.accounts.money import BadMoney, decimal_sign, read_currency, read_money
from lab.accounts.owners import BadOwner, Owners
from lab.accounts.presets import ID
from lab.importing.readers import Cells, Fault, Table

Trait = str | int | bool
_EMPTY: Final = frozenset({"", "-", "–", "—", "n/a", "#n/a", "null", "none", "nan", "(no value)"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account as the file tells it; what is not told is absent."""

    row: int
    id: str
    traits: Mapping[str, Trait]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the command was told about the file: the sign before decimals, day before month, currency, owners."""

    decimal: str | None = None
    is_day_first: bool | None = None
    currency: str | None = None
    owners: Owners = field(default_factory=Owners)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a file holds: accounts in its order, and every fault."""

    accounts: Sequence[Account]
    faults: Sequence[Fault]


def read_accounts(table: Table, columns: Columns, said: Said) -> Read:
    """Read all rows: first how each column writes things, then the cells. Raises Fault for an unreadable file."""
    rows = [(number, _values(cells, table, columns)) for number, cells in table.rows]
    reader = _Reader(table.path, columns, said, shown=_shown(rows))
    accounts, faults, first = list[Account](), list[Fault](), dict[str, int]()
    for number, values in rows:
        found = reader.read(number, values)
        if not isinstance(found, Account):
            faults += found
        elif found.id in first:
            twice = f"the account {found.id!r} stands twice, first in row {first[found.id]}: keep one of them"
            faults.append(Fault(table.path, twice, row=number, column=columns.of[ID]))
        else:
            accounts.append(found)
            first[found.id] = number
    return Read(accounts=accounts, faults=faults)


def _values(cells: Cells, table: Table, columns: Columns) -> dict[str, object]:
    """Return the cells by field, without those that say nothing."""
    by_column = cells if isinstance(cells, Mapping) else dict(zip(table.columns, cells, strict=True))
    found = {name: by_column.get(column) for name, column in columns.of.items()}
    found = {name: value.strip() if isinstance(value, str) else value for name, value in found.items()}
    return {name: value for name, value in found.items() if value is not None and str(value).lower() not in _EMPTY}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What the values of a column show of how it writes decimals and days."""

    decimal: str | None
    is_day_first: bool | None


def _shown(rows: Sequence[tuple[int, Mapping[str, object]]]) -> _Shown:
    amounts = (str(values["arr"]) for _, values in rows if isinstance(values.get("arr"), str))
    days = (str(values["renewal_date"]) for _, values in rows if "renewal_date" in values)
    return _Shown(decimal=decimal_sign(amounts), is_day_first=day_first(days))


class _Reader:
    """Reads one row after the other; the first day settles how the column writes days."""

    def __init__(self, path: Path, columns: Columns, said: Said, *, shown: _Shown) -> None:
        self._shown = shown
        self._path = path
        self._columns = columns
        self._said = said
        self._form: Form | None = None
        self._readers: Mapping[str, Callable[[object], Trait]] = {
            "owner": lambda value: said.owners.address(str(value)),
            "seats": count,
            "currency": read_currency,
            "renewal_date": self._day,
            "timezone": zone,
            "country": lambda value: country_code(str(value)) or words(value),
            "parent": identity,
            "trial": flag,
        }

    def read(self, row: int, values: Mapping[str, object]) -> Account | list[Fault]:
        """Return the account of a row, or everything wrong with it."""
        faults = list[Fault]()
        traits = dict[str, Trait]()
        account = ""
        for name, column in self._columns.of.items():
            try:
                if name == ID:
                    account = identity(values.get(ID, ""))
                elif name == "arr" and name in values:
                    traits |= self._arr(values)
                elif name in values and name not in traits:
                    traits[name] = self._readers.get(name, words)(values[name])
            except (BadCell, BadMoney, BadDay, BadOwner) as fault:
                faults.append(Fault(self._path, str(fault), row=row, column=column))
        return faults or Account(row=row, id=account, traits=traits)

    def _arr(self, values: Mapping[str, object]) -> dict[str, Trait]:
        money = read_money(values["arr"], seen=self._shown.decimal, told=self._said.decimal)
        column = read_currency(values["currency"]) if "currency" in values else None
        told = column or self._said.currency
        # ¥ is also China's and $ also Australia's: only a column or --currency can say so
        if money.currency and told and money.currency != told and not _same_sign(money.currency, told):
            place = "its currency column" if column else "--currency"
            raise BadMoney(f"{values['arr']!r} is in {money.currency}, {place} says {told}")
        currency = told or money.currency
        return {"arr": money.amount, **({"currency": currency} if currency else {})}

    def _day(self, value: object) -> str:
        told = self._said.is_day_first
        is_day_first = self._shown.is_day_first if told is None else told
        day = read_day(value, form=self._form, is_day_first=is_day_first)
        self._form = self._form or form_of(str(value))
        return day


def _same_sign(one: str, other: str) -> bool:
    return any({one, other} <= family for family in _FAMILIES)


_FAMILIES: Final = (
    frozenset({"JPY", "CNY"}),
    frozenset({"USD", "AUD", "CAD", "NZD", "HKD", "SGD", "TWD", "MXN", "COP", "CLP", "ARS"}),
)
