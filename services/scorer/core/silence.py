"""Say when the silence of accounts becomes abnormal, and since when they were silent at a moment gone by."""

import numpy as np

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.calendar import local_time
from services.scorer.core.days import HORIZON_DAYS, HOUR, back_from
from services.scorer.core.rhythm import deadlines
from services.scorer.core.table import NONE, Column, Ints


def deadlines_of(
    activity: Activity, *, rows: Ints, last: Ints, bundle: CompiledBundle, hours: Column | None = None
) -> Ints:
    """Return the silence deadlines of accounts `rows` for last activities at `last` (epoch ms).

    `hours` are their rings of active hours, for who has them at hand.
    """
    columns = activity.accounts
    if not rows.size:
        return np.zeros(0, np.int64)
    closing = np.flatnonzero(np.isin(rows, list(activity.closures))).tolist()
    closures = [(place, span) for place in closing for span in activity.closures[int(rows[place])]]
    local = local_time(
        last,
        roll=columns["roll"][rows].astype(np.int64),
        zone=columns["zone"][rows].astype(np.int64),
        country=columns["country"][rows].astype(np.int64),
        closures=closures,
        calendars=bundle.calendars,
    )
    return deadlines(
        last,
        first_day=columns["first_day"][rows].astype(np.int64),
        front=columns["front"][rows].astype(np.int64),
        hours=columns["hours"][rows] if hours is None else hours,
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
