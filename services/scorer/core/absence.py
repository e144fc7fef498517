"""Say how much the accounts that a source feeds are missed: each by what it did in such a span of its other weeks.

    weeks ago     3            2            1            0
    came      --|##-#|------|#--#|------|----|------|....|now        since the source's last event
                  yes          yes          no         silent

Nights and weekends are the same in every week, so nobody is missed then; days off by an account's calendar are left
out of the span, and other weeks that have some in it are not looked at.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.scorer.core.activity import FED, Activity
from services.scorer.core.calendar import Calendars, days_off, has_calendar, has_clock, hours_ahead
from services.scorer.core.days import DAY, HORIZON_DAYS, HOUR
from services.scorer.core.facts import SUBSCRIPTIONS
from services.scorer.core.imports import NO_JOB
from services.scorer.core.table import NONE, Flags, Ints

LONGEST: Final = 6 * DAY
"""The longest silence that can be looked at: with it the span lies on seven local days."""
WEEKS: Final = 11
"""Other weeks that are looked at."""
SAMPLED: Final = 1024
"""Accounts that are looked at; of more, a fair sample."""
_ALIVE: Final = 14 * DAY
"""Who was silent for so long already when the source sent last is not expected."""
_CANCELLED: Final = SUBSCRIPTIONS.index("cancelled")

Bits = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """How many accounts were looked at, and −ln of the chance that none of them came.

    Of each other week, how many came in these hours, and of how many that is known.
    """

    accounts: int = 0
    hazard: float = 0.0
    came: Sequence[int] = (0,) * WEEKS
    known: Sequence[int] = (0,) * WEEKS

    @property
    def turnout(self) -> float:
        """What share came in three of four other weeks, or more; 0 before two weeks are known of half the accounts."""
        weeks = [(came, known) for came, known in zip(self.came, self.known, strict=True) if known > 0]
        shares = sorted(came / known for came, known in weeks if 2 * known >= self.accounts)
        return shares[len(shares) // 4] if len(shares) > 1 else 0.0


def together(parts: Collection[Absence]) -> Absence:
    """Return what several parts of the accounts amount to."""
    return Absence(
        accounts=sum(part.accounts for part in parts),
        hazard=sum(part.hazard for part in parts),
        came=[sum(week) for week in zip(*(part.came for part in parts), strict=True)],
        known=[sum(week) for week in zip(*(part.known for part in parts), strict=True)],
    )


class _Span(NamedTuple):
    """The hours in which accounts were silent: by local day, today and those before it (accounts × days), bits."""

    days: Ints
    hours: Bits


def absence(
    activity: Activity, *, source: str, ends: Mapping[str, int], until: int, calendars: Calendars, most: int = SAMPLED
) -> Absence:
    """Say how much the accounts a source feeds are missed from its last event to a moment, at most LONGEST later.

    `ends` has the last event of every source (epoch ms): of an account fed by several, only the time counts in which
    all of them are silent. Accounts whose country nobody told are not looked at, for their holidays are not known; nor
    are those that ended, are being imported, or have no whole hour left to be missed in. Of what k of n weeks have,
    (n − k + 1) / (n + 1) is the chance of another without it. Where the time zone is not told, an hour less counts at
    either end, for clocks may have changed, and the days beside a day off are off too.
    """
    rows = _expected(activity, source=source, last=ends[source], calendars=calendars)
    rows = rows[:: 1 + len(rows) // most]
    span = _span(activity, rows=rows, since=_since(activity, rows=rows, ends=ends), until=until, calendars=calendars)
    has_hours = span.hours.any(axis=1)
    if not has_hours.any():
        return Absence()
    rows, span = rows[has_hours], _Span(span.days[has_hours], span.hours[has_hours])
    came, known = _other_weeks(activity, rows=rows, span=span, until=until, calendars=calendars)
    weeks, with_it = known.sum(axis=1), came.sum(axis=1)
    return Absence(
        accounts=len(rows),
        hazard=float(np.log((weeks + 1) / (weeks - with_it + 1)).sum()),
        came=came.sum(axis=0).tolist(),
        known=known.sum(axis=0).tolist(),
    )


def _expected(activity: Activity, *, source: str, last: int, calendars: Calendars) -> Ints:
    """Return the accounts that a source feeds and that can be missed (rows)."""
    columns, rows = activity.accounts, np.flatnonzero(activity.fed_by(source))
    kept: Flags = (columns["last"][rows] >= last - _ALIVE) & (columns["job"][rows] == NO_JOB)
    kept &= ~columns["deleted"][rows] & (columns["subscription"][rows] != _CANCELLED)
    kept &= has_calendar(columns["country"][rows].astype(np.int64), calendars=calendars)
    return rows[kept]


def _since(activity: Activity, *, rows: Ints, ends: Mapping[str, int]) -> Ints:
    """Return since when (epoch ms) every source that feeds an account is silent."""
    columns, since = activity.sources, activity.accounts["last"][rows]
    where, links = activity.rows_of(columns, head="first_source", accounts=rows)
    end = np.array([ends.get(name, NONE) for name in activity.source_names], np.int64)
    feeds = columns["last"][links] >= activity.accounts["last"][rows][where] - FED
    np.maximum.at(since, where[feeds], end[columns["source"][links[feeds]]])
    return since


def _span(activity: Activity, *, rows: Ints, since: Ints, until: int, calendars: Calendars) -> _Span:
    zone, roll = (activity.accounts[name][rows].astype(np.int64) for name in ("zone", "roll"))
    # each hour by the clock of its own time, which may have changed in between; or nobody knows whether it has
    margin = np.where(has_clock(zone, calendars=calendars), 0, HOUR)
    since, until_its = since + margin, until - margin
    first = (since - roll) // HOUR + hours_ahead(since, zone=zone, roll=roll, calendars=calendars) + 1
    end = (until_its - roll) // HOUR + hours_ahead(until_its, zone=zone, roll=roll, calendars=calendars)
    today: Ints = (end - 1) // 24
    days = today[:, None] - np.arange(1 + max(0, int((today - first // 24).max(initial=0))))
    begin, stop = (np.clip(hour[:, None] - 24 * days, 0, 24).astype(np.uint32) for hour in (first, end))
    hours = np.where(stop > begin, (np.uint32(1) << stop) - (np.uint32(1) << begin), np.uint32(0))
    hours[_are_off(activity, days, rows=rows, calendars=calendars)] = 0
    return _Span(days, hours)


def _other_weeks(
    activity: Activity, *, rows: Ints, span: _Span, until: int, calendars: Calendars
) -> tuple[Flags, Flags]:
    """Say of the weeks before (accounts × WEEKS) whether an account came in that span, and whether that is known."""
    columns, back = activity.accounts, np.arange(1, WEEKS + 1)
    days = (span.days[:, None, :] - 7 * back[:, None]).reshape(len(rows), -1)
    zone, roll = (np.repeat(columns[name][rows].astype(np.int64), WEEKS) for name in ("zone", "roll"))
    shift = hours_ahead(np.tile(until - 7 * DAY * back, len(rows)), zone=zone, roll=roll, calendars=calendars)
    first = 24 * days - np.repeat(shift.reshape(len(rows), WEEKS), span.days.shape[1], axis=1)
    day, late = first // 24, (first % 24).astype(np.uint32)
    front = columns["front"][rows].astype(np.int64)[:, None]
    known = (day > columns["first_day"][rows].astype(np.int64)[:, None]) & (day > front - HORIZON_DAYS)
    known &= ~_are_off(activity, days, rows=rows, calendars=calendars)
    # a local day is the end of one account-day, from hour `late` on, and the beginning of the next
    bits = _hours(activity, rows, day=day) >> late
    bits |= _hours(activity, rows, day=day + 1) << (np.uint32(24) - late)
    weeks, wanted = (len(rows), WEEKS, span.days.shape[1]), span.hours[:, None, :]
    are_known: Flags = (known.reshape(weeks) | (wanted == 0)).all(axis=2)
    came: Flags = are_known & ((bits.reshape(weeks) & wanted) != 0).any(axis=2)
    return came, are_known


def _hours(activity: Activity, rows: Ints, *, day: Ints) -> Bits:
    """Return the active hours of accounts on account-days (accounts × any), a bit an hour, 0 for days not held."""
    front = activity.accounts["front"][rows].astype(np.int64)[:, None]
    bits: Bits = activity.accounts["hours"][rows[:, None], day % HORIZON_DAYS]
    return np.where((day <= front) & (day > front - HORIZON_DAYS), bits, np.uint32(0))


def _are_off(activity: Activity, days: Ints, *, rows: Ints, calendars: Calendars) -> Flags:
    """Say which local days (accounts × any) are off; of accounts that tell no time zone, those beside one as well."""
    off = _by_calendar(activity, days, rows=rows, calendars=calendars)
    untold = np.flatnonzero(~has_clock(activity.accounts["zone"][rows].astype(np.int64), calendars=calendars))
    for beside in (-1, 1):
        off[untold] |= _by_calendar(activity, days[untold] + beside, rows=rows[untold], calendars=calendars)
    return off


def _by_calendar(activity: Activity, days: Ints, *, rows: Ints, calendars: Calendars) -> Flags:
    """Say which days (accounts × any) are off by an account's calendar, its closures included."""
    off = days_off(days, country=activity.accounts["country"][rows].astype(np.int64), calendars=calendars)
    for place in np.flatnonzero(np.isin(rows, list(activity.closures))).tolist():
        for begin, end in activity.closures[int(rows[place])]:
            off[place] |= (days[place] >= begin) & (days[place] <= end)
    return off
