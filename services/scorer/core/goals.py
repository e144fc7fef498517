"""Say how far accounts are on the way to their goals (docs/scoring.md §15)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Final

import numpy as np

from services.scorer.core.days import HORIZON_DAYS, NO_DAY
from services.scorer.core.table import NONE, Ints
from shared.contracts import journey as told
from shared.contracts.events import Goal as Told

LONGEST_TERM: Final = 92
"""A quarter, in days: counts reach back hardly longer."""
LATEST: Final = 10_000
"""Days behind plan beyond which it makes no difference."""
MOST_SHORT: Final = 10_000
"""Ten standard deviations: the same of these."""
_THOUSANDTHS: Final = 1000
_GROUPS: Final = {"Signed In": "logins", "Outcome Achieved": "outcomes"}

Count = Callable[[str, Ints, Ints], Ints]
"""Count the events of a group for accounts at some places, from so many days back (one each) to yesterday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a customer wants to reach between two account-days, `end` the last; `target` in thousandths."""

    name: str | None
    kind: str | None
    target: int
    begin: int
    end: int
    metric: str

    @property
    def term(self) -> int:
        """How many days it has, both included."""
        return self.end - self.begin + 1


def goal_of(data: Told, *, begin: int, end: int) -> Goal | None:
    """Return a goal told on day `begin` that is due on `end` (NO_DAY: none), None if nothing can be counted for it."""
    if end == NO_DAY or data.metric is None or data.target is None or data.target <= 0:
        return None
    goal = Goal(name=data.name, kind=data.kind, target=data.target, begin=begin, end=end, metric=data.metric)
    return goal if 1 <= goal.term <= LONGEST_TERM else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far accounts are: whole days gone, thousandths done, ‰ of what is needed by now, days behind at that pace.

    `shortfall` says how far below chance that is: by how many thousandths of a standard deviation fewer came.

    NONE where nothing can be told; `goals` are those that can be, by place.
    """

    goals: Mapping[int, Goal]
    days: Ints
    done: Ints
    pace: Ints
    behind: Ints
    shortfall: Ints

    def goal(self, where: int) -> told.Goal | None:
        """Return one account's goal and how far it is."""
        goal = self.goals.get(where)
        if goal is None:
            return None
        behind = int(self.behind[where])
        return told.Goal(
            name=goal.name,
            kind=goal.kind,
            metric=goal.metric,
            target=goal.target,
            since=goal.begin,
            due=goal.end,
            done=int(self.done[where]),
            pace=int(self.pace[where]),
            finish=None if behind == NONE else goal.end + behind,
        )


def progress_of(day: Ints, *, goals: Mapping[int, Goal], key_features: Sequence[str], count: Count) -> Progress:
    """Return how far accounts are on their `day`; `goals` are theirs by place."""
    days, done, pace, behind, shortfall = (np.full(len(day), NONE) for _ in range(5))
    groups = _GROUPS | {name: f"use:{name}" for name in key_features}
    judged = {
        where: goal
        for where, goal in goals.items()
        if goal.metric in groups and 1 <= int(day[where]) - goal.begin < HORIZON_DAYS
    }
    for metric in sorted({goal.metric for goal in judged.values()}):
        where = np.array([place for place, goal in judged.items() if goal.metric == metric], np.int64)
        begin, term, target = (
            np.array([getattr(judged[place], name) for place in where.tolist()], np.int64)
            for name in ("begin", "term", "target")
        )
        gone = np.minimum(day[where] - begin, term)
        since = day[where] - begin
        done[where] = _THOUSANDTHS * (count(groups[metric], where, since) - count(groups[metric], where, since - gone))
        days[where] = gone
        pace[where] = done[where] * term * _THOUSANDTHS // (target * gone)
        needed = -(-target * gone // np.maximum(done[where], 1)) - term
        behind[where] = np.where(done[where] > 0, np.minimum(needed, LATEST), NONE)
        numbers = zip(done[where].tolist(), gone.tolist(), term.tolist(), target.tolist(), strict=True)
        shortfall[where] = [_shortfall(*one) for one in numbers]
    return Progress(goals=judged, days=days, done=done, pace=pace, behind=behind, shortfall=shortfall)


def _shortfall(done: int, gone: int, term: int, target: int) -> int:
    """Return by how many thousandths of a standard deviation fewer came than of a goal that is just reached.

    Of that one's events, `target` spread over the term by chance, as many as Binomial(target, gone / term) come by now.
    """
    fewer = target * gone - done * term
    size = isqrt(_THOUSANDTHS * fewer**2 // (target * gone * max(term - gone, 1)))
    return min(size, MOST_SHORT) if fewer > 0 else -min(size, MOST_SHORT)
