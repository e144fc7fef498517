"""Compute features of a view of accounts: one formula a feature, or a family of them (docs/scoring.md §5)."""

from collections.abc import Callable
from typing import Final

import numpy as np

from services.scorer.core.activity import Activity
from services.scorer.core.days import DAY, HORIZON_DAYS, NO_DAY
from services.scorer.core.facts import SUBSCRIPTIONS
from services.scorer.core.table import NONE, Ints
from services.scorer.core.view import MISSING, View

Formula = Callable[[View], Ints]
"""Takes accounts at a moment and returns a number of each, MISSING where it has none."""

SURVEY_DAYS: Final = 90
PAYMENT_DAYS: Final = 30
WHOLE: Final = 1000
"""Ratios are in thousandths."""
MOST_USUAL: Final = 100 * WHOLE
_NOTICE_GIVEN: Final = SUBSCRIPTIONS.index("notice_given")


def survey_on(day: Ints, *, name: str, rows: Ints, activity: Activity) -> Ints:
    """Return the last score of a survey if it is at most 90 days old on `day`, else MISSING."""
    columns = activity.accounts
    score, at = columns[name][rows], columns[f"{name}_at"][rows]
    age = day - (at - columns["roll"][rows]) // DAY
    return np.where((at != NONE) & (age <= SURVEY_DAYS), score, MISSING)


def tenure(view: View) -> Ints:
    return view.tenure


def recency(view: View) -> Ints:
    days: Ints = np.maximum(0, view.day - view.front)
    return days


def missed_days(view: View) -> Ints:
    """Return how many active days accounts would have had since the latest one, as often as they came before."""
    gone, known = recency(view), view.tenure - recency(view)
    missed: Ints = gone * view.active_days_ever * WHOLE // np.clip(known, 1, HORIZON_DAYS)
    return missed


def active_days_ever(view: View) -> Ints:
    return view.active_days_ever


def active_days(days: int) -> Formula:
    return lambda view: view.active_days(since=days - 1)


def events(group: str, days: int) -> Formula:
    return lambda view: view.events(group, since=days - 1)


def days_since(group: str) -> Formula:
    return lambda view: view.days_since(group)


def users(days: int) -> Formula:
    return lambda view: view.users_since(days)


def seats_used(days: int) -> Formula:
    def of(view: View) -> Ints:
        seats = view.column("seats")
        share = np.minimum(WHOLE, view.users_since(days) * WHOLE // np.maximum(seats, 1))
        return np.where(seats > 0, share, MISSING)

    return of


def outcomes(days: int) -> Formula:
    def of(view: View) -> Ints:
        return np.where(view.days_since("outcomes") == MISSING, MISSING, view.events("outcomes", since=days - 1))

    return of


def last_week(view: View) -> Ints:
    return view.events("events", since=7, until=1)


def four_weeks_before(view: View) -> Ints:
    return view.events("events", since=35, until=8)


def usage_change(view: View) -> Ints:
    return _change(4 * last_week(view), before=four_weeks_before(view))


def automation_rise(view: View) -> Ints:
    before = four_weeks_before(view)
    rise = 4 * view.events("automation", since=7, until=1) - view.events("automation", since=35, until=8)
    return np.where(before > 0, rise * WHOLE // np.maximum(before, 1), MISSING)


def active_days_change(view: View) -> Ints:
    return _change(view.active_days(since=28, until=1), before=view.active_days(since=56, until=29))


def hand_use_change(view: View) -> Ints:
    recent = view.events("hand_use", since=28, until=1)
    return _change(recent, before=view.events("hand_use", since=56, until=29))


def users_change(view: View) -> Ints:
    return _change(view.users_on(since=7, until=1), before=view.users_on(since=14, until=8))


def _change(recent: Ints, *, before: Ints) -> Ints:
    """Return by how many thousandths a number differs from the one before, MISSING where that is 0."""
    return np.where(before > 0, recent * WHOLE // np.maximum(before, 1) - WHOLE, MISSING)


def share(part: Ints, *, whole: Ints) -> Ints:
    """Return a part in thousandths of the whole, MISSING where that is 0."""
    return np.where(whole > 0, part * WHOLE // np.maximum(whole, 1), MISSING)


def events_vs_segment(view: View) -> Ints:
    return _compared(view.events("events", since=90), usual=view.usual("events_91"))


def users_vs_segment(view: View) -> Ints:
    return _compared(view.users_since(28), usual=view.usual("users_28"))


def active_days_vs_segment(view: View) -> Ints:
    return _compared(view.active_days(since=27), usual=view.usual("active_days_28"))


def _compared(values: Ints, *, usual: Ints) -> Ints:
    """Return values in thousandths of what is usual, at most a hundred times that, MISSING where nothing is usual."""
    return np.where(usual == MISSING, MISSING, np.minimum(values * WHOLE // np.maximum(usual, 1), MOST_USUAL))


def automation_share(view: View, *, since: int = 27, until: int = 0) -> Ints:
    part = view.events("automation", since=since, until=until)
    return share(part, whole=view.events("events", since=since, until=until))


def automation_share_change(view: View) -> Ints:
    recent, before = (automation_share(view, since=since, until=since - 27) for since in (28, 56))
    return np.where((recent == MISSING) | (before == MISSING), MISSING, recent - before)


def exports_spike(view: View) -> Ints:
    normal = np.maximum(view.events("exports", since=34, until=7), 4)
    return view.events("exports", since=6) * 4 * WHOLE // normal


def top_users_share(most: int) -> Formula:
    def of(view: View) -> Ints:
        days, where = view.active_days_of_users(since=27)
        order = np.lexsort((-days, where))
        days, where = days[order], where[order]
        rank = np.arange(len(where)) - np.searchsorted(where, where)
        whole, top = view.nothing(), view.nothing()
        np.add.at(whole, where, days)
        np.add.at(top, where[rank < most], days[rank < most])
        return share(top, whole=whole)

    return of


def features_used(view: View) -> Ints:
    named = view.bundle.scorecard.key_features
    if not named:
        return np.full(len(view.rows), MISSING)
    used = sum((view.used(name, days=28).astype(np.int64) for name in named), start=view.nothing())
    return used * WHOLE // len(named)


def self_reliance(view: View) -> Ints:
    is_active = view.days_with("events", days=28)
    alone = np.count_nonzero(is_active & ~view.days_with("tickets", days=28), axis=0)
    return share(alone, whole=np.count_nonzero(is_active, axis=0))


def payment_failed_days(view: View) -> Ints:
    failed, paid = view.column("payment_failed_at"), view.column("invoice_paid_at")
    days = np.maximum(0, view.day - (failed - view.column("roll")) // DAY)
    return np.where((failed != NONE) & (paid < failed), days, MISSING)


def payment_ok(view: View) -> Ints:
    failed, billed = payment_failed_days(view), view.column("payment_failed_at") != NONE
    billed |= view.column("invoice_paid_at") != NONE
    return np.where(billed, ~((failed != MISSING) & (failed <= PAYMENT_DAYS)), MISSING)


def contract_ok(view: View) -> Ints:
    subscription = view.column("subscription")
    return np.where(subscription > 0, subscription != _NOTICE_GIVEN, MISSING)


def renewal_days(view: View) -> Ints:
    day = view.column("renewal_day").astype(np.int64)
    return np.where(day == NO_DAY, MISSING, day - view.day)


def survey(name: str) -> Formula:
    return lambda view: survey_on(view.day, name=name, rows=view.rows, activity=view.activity)


def sentiment(view: View) -> Ints:
    is_good = (view.column("sentiment") >= 0) & (view.day <= view.column("sentiment_until"))
    return np.where(is_good, view.column("sentiment").astype(np.int64), MISSING)


def override(view: View) -> Ints:
    return np.where(view.overridden, view.column("override").astype(np.int64), MISSING)


def milestones_overdue(view: View) -> Ints:
    position = view.position
    return np.where(position.own.any(axis=1), np.count_nonzero(position.overdue, axis=1), MISSING)


def milestones_met(view: View) -> Ints:
    position = view.position
    return share(np.count_nonzero(position.met, axis=1), whole=np.count_nonzero(position.own, axis=1))


def milestone_overdue_days(view: View) -> Ints:
    position = view.position
    late = np.where(position.overdue, view.day[:, None] - position.due, 0).max(axis=1, initial=0)
    return np.where(late > 0, late, MISSING)


def goal_days(view: View) -> Ints:
    return view.progress.days


def goal_pace(view: View) -> Ints:
    return view.progress.pace


def goal_behind_days(view: View) -> Ints:
    return view.progress.behind


def goal_shortfall(view: View) -> Ints:
    return view.progress.shortfall


def judged(name: str) -> Formula:
    return lambda view: view.judged[name]


def silence(view: View) -> Ints:
    return np.where(view.deadline == MISSING, MISSING, view.at >= view.deadline)
