"""Work out the tables of a bundle: which days are off in which country, and how far time zones are ahead of UTC.

They cover six years whose first changes every four, so that a bundle stays the same from one start to the next.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

import holidays
import msgspec

from services.scorer.core.calendar import Country, Tables, Zone
from shared.contracts.fault import Fault, faults_of_shape

NAME: Final = "calendars"
YEARS: Final = 6
_EPOCH: Final = date(1970, 1, 1)
_LOOK: Final = timedelta(days=14)
"""Two changes of a clock lie farther apart."""
_LEAP_YEAR: Final = 2024
_NO_ZONES: Final = frozenset({"Factory", "localtime", "posixrules"})

MonthDay = Annotated[str, msgspec.Meta(pattern=r"^\d\d-\d\d$")]
BridgeDays = Annotated[int, msgspec.Meta(ge=0, le=4)]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Closed(_Strict, frozen=True, kw_only=True):
    """Days on which a country rests every year, beside its holidays; `to` before `from` is of the next year."""

    name: str
    first: MonthDay = msgspec.field(name="from")
    last: MonthDay = msgspec.field(name="to")


class CountrySettings(_Strict, frozen=True, kw_only=True):
    """What is different in a country."""

    bridge_days: BridgeDays | None = None
    closed: list[Closed] | None = None


class CalendarSettings(_Strict, frozen=True, kw_only=True):
    """`config/calendars.yaml`."""

    default_country: str | None = None
    default_timezone: str | None = None
    bridge_days: BridgeDays = 1
    closed: list[Closed] = []
    countries: dict[str, CountrySettings] = {}


def settings_of(content: object) -> tuple[CalendarSettings, list[Fault]]:
    """Return what the parsed file says, nothing where it has faults, and these: their keys begin with its name."""
    found = [_norway(fault) for fault in faults_of_shape(content, CalendarSettings, key=(NAME,))]
    if not found:
        settings = msgspec.convert(content, CalendarSettings)
        found = list(_faults(settings))
    return CalendarSettings() if found else settings, found


def _norway(fault: Fault) -> Fault:
    is_norway = fault.key[1:] == ("countries", False)
    return Fault(fault.key, "YAML reads NO as false: write it as 'NO'") if is_norway else fault


def tables_of(settings: CalendarSettings, *, year: int, countries: Collection[str] | None = None) -> Tables:
    """Return the tables of the years around `year`, with every time zone and, unless some are named, every country."""
    codes = _codes() if countries is None else set(countries) & set(_codes())
    return _tables(msgspec.json.encode(settings), first_year_around(year), tuple(sorted(codes)))


def first_year_around(year: int) -> int:
    """Return the first of the YEARS years that the tables around a year cover."""
    return year - year % 4 - 1


@lru_cache(maxsize=4)
def _tables(settings: bytes, first_year: int, codes: Sequence[str]) -> Tables:
    told = msgspec.json.decode(settings, type=CalendarSettings)
    first, end = date(first_year, 1, 1), date(first_year + YEARS, 1, 1)
    return Tables(
        first_day=(first - _EPOCH).days,
        days=(end - first).days,
        default_country=told.default_country,
        default_timezone=told.default_timezone,
        zones=_zones(first, end),
        countries={code: _country(told, code, first=first, end=end) for code in codes},
    )


def _codes() -> Collection[str]:
    return holidays.list_supported_countries(include_aliases=False)


def _country(settings: CalendarSettings, code: str, *, first: date, end: date) -> Country:
    own = settings.countries.get(code, CountrySettings())
    public = holidays.country_holidays(code, years=range(first.year, end.year))
    rest = set(public)
    for closed in settings.closed if own.closed is None else own.closed:
        rest.update(_every_year(closed, years=range(first.year - 1, end.year + 1)))
    bridge_days = settings.bridge_days if own.bridge_days is None else own.bridge_days
    rest |= set(_bridges(rest, weekend=public.weekend, length=bridge_days))
    days = sorted((day - first).days for day in rest if first <= day < end)
    return Country(weekend=sorted(public.weekend), off=[b - a for a, b in pairwise([0, *days])])


def _every_year(closed: Closed, *, years: Sequence[int]) -> Iterator[date]:
    for year in years:
        day, last = _date(closed.first, year=year), _date(closed.last, year=year + (closed.last < closed.first))
        while day <= last:
            yield day
            day += timedelta(days=1)


def _date(month_day: str, *, year: int) -> date:
    """Return a day of a year, the 28th for a 29 February that is not."""
    month, day = map(int, month_day.split("-"))
    return date(year, month, day) if (month, day) != (2, 29) or year % 4 == 0 else date(year, 2, 28)


def _bridges(rest: Collection[date], *, weekend: Collection[int], length: int) -> Iterator[date]:
    """Yield the working days between two days of rest, weekends among them, that are at most so many apart."""
    for day in rest:
        for step in (1, -1):
            between: list[date] = []
            other = day + timedelta(days=step)
            while len(between) <= length and other not in rest and other.weekday() not in weekend:
                between.append(other)
                other += timedelta(days=step)
            yield from between if len(between) <= length else ()


@lru_cache(maxsize=2)
def _zones(first: date, end: date) -> list[Zone]:
    """Return every time zone, those that are alike together, by the first of their names."""
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for name in sorted(available_timezones() - _NO_ZONES):
        at, minutes = _changes(ZoneInfo(name), first=first, end=end)
        alike.setdefault((tuple(at), tuple(minutes)), []).append(name)
    return [Zone(names=names, at=list(at), minutes=list(minutes)) for (at, minutes), names in alike.items()]


def _changes(zone: ZoneInfo, *, first: date, end: date) -> tuple[list[int], list[int]]:
    """Return when (epoch ms) a zone's clocks change within a span, and the minutes ahead of UTC around these."""
    moment, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, end))
    at, minutes = [], [_minutes(zone, moment)]
    while moment < last:
        later = min(moment + _LOOK, last)
        if _minutes(zone, later) != minutes[-1]:
            at.append(int(_change(zone, moment, later).timestamp() * 1000))
            minutes.append(_minutes(zone, later))
        moment = later
    return at, minutes


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the minute, after `before` and at or before `after`, from which a zone's clocks are as at `after`."""
    was = _minutes(zone, before)
    while after - before > timedelta(minutes=1):
        middle = before + timedelta(minutes=(after - before) // timedelta(minutes=2))
        before, after = (middle, after) if _minutes(zone, middle) == was else (before, middle)
    return after


def _minutes(zone: ZoneInfo, moment: datetime) -> int:
    return (moment.astimezone(zone).utcoffset() or timedelta()) // timedelta(minutes=1)


def _faults(settings: CalendarSettings) -> Iterator[Fault]:
    codes = set(_codes())
    for code in settings.countries:
        if code not in codes:
            yield Fault((NAME, "countries", code), "unknown country: two capital letters of ISO 3166 are meant")
    if settings.default_country not in {None, *codes}:
        yield Fault((NAME, "default_country"), f"unknown country {settings.default_country!r}")
    if settings.default_timezone not in {None, *available_timezones()}:
        yield Fault((NAME, "default_timezone"), f"unknown time zone {settings.default_timezone!r}")
    yield from _bad_days(settings.closed, place=(NAME, "closed"))
    for code, country in settings.countries.items():
        yield from _bad_days(country.closed or [], place=(NAME, "countries", code, "closed"))


def _bad_days(closed: Sequence[Closed], *, place: tuple[str, ...]) -> Iterator[Fault]:
    for number, one in enumerate(closed):
        for key, month_day in (("from", one.first), ("to", one.last)):
            try:
                _date(month_day, year=_LEAP_YEAR)
            except ValueError:
                yield Fault((*place, number, key), f"there is no day {month_day}")
