"""Say when the silence of accounts becomes abnormal, and since when they were silent at a moment gone by."""

from typing import Final

import numpy as np

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.calendar import hours_ahead, local_time
from services.scorer.core.days import HORIZON_DAYS, HOUR, NO_DAY, back_from
from services.scorer.core.rhythm import ends_of, local_day, patience_of
from services.scorer.core.table import NONE, Column, Ints

_SHIFTS: Final = 64
"""Local hours are ahead of account-hours by fewer than this, or behind."""


def deadlines_of(activity: Activity, *, rows: Ints, last: Ints, bundle: CompiledBundle) -> Ints:
    """Return the silence deadlines of accounts `rows` for last activities at `last` (epoch ms)."""
    columns = activity.accounts
    roll, zone = (columns[name][rows].astype(np.int64) for name in ("roll", "zone"))
    shift = hours_ahead(last, roll=roll, zone=zone, calendars=bundle.calendars)
    patience = _patience(activity, rows=rows, last=last, hours=columns["hours"][rows], bundle=bundle)
    return ends_of(patience, last=last, roll=roll, shift=shift)


def deadlines_now(activity: Activity, *, rows: Ints, hours: Column, bundle: CompiledBundle) -> Ints:
    """Return the silence deadlines of accounts as they stand; `hours` are their rings of active hours.

    How long each is waited for follows from the days before its latest one, so it is kept until it comes on another
    day, an event comes late, or something is told of it (`Activity`, `Facts` say so): most ticks only move the end.
    """
    columns = activity.accounts
    if activity.rhythm != bundle.rhythm:
        columns["patience_of"][: columns.count] = NO_DAY
        activity.rhythm = bundle.rhythm
    last, roll, zone = (columns[name][rows].astype(np.int64) for name in ("last", "roll", "zone"))
    shift = hours_ahead(last, roll=roll, zone=zone, calendars=bundle.calendars)
    key = _SHIFTS * local_day(last, roll=roll, shift=shift) + shift
    new = np.flatnonzero(columns["patience_of"][rows] != key)
    if new.size:
        some = rows[new]
        columns["patience"][some] = _patience(activity, rows=some, last=last[new], hours=hours[new], bundle=bundle)
        columns["patience_of"][some] = key[new]
    return ends_of(columns["patience"][rows].astype(np.int64), last=last, roll=roll, shift=shift)


def _patience(activity: Activity, *, rows: Ints, last: Ints, hours: Column, bundle: CompiledBundle) -> Ints:
    columns = activity.accounts
    if not rows.size:
        return np.zeros(0, np.int64)
    closing = np.flatnonzero(np.isin(rows, list(activity.closures))).tolist()
    local = local_time(
        last,
        roll=columns["roll"][rows].astype(np.int64),
        zone=columns["zone"][rows].astype(np.int64),
        country=columns["country"][rows].astype(np.int64),
        closures=[(place, span) for place in closing for span in activity.closures[int(rows[place])]],
        calendars=bundle.calendars,
    )
    return patience_of(
        local_day(last, roll=local.roll, shift=local.shift),
        first_day=columns["first_day"][rows].astype(np.int64),
        front=columns["front"][rows].astype(np.int64),
        hours=hours,
        local=local,
        hazards_to_pass=bundle.hazards_to_pass,
    )


def last_before(at: Ints, *, rows: Ints, activity: Activity) -> Ints:
    """Return the last activity known today of a past moment, one an account; NONE where none is held any more.

    The exact time if the account was not active since; else the start of the last active account-hour before `at`'s:
    from its end, the deadline of an ordinary silence would lie after the tick that opened it.
    """
    columns = activity.accounts
    roll, last = columns["roll"][rows].astype(np.int64), columns["last"][rows]
    hour = (at - roll) // HOUR
    held = back_from(columns["hours"][rows], columns["front"][rows], day=hour // 24, days=HORIZON_DAYS)
    held[0] &= (np.uint32(1) << (hour % 24).astype(np.uint32)) - np.uint32(1)
    back = np.argmax(held != 0, axis=0)
    word = held[back, np.arange(len(rows))].astype(np.int64)
    top = np.frexp(word.astype(np.float64))[1] - 1
    start = ((hour // 24 - back) * 24 + top) * HOUR + roll
    return np.where(last <= at, last, np.where(word > 0, start, NONE))
