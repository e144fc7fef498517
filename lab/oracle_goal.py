"""Work out what docs/scoring.md §15 says of an account's goal: how far it is, and when it would be reached."""

import math
from typing import Any

from lab.oracle_features import History, day_of_date
from shared.contracts.journey import Goal

COUNTED = {"Signed In": "login", "Outcome Achieved": "outcome"}


def goal_at(history: History, t: int, *, key_features: list[str]) -> tuple[dict[str, int], Goal | None]:
    """Return the features of the goal at T, and the goal as it is published."""
    told: dict[str, Any] = history.value("goal") or {}
    metric, target, end = told.get("metric"), told.get("target"), day_of_date(told.get("due"))
    signal = f"usage:{metric}" if metric in key_features else COUNTED.get(metric or "")
    if metric is None or signal is None or target is None or target <= 0 or end is None:
        return {}, None
    begin, day = history.day(history.time("goal") or 0), history.day(t)
    term = end - begin + 1
    if not 1 <= term <= 92 or not 1 <= day - begin <= 90:
        return {}, None
    gone = min(day - begin, term)
    done = 1000 * history.total(signal, since=begin, until=begin + gone - 1)
    pace = done * term * 1000 // (target * gone)
    features = {"goal_days": gone, "goal_pace": pace}
    fewer, variance = target * gone - done * term, target * gone * max(term - gone, 1)
    size = min(math.isqrt(1000 * fewer * fewer // variance), 10_000)
    features["goal_shortfall"] = size if fewer > 0 else -size
    if done > 0:
        whole = target * gone // done + (1 if target * gone % done else 0)
        features["goal_behind_days"] = min(whole - term, 10_000)
    goal = Goal(
        name=told.get("name"),
        kind=told.get("kind"),
        metric=metric,
        target=target,
        since=begin,
        due=end,
        done=done,
        pace=pace,
        finish=end + features["goal_behind_days"] if done > 0 else None,
    )
    return features, goal


def is_untold(history: History, t: int) -> bool:
    """Say whether it can't be told what the goal's features were at T: there is none, or set since, or forgotten."""
    told: dict[str, Any] = history.value("goal") or {}
    begin, end = history.day(history.time("goal") or 0), day_of_date(told.get("due"))
    if told.get("metric") is None or (told.get("target") or 0) <= 0 or end is None or not 1 <= end - begin + 1 <= 92:
        return True
    return begin >= history.day(t) or (bool(history.hours) and begin <= history.front - 91)
