"""Draw rules that make sense: any mix of conditions whose levels can be met, some of them by the activity of lives."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.scorer.core.bounds import bounds_of
from services.scorer.core.bundle import ConfigError
from services.scorer.core.compile import bundle_of

LEVELS: Final[Mapping[str, Sequence[int]]] = {
    "silence": (1,),
    "recency_days": (1, 2, 5),
    "usage_change": (-300, 0, 200),
    "usage_7": (1, 5, 20),
    "users_28": (1, 2),
    "active_days_7": (1, 3, 5),
    "tickets_28": (1, 3),
    "exports_spike": (500, 2000),
    "nps": (3, 7),
    "csat": (3, 7),
    "payment_failed_days": (0, 2, 30),
    "renewal_days": (0, 20, 60),
    "sentiment": (20, 70),
    "tenure_days": (5, 15, 40),
    "adoption:Export": (300, 700),
    "automation_rise": (0, 200),
    "champion_silence": (0, 1, 5),
    "health": (20_000, 60_000),
    "band": (1, 2, 3),
}
_SILENCE: Final = {"alpha_permille": 300}


def drawn_rules(rng: random.Random, *, scorecard: Mapping[str, Any], most: int = 3) -> list[dict[str, Any]]:
    """Return up to `most` rules, named drawn_0 … in their order; none that a start would refuse."""
    drawn = [_rule(rng, f"drawn_{n}") for n in range(rng.randrange(most + 1))]
    return [rule for rule in drawn if _is_accepted(rule, scorecard)]


def _is_accepted(rule: Mapping[str, Any], scorecard: Mapping[str, Any]) -> bool:
    try:
        bundle_of(scorecard, {"silence": _SILENCE, "rules": [rule]})
    except ConfigError:
        return False
    return True


def _rule(rng: random.Random, name: str) -> dict[str, Any]:
    needs, one_of = rng.choice(((1, 0), (2, 0), (1, 2), (0, 2), (0, 3), (1, 1)))
    return {
        "name": name,
        "based_on": rng.choice(("activity", "fact")),
        "all": [_condition(rng) for _ in range(needs)],
        "any": [_condition(rng) for _ in range(one_of)],
        "minimum": [_condition(rng, leaves=False) for _ in range(rng.choice((0, 0, 1)))],
        "critical": [_condition(rng) for _ in range(rng.choice((0, 0, 1, 2)))],
        "hold_days": rng.choice((0, 0, 1, 3, 10)),
        "cool_down_days": rng.choice((0, 0, 1, 7, 20)),
        **rng.choice(({}, {"receiver": "support", "precision_percent": 40})),
        "severity": "at_risk",
    }


def _condition(rng: random.Random, *, leaves: bool = True) -> dict[str, Any]:
    feature = rng.choice(sorted(LEVELS))
    side = rng.choice(("at_least", "at_most"))
    level = rng.choice(LEVELS[feature])
    condition = {"feature": feature, side: level}
    if leaves and rng.random() < 0.5:
        least = bounds_of(feature).least
        left = level + rng.choice((0, 1, 100)) * (1 if side == "at_most" else -1)
        condition["leave"] = left if least is None else max(least, left)
    return condition
