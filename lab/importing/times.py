"""Read times as exports write them: one form a column, and never a guess between day and month."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_FIRST: Final = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_YEAR_LAST: Final = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_NUMBER: Final = re.compile(r"\d{9,17}(\.\d+)?")


class Form(StrEnum):
    """How a time is written."""

    ISO = "2026-01-31T12:00:00Z"
    YEAR_FIRST = "2026/1/31 12:00"
    YEAR_LAST = "31/1/2026 12:00"
    NUMBER = "seconds, milliseconds or microseconds since 1970"
    TYPED = "a timestamp"


class BadTime(ValueError):
    """A text that is no time, or not surely one."""


class TimeReader:
    """Reads one column; the first value settles its form, another form later is a BadTime.

    `zone` is that of times that name none. `day_first` settles what 03/04/2026 means: None refuses it.
    """

    def __init__(self, *, zone: tzinfo = UTC, day_first: bool | None = None) -> None:
        self._zone = zone
        self._day_first = day_first
        self._form: Form | None = None
        self._read: Callable[[str], int] = self._iso

    def __call__(self, value: object) -> int:
        """Return epoch milliseconds; raises BadTime."""
        if isinstance(value, str):
            if self._form is Form.ISO and len(value) > 4 and value[4] == "-":
                return self._iso(value)
            return self._text(value.strip())
        if isinstance(value, datetime):
            self._settle(Form.TYPED)
            return self._ms(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._settle(Form.NUMBER)
            return _number(float(value))
        raise BadTime("is empty" if value is None else f"{value!r} is no time")

    def _text(self, text: str) -> int:
        if not text:
            raise BadTime("is empty")
        form = _form_of(text)
        self._settle(form)
        match form:
            case Form.NUMBER:
                return _number(float(text))
            case Form.YEAR_FIRST:
                return self._of_parts(text, _YEAR_FIRST, order=(0, 1, 2))
            case Form.YEAR_LAST:
                return self._year_last(text)
        return self._iso(text)

    def _settle(self, form: Form) -> None:
        if self._form is None:
            self._form = form
        elif self._form is not form:
            raise BadTime(f"is written as {form}, earlier rows as {self._form}: one column needs one form")

    def _iso(self, text: str) -> int:
        try:
            return self._ms(datetime.fromisoformat(text))
        except ValueError:
            raise BadTime(f"{text[:40]!r} is no time: write it as {Form.ISO}") from None

    def _year_last(self, text: str) -> int:
        parts = _YEAR_LAST.fullmatch(text)
        first, second = (int(parts[1]), int(parts[2])) if parts else (0, 0)
        if self._day_first is None and first <= 12 and second <= 12 and first != second:
            raise BadTime(f"{text!r} may be day/month or month/day: say --day-first or --month-first")
        is_day_first = self._day_first if self._day_first is not None else first > 12
        return self._of_parts(text, _YEAR_LAST, order=(2, 1, 0) if is_day_first else (2, 0, 1))

    def _of_parts(self, text: str, pattern: re.Pattern[str], *, order: tuple[int, int, int]) -> int:
        parts = pattern.fullmatch(text)
        if parts is None:
            raise BadTime(f"{text[:40]!r} is no time: write it as {Form.ISO}")
        date = [int(part) for part in parts.groups()[:3]]
        clock = [int(part or 0) for part in parts.groups()[3:]]
        try:
            year, month, day = (date[place] for place in order)
            return self._ms(datetime(year, month, day, clock[0], clock[1], clock[2]))  # noqa: DTZ001  zoned in _ms
        except ValueError as fault:
            raise BadTime(f"{text!r}: {fault}") from None

    def _ms(self, moment: datetime) -> int:
        delta = (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)) - EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def _form_of(text: str) -> Form:
    if _NUMBER.fullmatch(text):
        return Form.NUMBER
    if len(text) > 4 and text[4] == "/":
        return Form.YEAR_FIRST
    return Form.YEAR_LAST if _YEAR_LAST.match(text) else Form.ISO


def _number(value: float) -> int:
    """Return epoch milliseconds of seconds, milliseconds or microseconds: told apart by size, from 2001 to 2286."""
    for unit_ms in (1000.0, 1.0, 0.001):
        if 1e12 <= value * unit_ms < 1e13:
            return int(value * unit_ms)
    raise BadTime(f"{value:g} is no number of seconds, milliseconds or microseconds since 1970")
