"""Tell local time and working days from the tables a bundle brings: time zones, countries, closures."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np

from services.scorer.core.days import HOUR
from services.scorer.core.rhythm import CONSIDERED_DAYS, LONGEST_DAYS, LocalTime, local_day
from services.scorer.core.table import Flags, Ints

WINDOW_DAYS: Final = CONSIDERED_DAYS + 1 + LONGEST_DAYS
NOWHERE: Final = 0
"""What is kept of an account whose time zone, or country, nobody told."""
_SATURDAY_SUNDAY: Final = (5, 6)
_MINUTE: Final = 60_000

Span = tuple[int, int]
"""First and last local day of a closure."""


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """Time zones that are alike: `minutes[0]` ahead of UTC before `at[0]` (epoch ms), from it on `minutes[1]`, …."""

    names: list[str]
    at: list[int]
    minutes: list[int]


class Country(msgspec.Struct, frozen=True, kw_only=True):
    """The days off of a country: the first counted from the tables' first day, each other from the one before it."""

    weekend: list[Annotated[int, msgspec.Meta(ge=0, le=6)]]
    off: list[Annotated[int, msgspec.Meta(ge=0)]]


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds under `calendars`: local days from `first_day` (days since 1970-01-01), `days` of them."""

    first_day: int
    days: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    default_timezone: str | None = None
    default_country: str | None = None
    zones: list[Zone]
    countries: dict[str, Country]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendars:
    """The tables as arrays. Row 0 is the default of `at`, `minutes`, `off` and `weekend`."""

    zone_keys: Ints
    zone_rows: Ints
    at: Ints
    minutes: Ints
    country_keys: Ints
    first_day: int
    """The local day of the first column of `off`."""
    off: Flags
    weekend: Flags


def zone_key(name: str) -> int:
    """Return the number by which a time zone is kept: the CRC-32 of its name."""
    return zlib.crc32(name.encode("utf-8", "replace"))


def country_key(code: str) -> int:
    """Return the number by which a country is kept, NOWHERE for what is no ISO 3166 code of two letters."""
    known = len(code) == 2 and code.isascii() and code.isalpha()
    return int.from_bytes(code.upper().encode()) if known else NOWHERE


def compile_calendars(tables: Tables | None) -> Calendars:
    """Return tables as arrays; without any, every account is in UTC and works from Monday to Friday."""
    told = Tables(first_day=0, days=1, zones=[], countries={}) if tables is None else tables
    keys = {zone_key(name): row for row, zone in enumerate(told.zones, 1) for name in zone.names}
    zone_keys = np.array(sorted(keys), np.int64)
    zone_rows = np.array([keys[key] for key in sorted(keys)], np.int64)
    at, minutes = _transitions(told, default=keys.get(zone_key(told.default_timezone or ""), 0))
    codes = sorted(told.countries, key=country_key)
    off, weekend = _days_off(told, codes=codes)
    return Calendars(
        zone_keys=zone_keys,
        zone_rows=zone_rows,
        at=at,
        minutes=minutes,
        country_keys=np.array([country_key(code) for code in codes], np.int64),
        first_day=told.first_day - WINDOW_DAYS,
        off=off,
        weekend=weekend,
    )


def local_time(
    last: Ints,
    *,
    roll: Ints,
    zone: Ints,
    country: Ints,
    closures: Sequence[tuple[int, Span]],
    calendars: Calendars,
) -> LocalTime:
    """Return how accounts tell the time at their last activities (epoch ms), one a row.

    `zone` and `country` are keys; `closures` names the place of an account in `last` with one of its closures each.
    """
    shift = hours_ahead(last, roll=roll, zone=zone, calendars=calendars)
    countries = _found(calendars.country_keys, country) + 1
    first = local_day(last, roll=roll, shift=shift) - CONSIDERED_DAYS
    off = _window(calendars, countries=countries, first=first)
    for place, (begin, end) in closures:
        start = int(first[place])
        off[max(0, begin - start) : max(0, end + 1 - start), place] = True
    return LocalTime(roll=roll, shift=shift, off=off, weekend=calendars.weekend.T[:, countries])


def _found(keys: Ints, wanted: Ints) -> Ints:
    """Return the place of each wanted key among sorted keys, −1 where it is not."""
    if not keys.size:
        return np.full(len(wanted), -1)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Ints = np.where(keys[places] == wanted, places, -1)
    return found


def _window(calendars: Calendars, *, countries: Ints, first: Ints) -> Flags:
    """Return which of the WINDOW_DAYS local days from `first` on are off (days × accounts); none beyond the tables."""
    column = np.clip(first - calendars.first_day, 0, calendars.off.shape[1] - WINDOW_DAYS)
    pairs, which = np.unique(countries * calendars.off.shape[1] + column, return_inverse=True)
    windows = np.lib.stride_tricks.sliding_window_view(calendars.off, WINDOW_DAYS, axis=1)
    off: Flags = windows[pairs // calendars.off.shape[1], pairs % calendars.off.shape[1]].T.take(which, axis=1)
    return off


def _transitions(tables: Tables, *, default: int) -> tuple[Ints, Ints]:
    utc = Zone(names=[], at=[], minutes=[0])
    zones = [tables.zones[default - 1] if default else utc, *tables.zones]
    width = max(len(zone.at) for zone in zones)
    at = np.full((len(zones), width), np.iinfo(np.int64).max)
    minutes = np.zeros((len(zones), width + 1), np.int64)
    for row, zone in enumerate(zones):
        at[row, : len(zone.at)] = zone.at
        minutes[row, : len(zone.minutes)] = zone.minutes
    return at, minutes


def _days_off(tables: Tables, *, codes: Sequence[str]) -> tuple[Flags, Flags]:
    """Return days off and weekends by country, the default's first; before and after the tables no day is off."""
    off = np.zeros((len(codes) + 1, tables.days + 2 * WINDOW_DAYS), bool)
    weekend = np.zeros((len(codes) + 1, 7), bool)
    weekend[0, list(_SATURDAY_SUNDAY)] = True
    for row, code in enumerate(codes, 1):
        country = tables.countries[code]
        days = np.cumsum(np.array(country.off, np.int64))
        off[row, WINDOW_DAYS + days[days < tables.days]] = True
        weekend[row, country.weekend] = True
    if tables.default_country in codes:
        row = codes.index(tables.default_country) + 1
        off[0], weekend[0] = off[row], weekend[row]
    return off, weekend


def minutes_ahead(at: Ints, *, zone: Ints, calendars: Calendars) -> Ints:
    """Return by how many minutes local time is ahead of UTC at moments (epoch ms), one for each of the zones (keys)."""
    zones = np.append(calendars.zone_rows, 0)[_found(calendars.zone_keys, zone)]
    minutes: Ints = calendars.minutes[zones, (calendars.at[zones] <= at[:, None]).sum(axis=1)]
    return minutes


def hours_ahead(at: Ints, *, roll: Ints, zone: Ints, calendars: Calendars) -> Ints:
    """Return by how many hours local hours are ahead of account-hours at moments (epoch ms)."""
    shift: Ints = (roll + minutes_ahead(at, zone=zone, calendars=calendars) * _MINUTE) // HOUR
    return shift


def days_off(days: Ints, *, country: Ints, calendars: Calendars) -> Flags:
    """Say which local days (countries × any) are off in each of the countries (keys); none beyond the tables."""
    column = np.clip(days - calendars.first_day, 0, calendars.off.shape[1] - 1)
    off: Flags = calendars.off[(_found(calendars.country_keys, country) + 1)[:, None], column]
    return off


def has_calendar(country: Ints, *, calendars: Calendars) -> Flags:
    """Say for which countries (keys) days off are known: by the tables, or because a default country is told."""
    known: Flags = (_found(calendars.country_keys, country) >= 0) | calendars.off[0].any()
    return known


def has_clock(zone: Ints, *, calendars: Calendars) -> Flags:
    """Say in which time zones (keys) the clock is known."""
    known: Flags = _found(calendars.zone_keys, zone) >= 0
    return known
