"""Work out what docs/scoring.md §5 says of an account's champion: day by day."""

from lab.oracle_features import History
from lab.oracle_rhythm import millionths_of_ln, weekday


def champion_silence(history: History, day: int, *, alpha_permille: int) -> dict[str, int]:
    """Return by how many days the champion is past its deadline; nothing where there is no champion."""
    months = [{d for d in days if d > max(days) - 28} for days in history.active_users().values()]
    months.sort(key=len, reverse=True)
    if not months or len(months[0]) < 8 or (len(months) > 1 and len(months[1]) == len(months[0])):
        return {}
    days, last = months[0], max(months[0])
    chances = [_chance(sum(weekday(d) == w for d in days), prior=512 if w < 5 else 128) for w in range(7)]
    expected = min(max(32 * sum(chances) // 1024, 1), 224)
    needed, passed, allowed = max(1_000_000, millionths_of_ln(expected * 1000, 7 * alpha_permille)), 0, 0
    while passed < needed and allowed < 84:
        allowed += 1
        passed += millionths_of_ln(1024, 1024 - chances[weekday(last + allowed)])
    return {"champion_silence": max(0, day - last - 7 - allowed)}


def _chance(active: int, *, prior: int) -> int:
    return min(max((1024 * active + 2 * prior) // 6, 16), 1008)
