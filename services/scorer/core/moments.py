"""Read many RFC 3339 times at once."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.table import NONE, Ints
from shared.contracts.events import parse_time

LATEST: Final = 7_258_118_400_000
"""2200-01-01, the first moment that is no longer read, epoch ms."""
_FORM: Final = np.frombuffer(b"0000-00-00T00:00:00.000Z", np.uint8)
_FIELDS: Final = ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19), (20, 23))
_DIGIT: Final = ord("0") == _FORM
_MONTH_DAYS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def parse_times(texts: Sequence[str]) -> Ints:
    """Return epoch ms of each text, NONE where it is not RFC 3339 with an offset or not of the years 1970-2199."""
    at = np.full(len(texts), NONE, np.int64)
    joined = "".join(texts)
    if set(map(len, texts)) == {len(_FORM)} and joined.isascii():
        at = _parse_ours(np.frombuffer(joined.encode(), np.uint8).reshape(-1, len(_FORM)))
    for row in np.flatnonzero(at == NONE).tolist():
        moment = parse_time(texts[row])
        at[row] = NONE if moment is None else moment
    at[(at < 0) | (at >= LATEST)] = NONE
    return at


def _parse_ours(text: npt.NDArray[np.uint8]) -> Ints:
    digits = text.astype(np.int64) - ord("0")
    form_is_ours = np.where(_DIGIT, (digits >= 0) & (digits <= 9), text == _FORM).all(axis=1)
    fields = [digits[:, first:last] @ 10 ** np.arange(last - first)[::-1] for first, last in _FIELDS]
    year, month, day, hour, minute, second, ms = fields
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    month_days = _MONTH_DAYS[np.clip(month, 0, 12)] + (leap & (month == 2))
    exists = form_is_ours & (year >= 1970) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= month_days)
    exists &= (hour < 24) & (minute < 60) & (second < 60)
    at = ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + ms
    return np.where(exists, at, NONE)


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Return days since 1970-01-01 (the civil-from-days identity: years begin in March, 400 years are 146,097 days)."""
    year = year - (month <= 2)
    era_year = year % 400
    year_day = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    era_day = era_year * 365 + era_year // 4 - era_year // 100 + year_day
    return year // 400 * 146_097 + era_day - 719_468
