"""Where customers are: time zone, currency, and the days on which nobody works there."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import holidays


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A country with one time zone; `share` is relative, `price` what a unit of price is in its currency."""

    timezone: str
    currency: str
    share: float
    price: int = 1


PLACES: Final = {
    "JP": Place(timezone="Asia/Tokyo", currency="JPY", share=0.34, price=150),
    "DE": Place(timezone="Europe/Berlin", currency="EUR", share=0.18),
    "GB": Place(timezone="Europe/London", currency="GBP", share=0.12),
    "US": Place(timezone="America/Chicago", currency="USD", share=0.22),
    "IN": Place(timezone="Asia/Kolkata", currency="USD", share=0.08),
    "BR": Place(timezone="America/Sao_Paulo", currency="USD", share=0.06),
}

CUSTOMARY: Final = {"JP": (((8, 13), (8, 16)), ((12, 29), (12, 31)), ((1, 1), (1, 3)))}
"""First and last (month, day) on which a country rests though the law doesn't say so: Obon and the turn of the year."""


def is_closed(country: str, day: date) -> bool:
    """Say whether nobody works in a country on a day: a national holiday or a customary one, weekends not meant."""
    customary = CUSTOMARY.get(country, ())
    return day in _holidays(country, day.year) or any(a <= (day.month, day.day) <= b for a, b in customary)


def offset_ms(country: str, day: date) -> int:
    """Return how far local time is ahead of UTC at noon of a day, and so all day long in a simulation."""
    noon = datetime.combine(day, time(12), ZoneInfo(PLACES[country].timezone))
    return (noon.utcoffset() or timedelta()) // timedelta(milliseconds=1)


def date_of(midnight: int) -> date:
    """Return the date of a midnight in UTC (epoch ms)."""
    return datetime.fromtimestamp(midnight / 1000, UTC).date()


@cache
def _holidays(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=year))
