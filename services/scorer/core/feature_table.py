"""List every feature: what it means, its unit and window, when it is missing, and the formula that computes it.

docs/features.md is written from this table (`churnwatch features`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.scorer.core import formulas
from services.scorer.core.champion import champion_silence
from services.scorer.core.formulas import Formula
from services.scorer.core.table import Ints
from services.scorer.core.view import MISSING, View

WINDOWS: Final = (1, 7, 14, 28, 91)
USER_WINDOWS: Final = (1, 7, 28)
_NO_GOAL: Final = "no goal of a term of at most 92 days with a metric that is counted, or set today"
_NO_PRESENCE: Final = "no presence yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One number about an account; `missing` says when there is none, `days` how many days of events it counts."""

    name: str
    meaning: str
    unit: str
    window: str
    missing: str
    days: int
    of: Formula


def feature_called(name: str) -> Feature | None:
    """Return a feature by its name; one of a key feature is named `adoption:<event>` or `use_28:<event>`."""
    kind, _, event = name.partition(":")
    return (
        FEATURES.get(name)
        or JUDGED.get(name)
        or (_OF_KEY_FEATURES[kind](event) if event and kind in _OF_KEY_FEATURES else None)
    )


def _present(of: Formula) -> Formula:
    """Leave a feature out where there was no presence yet."""
    return lambda view: np.where(view.present, of(view), MISSING)


def _row(name: str, meaning: str, unit: str, window: str, days: int, of: Formula) -> Feature:
    """Return a feature that is missing only where there was no presence yet."""
    return Feature(
        name=name, meaning=meaning, unit=unit, window=window, missing=_NO_PRESENCE, days=days, of=_present(of)
    )


def _but(missing: str, feature: Feature) -> Feature:
    """Return a feature that is missing in other cases as well."""
    return replace(feature, missing=f"{missing}, or {feature.missing}")


def _fact(name: str, meaning: str, unit: str, missing: str, of: Formula, *, window: str = "now") -> Feature:
    return Feature(name=name, meaning=meaning, unit=unit, window=window, missing=missing, days=1, of=of)


def _last(days: int) -> str:
    return "D" if days == 1 else f"D−{days - 1}…D"


_COUNTED: Final = {
    "events": "presence events of every kind",
    "logins": "log-ins by hand",
    "hand_use": "log-ins and usage by hand: events that are neither automation nor outcomes",
    "automation": "events of automation and API",
    "exports": "exports of data",
    "admin_actions": "administration",
    "removals": "users removed from the account",
    "errors": "errors shown to users",
    "tickets": "support tickets",
}
_GROUPS: Final = {name: {"admin_actions": "admin"}.get(name, name) for name in (*_COUNTED, "outcomes")}
_SINCE: Final = {
    "login": "logins",
    "hand_use": "hand_use",
    "automation": "automation",
    "export": "exports",
    "admin_action": "admin",
    "removal": "removals",
    "error": "errors",
    "ticket": "tickets",
    "outcome": "outcomes",
}
_HALVES: Final = "D−28…D−1 against D−56…D−29"

_TABLE: Final = (
    _row("tenure_days", "days since the first presence, today included", "days", "ever", 1, formulas.tenure),
    Feature(
        name="active_days",
        meaning="days with presence",
        unit="days",
        window="not forgotten",
        missing="–",
        days=1,
        of=formulas.active_days_ever,
    ),
    *(
        _row(f"active_days_{days}", "days with presence", "days", _last(days), 1, formulas.active_days(days))
        for days in WINDOWS
    ),
    _but(
        "no active day in the earlier half",
        _row("active_days_change", "change of days with presence", "‰", _HALVES, 1, formulas.active_days_change),
    ),
    _row("recency_days", "days since the latest day with presence", "days", "ever", 1, formulas.recency),
    _row(
        "missed_days",
        "active days an account would have had since its latest one, as often as it came before",
        "thousandths of a day",
        "91 days up to the latest one",
        1,
        formulas.missed_days,
    ),
    _row("usage_7", "presence events of the last seven whole days", "events", "D−7…D−1", 8, formulas.last_week),
    _row(
        "usage_normal_28", "presence events of the 28 days before", "events", "D−35…D−8", 36, formulas.four_weeks_before
    ),
    _but(
        "usage_normal_28 is 0",
        _row(
            "usage_change", "usage_7 against a mean week of usage_normal_28", "‰", "D−35…D−1", 36, formulas.usage_change
        ),
    ),
    *(
        _row(f"{name}_{days}", meaning, "events", _last(days), days, formulas.events(_GROUPS[name], days))
        for name, meaning in _COUNTED.items()
        for days in WINDOWS
    ),
    *(
        _fact(
            f"outcomes_{days}",
            "values achieved",
            "events",
            "no outcome ever",
            formulas.outcomes(days),
            window=_last(days),
        )
        for days in WINDOWS
    ),
    _but(
        "no use by hand in the earlier half",
        _row("hand_use_change", "change of hand_use", "‰", _HALVES, 57, formulas.hand_use_change),
    ),
    _but(
        "no events in it",
        _row(
            "automation_share", "share of automation in presence events", "‰", _last(28), 28, formulas.automation_share
        ),
    ),
    _but(
        "usage_normal_28 is 0",
        _row(
            "automation_rise",
            "growth of automation in usage_7 over a mean week of usage_normal_28, against all usage of that week",
            "‰",
            "D−35…D−1",
            36,
            formulas.automation_rise,
        ),
    ),
    _but(
        "no events in one of the halves",
        _row(
            "automation_share_change",
            "automation_share of the later half less that of the earlier",
            "‰ points",
            _HALVES,
            57,
            formulas.automation_share_change,
        ),
    ),
    _row(
        "exports_spike",
        "exports of a week against a mean week of the four before, at least one a week",
        "‰",
        "D−6…D against D−34…D−7",
        35,
        formulas.exports_spike,
    ),
    *(
        _row(f"users_{days}", "distinct users by hand", "users", _last(days), 1, formulas.users(days))
        for days in USER_WINDOWS
    ),
    _but(
        "no user in the earlier week",
        _row(
            "users_change",
            "distinct users of a week against the week before",
            "‰",
            "D−7…D−1 against D−14…D−8",
            1,
            formulas.users_change,
        ),
    ),
    *(
        _but(
            "seats unknown or ≤ 0",
            _row(
                name,
                "distinct users by hand in the seats paid for, at most 1000",
                "‰",
                _last(days),
                1,
                formulas.seats_used(days),
            ),
        )
        for name, days in (("seats_used_1", 1), ("seats_used_7", 7), ("seats_used", 28))
    ),
    *(
        _but(
            "no user in it",
            _row(
                name, f"active days of {whose} in those of all users", "‰", _last(28), 1, formulas.top_users_share(most)
            ),
        )
        for name, whose, most in (
            ("top_user_share", "the most active user", 1),
            ("top_3_users_share", "the three most active users", 3),
        )
    ),
    _but(
        "no user was active on at least eight days of its four weeks, and on more of them than every other",
        _row(
            "champion_silence",
            "days by which the most active user is gone beyond what its own week and a week off allow",
            "days",
            "its own 28 days up to its latest one",
            1,
            champion_silence,
        ),
    ),
    *(
        _but(
            "no median known of its segment",
            _row(name, f"{what} against the median of its segment, at most 100,000", "‰", _last(days), days, of),
        )
        for name, what, days, of in (
            ("events_vs_segment", "events_91", 91, formulas.events_vs_segment),
            ("users_vs_segment", "users_28", 1, formulas.users_vs_segment),
            ("active_days_vs_segment", "active_days_28", 1, formulas.active_days_vs_segment),
        )
    ),
    _but(
        "no key features named",
        _row("features_used", "key features used, of those named", "‰", _last(28), 28, formulas.features_used),
    ),
    _but(
        "no active day in it",
        _row("self_reliance", "active days without a ticket, of all", "‰", _last(28), 28, formulas.self_reliance),
    ),
    *(
        _fact(
            f"days_since_{what}",
            f"days since the latest day with {group}",
            "days",
            "none ever",
            formulas.days_since(group),
        )
        for what, group in _SINCE.items()
    ),
    _fact(
        "payment_failed_days",
        "days since a payment failed that is not paid since",
        "days",
        "no failed payment, or paid at or after it",
        formulas.payment_failed_days,
    ),
    _fact(
        "payment_ok",
        "0 while a payment failed at most 30 days ago is not paid, else 1",
        "0/1",
        "no billing event ever",
        formulas.payment_ok,
    ),
    _fact("contract_ok", "0 once notice is given, else 1", "0/1", "no subscription event ever", formulas.contract_ok),
    _fact(
        "renewal_days",
        "days until the renewal date, negative after it",
        "days",
        "no renewal date",
        formulas.renewal_days,
    ),
    *(
        _fact(name, f"last {name.upper()} answer", "score", "none, or older than 90 days", formulas.survey(name))
        for name in ("nps", "csat", "ces")
    ),
    _fact("sentiment", "last judgement of the relationship", "0–100", "none, or past its end", formulas.sentiment),
    _fact("override", "health set by hand", "0–100", "none, or past its end", formulas.override),
    *(
        _fact(
            name, meaning, unit, "the journey has no milestones at its stage", of, window="since its stage or it began"
        )
        for name, meaning, unit, of in (
            ("milestones_overdue", "overdue milestones of its stage", "milestones", formulas.milestones_overdue),
            ("milestones_met", "milestones of its stage that are met, of all", "‰", formulas.milestones_met),
        )
    ),
    _fact(
        "milestone_overdue_days",
        "days for which a milestone is overdue, of several the longest",
        "days",
        "none is overdue",
        formulas.milestone_overdue_days,
        window="since its stage or it began",
    ),
    *(
        _fact(name, meaning, unit, missing, of, window="since the goal was set, 91 days at most")
        for name, meaning, unit, missing, of in (
            ("goal_days", "whole days since the goal was set, of its term", "days", _NO_GOAL, formulas.goal_days),
            ("goal_pace", "done for the goal, of what is needed by now", "‰", _NO_GOAL, formulas.goal_pace),
            (
                "goal_behind_days",
                "days by which the goal would be late at its pace so far, negative before its end",
                "days",
                f"{_NO_GOAL}, or nothing done",
                formulas.goal_behind_days,
            ),
            (
                "goal_shortfall",
                "by how many standard deviations fewer came than of a goal that is just reached",
                "thousandths",
                _NO_GOAL,
                formulas.goal_shortfall,
            ),
        )
    ),
    _fact("silence", "1 from the silence deadline on, else 0", "0/1", "no deadline", formulas.silence),
)
FEATURES: Final[Mapping[str, Feature]] = {feature.name: feature for feature in _TABLE}
"""Every feature that needs no name of an event, by its own; D is the account-day of T."""


_JUDGEMENTS: Final = (
    _fact(
        "health",
        "the health of this moment, for rules alone",
        "thousandths of a point",
        "no health",
        formulas.judged("health"),
    ),
    _fact(
        "band",
        "the band of this moment, for rules alone: 1 critical, 2 at_risk, 3 watch, 4 healthy",
        "band",
        "unknown",
        formulas.judged("band"),
    ),
)
JUDGED: Final[Mapping[str, Feature]] = {feature.name: feature for feature in _JUDGEMENTS}
"""What is made of the others, and known once these are: only rules may name it."""


def _adoption(event: str) -> Feature:
    def of(view: View) -> Ints:
        return formulas.share(view.users_of(event, days=28), whole=view.users_since(28))

    meaning = "users by hand who used the key feature, of all users by hand"
    return _but("no user in it", _row(f"adoption:{event}", meaning, "‰", _last(28), 1, of))


def _use(event: str) -> Feature:
    def of(view: View) -> Ints:
        return view.events(f"use:{event}", since=27)

    return _row(f"use_28:{event}", "uses of the key feature", "events", _last(28), 28, of)


_OF_KEY_FEATURES: Final[Mapping[str, Callable[[str], Feature]]] = {"adoption": _adoption, "use_28": _use}
