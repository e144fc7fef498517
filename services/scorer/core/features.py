"""Compute features: numbers about accounts at a moment, one int64 column each (docs/scoring.md §5)."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.scorer.core.activity import FIRST_FEATURE, OUTCOME, TICKET, USER_DAYS, Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import DAY, HOUR, NO_DAY, back_from, day_of
from services.scorer.core.facts import SUBSCRIPTIONS
from services.scorer.core.rhythm import deadlines
from services.scorer.core.table import NONE, Ints

MISSING: Final = NONE
SURVEY_DAYS: Final = 90
PAYMENT_DAYS: Final = 30
_USAGE_DAYS: Final = 36
_NOTICE_GIVEN: Final = SUBSCRIPTIONS.index("notice_given")
_CANCELLED: Final = SUBSCRIPTIONS.index("cancelled")

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What is known of `rows` (account rows) at T: a column a feature, MISSING where it is missing.

    `deadline` and `last` are MISSING where there is none; `evident` says where evidence is enough, `ended` where the
    account is ended.
    """

    rows: Ints
    day: Ints
    values: dict[str, Ints]
    deadline: Ints
    last: Ints
    evident: Flags
    ended: Flags


def features_at(at: Ints, *, rows: Ints, activity: Activity, bundle: CompiledBundle) -> Features:
    """Compute every feature of the accounts `rows`, each at its T in `at` (epoch ms)."""
    columns = activity.accounts
    day = day_of(at, roll=columns["roll"][rows])
    first, front = columns["first_day"][rows].astype(np.int64), columns["front"][rows].astype(np.int64)
    present = front != NO_DAY
    hours = columns["hours"]
    active_days = np.count_nonzero(hours[rows], axis=1)
    seats, users = columns["seats"][rows], _users(activity, rows=rows, day=day, days=28)
    usage_7, usage_28, outcomes, key_features = _usage(activity, rows=rows, day=day, bundle=bundle)
    tenure = np.where(present, day - first + 1, MISSING)
    named = len(bundle.scorecard.key_features)
    values = {
        "tenure_days": tenure,
        "active_days": active_days,
        "active_days_28": np.count_nonzero(back_from(hours, columns["front"], rows=rows, day=day, days=28), axis=1),
        "recency_days": np.maximum(0, day - front),
        "usage_7": usage_7,
        "usage_normal_28": usage_28,
        "usage_change": change_of(usage_7, normal=usage_28),
        "users_28": users,
        "seats_used": np.where(seats > 0, np.minimum(1000, users * 1000 // np.maximum(seats, 1)), MISSING),
        "features_used": key_features * 1000 // named if named else np.full(len(rows), MISSING),
        "outcomes_28": outcomes,
        **_facts(activity, rows=rows, day=day),
    }
    for name in _OF_PRESENCE:
        values[name] = np.where(present, values[name], MISSING)
    evidence = bundle.scorecard.evidence
    evident = present & (tenure >= evidence.days) & (active_days >= evidence.active_days)
    ended = columns["deleted"][rows] | (columns["subscription"][rows] == _CANCELLED)
    deadline = np.full(len(rows), MISSING)
    rhythmic = np.flatnonzero(evident & ~ended)
    deadline[rhythmic] = deadlines_of(
        activity, rows=rows[rhythmic], last=columns["last"][rows[rhythmic]], bundle=bundle
    )
    values["silence"] = np.where(deadline == MISSING, MISSING, (at >= deadline).astype(np.int64))
    last = columns["last"][rows]
    return Features(rows=rows, day=day, values=values, deadline=deadline, last=last, evident=evident, ended=ended)


def usage_change_on(day: Ints, *, rows: Ints, activity: Activity) -> Ints:
    """Return `usage_change` of the accounts `rows` on other days than today."""
    recent, normal, _, _ = _usage(activity, rows=rows, day=day, bundle=None)
    return change_of(recent, normal=normal)


def change_of(recent: Ints, *, normal: Ints) -> Ints:
    """Return by how many thousandths a week differs from the mean of four, MISSING where those are empty."""
    return np.where(normal > 0, recent * 4000 // np.maximum(normal, 1) - 1000, MISSING)


def deadlines_of(activity: Activity, *, rows: Ints, last: Ints, bundle: CompiledBundle) -> Ints:
    """Return the silence deadlines of accounts `rows` for last activities at `last` (epoch ms)."""
    columns = activity.accounts
    if not rows.size:
        return np.zeros(0, np.int64)
    return deadlines(
        last,
        roll=columns["roll"][rows],
        first_day=columns["first_day"][rows].astype(np.int64),
        front=columns["front"][rows].astype(np.int64),
        hours=columns["hours"][rows],
        hazards_to_pass=bundle.hazards_to_pass,
    )


def last_before(at: Ints, *, rows: Ints, activity: Activity) -> Ints:
    """Return the last activity known today of a past moment, one an account; MISSING where none is held any more.

    The exact time if the account was not active since; else the start of the last active account-hour before `at`'s:
    from its end, the deadline of an ordinary silence would lie after the tick that opened it.
    """
    columns = activity.accounts
    roll, last = columns["roll"][rows].astype(np.int64), columns["last"][rows]
    hour = (at - roll) // HOUR
    bits = columns["hours"]
    held = back_from(bits, columns["front"], rows=rows, day=hour // 24, days=bits.shape[1])
    held[:, 0] &= (np.uint32(1) << (hour % 24).astype(np.uint32)) - np.uint32(1)
    back = np.argmax(held != 0, axis=1)
    word = held[np.arange(len(rows)), back].astype(np.int64)
    top = np.frexp(word.astype(np.float64))[1] - 1
    start = ((hour // 24 - back) * 24 + top) * HOUR + roll
    return np.where(last <= at, last, np.where(word > 0, start, MISSING))


def _users(activity: Activity, *, rows: Ints, day: Ints, days: int) -> Ints:
    """Count users last seen after `day` − `days`."""
    columns = activity.accounts
    front = columns["front"][rows].astype(np.int64)
    back = np.arange(USER_DAYS)
    ring = columns["users"][rows[:, None], (front[:, None] - back) % USER_DAYS].astype(np.int64)
    users: Ints = np.where(front[:, None] - back > day[:, None] - days, ring, 0).sum(axis=1)
    return users


def _usage(
    activity: Activity, *, rows: Ints, day: Ints, bundle: CompiledBundle | None
) -> tuple[Ints, Ints, Ints, Ints]:
    """Return events of the last seven whole days and of the 28 before, outcomes (or MISSING), and key features used."""
    recent, normal, features = (np.zeros(len(rows), np.int64) for _ in range(3))
    outcomes = np.full(len(rows), MISSING)
    signals = activity.signals
    for where, links in activity.chain(signals, head="first_signal", accounts=rows):
        days = back_from(signals["count"], signals["front"], rows=links, day=day[where], days=_USAGE_DAYS)
        days = days.astype(np.int64)
        signal = signals["signal"][links]
        is_presence = signal != TICKET
        recent[where] += np.where(is_presence, days[:, 1:8].sum(axis=1), 0)
        normal[where] += np.where(is_presence, days[:, 8:36].sum(axis=1), 0)
        in_28 = days[:, :28].sum(axis=1)
        is_outcome = (signal == OUTCOME) & (signals["front"][links] != NO_DAY)
        outcomes[where[is_outcome]] = in_28[is_outcome]
        if bundle is not None:
            features[where] += _is_key(signal, activity=activity, bundle=bundle) & (in_28 > 0)
    return recent, normal, outcomes, features


def _is_key(signal: Ints, *, activity: Activity, bundle: CompiledBundle) -> Flags:
    wanted = set(bundle.scorecard.key_features)
    is_key = np.zeros(FIRST_FEATURE + len(activity.feature_names), bool)
    is_key[FIRST_FEATURE:] = [name in wanted for name in activity.feature_names]
    return is_key[signal]


def _facts(activity: Activity, *, rows: Ints, day: Ints) -> dict[str, Ints]:
    columns = activity.accounts
    roll, failed, paid = columns["roll"][rows], columns["payment_failed_at"][rows], columns["invoice_paid_at"][rows]
    is_failed = (failed != NONE) & (paid < failed)
    failed_days = np.where(is_failed, np.maximum(0, day - (failed - roll) // DAY), MISSING)
    billed = (failed != NONE) | (paid != NONE)
    subscription = columns["subscription"][rows]
    return {
        "payment_failed_days": failed_days,
        "payment_ok": np.where(billed, ~(is_failed & (failed_days <= PAYMENT_DAYS)), MISSING),
        "contract_ok": np.where(subscription > 0, subscription != _NOTICE_GIVEN, MISSING),
        **{name: survey_on(day, name=name, rows=rows, activity=activity) for name in ("nps", "csat")},
    }


def survey_on(day: Ints, *, name: str, rows: Ints, activity: Activity) -> Ints:
    """Return the last score of a survey if it is at most 90 days old on `day`, else MISSING."""
    columns = activity.accounts
    score, at = columns[name][rows], columns[f"{name}_at"][rows]
    age = day - (at - columns["roll"][rows]) // DAY
    return np.where((at != NONE) & (age <= SURVEY_DAYS), score, MISSING)


_OF_PRESENCE: Final = (
    "active_days_28",
    "recency_days",
    "usage_7",
    "usage_normal_28",
    "usage_change",
    "users_28",
    "seats_used",
    "features_used",
)
