"""Say which values a feature can take: what lies outside them is a mistake in a rule (docs/features.md)."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from services.scorer.core.days import HORIZON_DAYS
from services.scorer.core.formulas import MOST_USUAL, WHOLE


class Bounds(NamedTuple):
    """The least and the greatest value, None where there is none."""

    least: int | None
    most: int | None


_COUNT: Final = Bounds(0, None)
_ANY: Final = Bounds(None, None)
_SHARE: Final = Bounds(0, WHOLE)
_CHANGE: Final = Bounds(-WHOLE, None)
_COMPARED: Final = Bounds(0, MOST_USUAL)
_YES_NO: Final = Bounds(0, 1)
_OTHERS: Final[Mapping[str, Bounds]] = {
    "tenure_days": _ANY,  # a clock behind the events it is told of lies before the first of them
    "renewal_days": _ANY,
    "nps": _ANY,
    "csat": _ANY,
    "ces": _ANY,
    "active_days": Bounds(0, HORIZON_DAYS),
    **{f"active_days_{days}": Bounds(0, days) for days in (1, 7, 14, 28, 91)},
    **dict.fromkeys(("active_days_change", "usage_change", "hand_use_change", "users_change"), _CHANGE),
    **dict.fromkeys(("automation_share", "features_used", "self_reliance"), _SHARE),
    **dict.fromkeys(("seats_used_1", "seats_used_7", "seats_used"), _SHARE),
    **dict.fromkeys(("top_user_share", "top_3_users_share"), _SHARE),
    **dict.fromkeys(("events_vs_segment", "users_vs_segment", "active_days_vs_segment"), _COMPARED),
    **dict.fromkeys(("payment_ok", "contract_ok", "silence"), _YES_NO),
    **dict.fromkeys(("sentiment", "override"), Bounds(0, 100)),
    "automation_rise": _ANY,
    "goal_behind_days": Bounds(None, 10_000),
    "goal_shortfall": Bounds(-10_000, 10_000),
    "milestones_met": _SHARE,
    "health": Bounds(0, 100 * WHOLE),
    "band": Bounds(1, 4),
    "automation_share_change": Bounds(-WHOLE, WHOLE),
}
"""What is neither a count, nor a number of days since something."""


def bounds_of(name: str) -> Bounds:
    """Return the bounds of a feature by its name."""
    return _SHARE if name.startswith("adoption:") else _OTHERS.get(name, _COUNT)
