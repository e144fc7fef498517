"""Say which events of which days a measure is made of (docs/scoring.md §5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.contracts.events import Kind
from shared.contracts.partition import roll_ms

DAY_MS: Final = 86_400_000
NO_PRESENCE: Final = frozenset(set(Kind) - {Kind.LOGIN, Kind.USAGE, Kind.OUTCOME})
"""Kinds that are nobody's activity; one not in the contract is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Events of `kinds` (None: every presence) on the account-days D - `back` to D - `until`, D being today.

    Without `back` nothing ever leaves it: the last event decides, or the first.
    """

    name: str
    kinds: frozenset[str] | None = None
    back: int | None = None
    until: int = 0

    def takes(self, kind: str) -> bool:
        """Say whether an event of this kind counts in it."""
        return kind not in NO_PRESENCE if self.kinds is None else kind in self.kinds

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
    """Return the windows of a measure, none where no event moves it."""
    return _WINDOWS.get(measure, ())


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


def _kinds(*kinds: Kind) -> frozenset[str]:
    return frozenset(kind.value for kind in kinds)


_RECENT: Final = Window(name="usage_7", back=7, until=1)
_NORMAL: Final = Window(name="usage_normal_28", back=35, until=8)
_SURVEY: Final = _kinds(Kind.SURVEY)
_WINDOWS: Final[Mapping[str, tuple[Window, ...]]] = {
    "active_days": (Window(name="active_days"),),
    "active_days_28": (Window(name="active_days_28", back=27),),
    "recency_days": (Window(name="recency_days"),),
    "usage_7": (_RECENT,),
    "usage_normal_28": (_NORMAL,),
    "usage_change": (_RECENT, _NORMAL),
    "users_28": (Window(name="users_28", back=27),),
    "seats_used": (Window(name="users_28", back=27), Window(name="seats", kinds=_kinds(Kind.ACCOUNT))),
    "features_used": (Window(name="features_used", kinds=_kinds(Kind.USAGE), back=27),),
    "outcomes_28": (Window(name="outcomes_28", kinds=_kinds(Kind.OUTCOME), back=27),),
    "payment_failed_days": (Window(name="payment_failed_days", kinds=_kinds(Kind.BILLING)),),
    "payment_ok": (Window(name="payment_ok", kinds=_kinds(Kind.BILLING), back=30),),
    "contract_ok": (Window(name="contract_ok", kinds=_kinds(Kind.SUBSCRIPTION)),),
    "nps": (Window(name="nps", kinds=_SURVEY, back=90),),
    "csat": (Window(name="csat", kinds=_SURVEY, back=90),),
    "silence": (Window(name="silence"),),
}
