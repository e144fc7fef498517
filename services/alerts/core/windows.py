"""Say which events of which days a measure is made of (docs/scoring.md §5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.alerts.core.signals import (
    AUTOMATION,
    EVENTS,
    HAND_USE,
    KEY_FEATURES,
    OUTCOMES,
    REMOVALS,
    TICKETS,
    USERS,
)
from shared.contracts.events import Kind
from shared.contracts.partition import roll_ms

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Events that count as `of` on the account-days D - `back` to D - `until`, D being today.

    Without `back` nothing ever leaves it: the last event decides, or the first.
    """

    name: str
    of: str = EVENTS
    back: int | None = None
    until: int = 0

    def holds(self, day: int, *, today: int) -> bool:
        """Say whether an account-day lies in it as of `today`."""
        return (self.back is None or day >= today - self.back) and day <= today - self.until

    def moved(self, earlier: int, later: int) -> list[int]:
        """Return the days that are in it as of one of two days only, as far as they left it or lay before the later."""
        if self.back is None:
            return []
        days = range(earlier - self.back, later - self.until + 1)
        return [day for day in days if self.holds(day, today=earlier) != self.holds(day, today=later)]


def windows_of(measure: str) -> tuple[Window, ...]:
    """Return the windows of a measure, none where no event moves it or nobody knows it any more."""
    kind, _, event = measure.partition(":")
    if event and kind == "adoption":
        return _last(measure, 28, name=measure), _last(USERS, 28)
    if event and kind == "use_28":
        return (_last(f"use:{event}", 28, name=measure),)
    return WINDOWS.get(measure, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The days of one account: each begins at 00:00 UTC and up to an hour later, the same for ever."""

    roll: int

    def of(self, at: int) -> int:
        """Return the account-day of a moment (epoch ms)."""
        return (at - self.roll) // DAY_MS

    def begins(self, day: int) -> int:
        """Return the moment (epoch ms) at which an account-day begins."""
        return day * DAY_MS + self.roll


def days_of(account: str) -> Days:
    """Return the days of an account."""
    return Days(roll=roll_ms(account.encode()))


def _last(of: str, days: int, *, name: str = "") -> Window:
    """Return the window of today and the days before it, `days` in all."""
    return Window(name=name or f"{of}_{days}", of=of, back=days - 1)


def _ever(of: str, *, name: str = "") -> Window:
    return Window(name=name or of, of=of)


def _halves(of: str) -> tuple[Window, Window]:
    """Return the 28 whole days before today, and the 28 before them."""
    return Window(name=f"{of}_later", of=of, back=28, until=1), Window(name=f"{of}_earlier", of=of, back=56, until=29)


_DAYS: Final = (1, 7, 14, 28, 91)
_COUNTED: Final = (
    EVENTS,
    "logins",
    HAND_USE,
    AUTOMATION,
    "exports",
    "admin_actions",
    REMOVALS,
    "errors",
    TICKETS,
    OUTCOMES,
)
_SINCE: Final = {
    "login": "logins",
    "hand_use": HAND_USE,
    "automation": AUTOMATION,
    "export": "exports",
    "admin_action": "admin_actions",
    "removal": REMOVALS,
    "error": "errors",
    "ticket": TICKETS,
    "outcome": OUTCOMES,
}
_RECENT: Final = Window(name="usage_7", back=7, until=1)
_NORMAL: Final = Window(name="usage_normal_28", back=35, until=8)
_MILESTONES: Final = tuple(_ever(of) for of in (EVENTS, Kind.MILESTONE, Kind.ACCOUNT))
_SEATS: Final = _ever(Kind.ACCOUNT, name="seats")
WINDOWS: Final[Mapping[str, tuple[Window, ...]]] = {
    "tenure_days": (_ever(EVENTS, name="tenure_days"),),
    "active_days": (_ever(EVENTS, name="active_days"),),
    **{f"active_days_{days}": (_last(EVENTS, days, name=f"active_days_{days}"),) for days in _DAYS},
    "active_days_change": _halves(EVENTS),
    "recency_days": (_ever(EVENTS, name="recency_days"),),
    "missed_days": (_ever(EVENTS, name="missed_days"),),
    "usage_7": (_RECENT,),
    "usage_normal_28": (_NORMAL,),
    "usage_change": (_RECENT, _NORMAL),
    **{f"{of}_{days}": (_last(of, days),) for of in _COUNTED for days in _DAYS},
    "hand_use_change": _halves(HAND_USE),
    "automation_rise": (_RECENT, _NORMAL),
    "automation_share": (_last(EVENTS, 28),),
    "automation_share_change": _halves(EVENTS),
    "exports_spike": (_last("exports", 7), Window(name="exports_normal_28", of="exports", back=34, until=7)),
    **{f"users_{days}": (_last(USERS, days),) for days in (1, 7, 28)},
    "users_change": (
        Window(name="users_later", of=USERS, back=7, until=1),
        Window(name="users_earlier", of=USERS, back=14, until=8),
    ),
    "seats_used_1": (_last(USERS, 1), _SEATS),
    "seats_used_7": (_last(USERS, 7), _SEATS),
    "seats_used": (_last(USERS, 28), _SEATS),
    "top_user_share": (_last(USERS, 28),),
    "top_3_users_share": (_last(USERS, 28),),
    "champion_silence": (Window(name="champion_silence", of=USERS, back=59),),
    "events_vs_segment": (_last(EVENTS, 91),),
    "users_vs_segment": (_last(USERS, 28),),
    "active_days_vs_segment": (_last(EVENTS, 28, name="active_days_28"),),
    "features_used": (_last(KEY_FEATURES, 28, name="features_used"),),
    "self_reliance": (_last(EVENTS, 28), _last(TICKETS, 28)),
    **{f"days_since_{name}": (_ever(of),) for name, of in _SINCE.items()},
    "payment_failed_days": (_ever(Kind.BILLING, name="payment_failed_days"),),
    "payment_ok": (Window(name="payment_ok", of=Kind.BILLING, back=30),),
    "contract_ok": (_ever(Kind.SUBSCRIPTION, name="contract_ok"),),
    "renewal_days": (_ever(Kind.ACCOUNT, name="renewal_days"),),
    **{name: (Window(name=name, of=name, back=90),) for name in ("nps", "csat", "ces")},
    "sentiment": (_ever(Kind.SENTIMENT),),
    "override": (_ever(Kind.OVERRIDE),),
    **dict.fromkeys(("milestones_overdue", "milestones_met", "milestone_overdue_days"), _MILESTONES),
    **dict.fromkeys(
        ("goal_days", "goal_pace", "goal_behind_days", "goal_shortfall"), (_last(EVENTS, 91), _ever(Kind.GOAL))
    ),
    "silence": (_ever(EVENTS, name="silence"),),
}
"""The windows of every feature that needs no name of an event, by its own."""
