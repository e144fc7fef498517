"""Read days as exports write them: one form a column, and never a guess between day and month."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Final


class Form(StrEnum):
    """How a day is written."""

    ISO = "2026-04-01"
    YEAR_FIRST = "2026/4/1"
    JAPANESE = "2026年4月1日"
    DOTTED = "1.4.2026"
    YEAR_LAST = "25/4/2026"
    NAMED = "1 Apr 2026"


class BadDay(ValueError):
    """A text that is no day, or not surely one."""


_CLOCK: Final = r"(?:[T ,]+\d{1,2}:\d{2}.*)?"
_PATTERNS: Final = {
    Form.ISO: re.compile(rf"(?P<y>\d{{4}})-(?P<m>\d{{1,2}})-(?P<d>\d{{1,2}}){_CLOCK}"),
    Form.YEAR_FIRST: re.compile(rf"(?P<y>\d{{4}})(?P<s>[/.])(?P<m>\d{{1,2}})(?P=s)(?P<d>\d{{1,2}}){_CLOCK}"),
    Form.JAPANESE: re.compile(rf"(?P<y>\d{{4}})年 ?(?P<m>\d{{1,2}})月 ?(?P<d>\d{{1,2}})日{_CLOCK}"),
    Form.DOTTED: re.compile(rf"(?P<d>\d{{1,2}})\. ?(?P<m>\d{{1,2}})\. ?(?P<y>\d{{4}}){_CLOCK}"),
    Form.YEAR_LAST: re.compile(rf"(?P<a>\d{{1,2}})(?P<s>[/-])(?P<b>\d{{1,2}})(?P=s)(?P<y>\d{{4}}){_CLOCK}"),
    Form.NAMED: re.compile(
        rf"(?:(?P<d>\d{{1,2}})[ -](?P<n>[A-Za-z]{{3,9}})\.?|(?P<n2>[A-Za-z]{{3,9}})\.? (?P<d2>\d{{1,2}}),?)"
        rf"[ -](?P<y>\d{{4}}){_CLOCK}"
    ),
}
_MONTHS: Final = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)


def form_of(text: str) -> Form | None:
    """Return how a text is written, None if it is no day."""
    plain = _plain(text)
    return next((form for form, pattern in _PATTERNS.items() if pattern.fullmatch(plain)), None)


def day_first(texts: Iterable[str]) -> bool | None:
    """Return whether a column writes 25/4/2026, by the first value that can't be the other; None if none shows it."""
    for text in texts:
        parts = _PATTERNS[Form.YEAR_LAST].fullmatch(_plain(text))
        if parts and (int(parts["a"]) > 12) != (int(parts["b"]) > 12):
            return int(parts["a"]) > 12
    return None


def read_day(value: object, *, form: Form | None, is_day_first: bool | None) -> str:
    """Return YYYY-MM-DD; `form` is the column's, None if this is its first value. Raises BadDay."""
    if isinstance(value, date | datetime):
        return value.strftime("%Y-%m-%d")
    said = str(value)
    found = form_of(said)
    if found is None:
        raise BadDay(f"{said[:40]!r} is no day: write it as {Form.ISO}")
    if form is not None and found is not form:
        raise BadDay(f"{said!r} is written like {found}, earlier rows like {form}: one column needs one form")
    parts = _PATTERNS[found].fullmatch(_plain(said))
    if parts is None:
        raise AssertionError(found)
    month, day = _month_and_day(parts, form=found, is_day_first=is_day_first, said=said)
    try:
        read = date(int(parts["y"]), month, day)
    except ValueError as fault:
        raise BadDay(f"{said!r}: {fault}") from None
    if not 1990 <= read.year <= 2100:
        raise BadDay(f"{said!r}: the year can't be right")
    return read.isoformat()


def _month_and_day(parts: re.Match[str], *, form: Form, is_day_first: bool | None, said: str) -> tuple[int, int]:
    if form is Form.NAMED:
        name = (parts["n"] or parts["n2"]).lower()
        month = next((n for n, known in enumerate(_MONTHS, 1) if known.startswith(name)), 0)
        return month, int(parts["d"] or parts["d2"])
    if form is not Form.YEAR_LAST:
        return int(parts["m"]), int(parts["d"])
    first, second = int(parts["a"]), int(parts["b"])
    if is_day_first is None and first != second:
        raise BadDay(f"{said!r} may be day/month or month/day: say --day-first or --month-first")
    return (second, first) if is_day_first else (first, second)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()
