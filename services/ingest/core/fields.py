"""Read the traits and properties people really send: numbers as text, money with signs, dates with times."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from services.ingest.core.item import Fields
from services.ingest.core.moment import read_stamp
from services.ingest.core.sources import squash

T = TypeVar("T")

MAX_TEXT_CHARS: Final = 200
MAX_MONEY: Final = 10**15
MAX_COUNT: Final = 2**53 - 1
_SIGNS: Final = " \t\u00a0\u202f$€£¥₩₹"
_NUMBER: Final = re.compile(
    r"(?:[A-Z]{3})?[ \u00a0]?(?P<number>[-+]?\d[\d.,'\u00a0\u202f ]*?)"
    r"[ \u00a0]?(?P<unit>[kKmM])?[ \u00a0]?(?:[A-Z]{3})?"
)
_GROUPED: Final = re.compile(r"\d{1,3}(?:([.,'\u00a0\u202f ])\d{3})(?:\1\d{3})*(?P<cents>[.,]\d{1,2})?")
_PLAIN: Final = re.compile(r"\d+(?:[.,]\d+)?")
_UNITS: Final = {None: 1, "k": 1_000, "m": 1_000_000}
_YES: Final = frozenset({"true", "yes", "1"})
_NO: Final = frozenset({"false", "no", "0"})
_ADDRESS: Final = re.compile(r"[^@\s<>,;\"]{1,64}@[^@\s<>,;\"]{1,189}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Field(StrEnum):
    """A trait or property that admission reads; also the label under which an unreadable one is counted."""

    NAME = "name"
    OWNER = "owner"
    SEGMENT = "segment"
    STAGE = "stage"
    ARR = "arr"
    CURRENCY = "currency"
    SEATS = "seats"
    RENEWAL_DATE = "renewal_date"
    TIMEZONE = "timezone"
    COUNTRY = "country"
    CLOSURES = "closures"
    PARENT = "parent"
    TRIAL = "trial"
    ROLE = "role"
    QUANTITY = "quantity"
    VALUE = "value"
    MRR = "mrr"
    KIND = "kind"
    SCORE = "score"
    TARGET = "target"
    DUE = "due"
    METRIC = "metric"
    HEALTH = "health"
    REASON = "reason"
    BY = "by"
    UNTIL = "until"


class Reader:
    """Give fields by our names; what is there but can't be read is None and noted in `dropped`."""

    def __init__(self, fields: Fields, names: Mapping[str, str]) -> None:
        values = {squash(theirs): value for theirs, value in fields.items()}
        for theirs, ours in names.items():
            if values.get(theirs) is not None:
                values[squash(ours)] = values[theirs]
        self._values = values
        self.dropped: list[Field] = []

    def raw(self, field: Field) -> object:
        """Return a field as it was sent, or None."""
        return self._values.get(squash(field))

    def text(self, field: Field) -> str | None:
        """Return a text of at most 200 characters, trimmed; numbers are written out."""
        value = self.raw(field)
        if value is None or value == "":
            return None
        text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
        return self._kept(field, text if 0 < len(text) <= MAX_TEXT_CHARS and text.isprintable() else None)

    def address(self, field: Field) -> str | None:
        """Return an e-mail address in lower case, also out of an object with `email`."""
        value = self.raw(field)
        if isinstance(value, dict):
            value = value.get("email")
        if value is None or value == "":
            return None
        text = value.strip().lower() if isinstance(value, str) else ""
        return self._kept(field, text if _ADDRESS.fullmatch(text) else None)

    def money(self, field: Field) -> int | None:
        """Return an amount in whole units: 48000, "48000", "$48,000", "48.000,00 €", "48k"."""
        value = self.raw(field)
        if value is None or value == "":
            return None
        number = read_number(value)
        return self._kept(field, round(number) if number is not None and 0 <= number <= MAX_MONEY else None)

    def count(self, field: Field) -> int | None:
        """Return a whole number that is not negative."""
        number = self.number(field)
        return None if number is None else self._kept(field, int(number) if number == int(number) else None)

    def thousandths(self, field: Field) -> int | None:
        """Return a quantity in thousandths."""
        number = self.number(field)
        return None if number is None else round(number * 1000)

    def number(self, field: Field) -> float | None:
        """Return a number from 0 to what a thousandth of it still counts exactly."""
        value = self.raw(field)
        if value is None or value == "":
            return None
        number = read_number(value)
        return self._kept(field, number if number is not None and 0 <= number <= MAX_COUNT / 1000 else None)

    def date(self, field: Field) -> str | None:
        """Return a day as YYYY-MM-DD, from a date or from a date with a time."""
        value = self.raw(field)
        if value is None or value == "":
            return None
        return self._kept(field, _day(value))

    def spans(self, field: Field, *, most: int) -> list[tuple[str, str]] | None:
        """Return first and last days as YYYY-MM-DD, from a list of at most `most` objects with `from` and `to`."""
        value = self.raw(field)
        if value is None or value == "":
            return None
        ends = [_ends(one) for one in value] if isinstance(value, list) and len(value) <= most else [None]
        known = [(first, last) for first, last in filter(None, ends) if first is not None and last is not None]
        return self._kept(field, known if len(known) == len(ends) else None)

    def flag(self, field: Field) -> bool | None:
        """Return yes or no, from a boolean, 0 or 1, or their words."""
        value = self.raw(field)
        if value is None or value == "":
            return None
        word = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
        return self._kept(field, True if word in _YES else False if word in _NO else None)

    def drop(self, field: Field) -> None:
        """Note that a field was there and is left out."""
        self.dropped.append(field)

    def _kept(self, field: Field, value: T | None) -> T | None:
        if value is None:
            self.drop(field)
        return value


def _day(value: object) -> str | None:
    """Return the day of a date, or of a date with a time; None for anything else."""
    text = value.strip() if isinstance(value, str) else ""
    return text[:10] if _DATE.fullmatch(text[:10]) and read_stamp(text) is not None else None


def _ends(span: object) -> tuple[str | None, str | None] | None:
    return (_day(span.get("from")), _day(span.get("to"))) if isinstance(span, dict) else None


def read_number(value: object) -> float | None:
    """Return the number a value is or spells, or None; "1.234" and "1,234" are both 1234."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) <= MAX_COUNT else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    spelt = _NUMBER.fullmatch(value.strip(_SIGNS))
    if spelt is None:
        return None
    number = _digits(spelt["number"].strip(_SIGNS))
    return None if number is None else number * _UNITS[spelt["unit"] and spelt["unit"].lower()]


def _digits(text: str) -> float | None:
    sign = -1 if text.startswith("-") else 1
    text = text.lstrip("+-")
    if grouped := _GROUPED.fullmatch(text):
        whole = text.removesuffix(grouped["cents"] or "")
        cents = (grouped["cents"] or ".0")[1:]
        return sign * float(f"{re.sub('[^0-9]', '', whole)}.{cents}")
    if _PLAIN.fullmatch(text) and text.isascii():
        return sign * float(text.replace(",", "."))
    return None
