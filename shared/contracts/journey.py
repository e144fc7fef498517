"""Define where an account stands in its journey (docs/scoring.md §15); days are account-days since 1970-01-01."""

from enum import StrEnum

import msgspec


class MilestoneState(StrEnum):
    """Whether a milestone is reached, still to be reached, or late."""

    MET = "met"
    OPEN = "open"
    OVERDUE = "overdue"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is still needed: by how many users, and how many did it so far."""

    event: str
    users: int
    so_far: int


class Milestone(msgspec.Struct, frozen=True, kw_only=True):
    """One milestone of the stage: when it was met (epoch ms), through which day it is in time, and what it lacks.

    It lacks all of `all_of` and one of `any_of`; a milestone not met that lacks neither awaits somebody's word.
    """

    name: str
    state: MilestoneState
    met_at: int | None
    due: int | None
    all_of: list[Progress]
    any_of: list[Progress]


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """The stage an account is in, since which day, what that is for, and whom to ask where."""

    stage: str
    goal: str
    contact: str | None
    channel: str | None
    since: int | None
    milestones: list[Milestone]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """How far an account is on the way to its goal, of which `target` events `metric` (in thousandths) are needed.

    `done` by yesterday since the day `since`, `pace` thousandths of what is needed by then, `finish` the day on which
    it would be reached at that pace, None while nothing is done.
    """

    name: str | None
    kind: str | None
    metric: str
    target: int
    since: int
    due: int
    done: int
    pace: int
    finish: int | None


class Unmet(msgspec.Struct, frozen=True, kw_only=True):
    """An overdue milestone as evidence: for how many days, and what it lacks."""

    stage: str
    milestone: str
    days: int
    all_of: list[Progress]
    any_of: list[Progress]
    contact: str | None = None
    channel: str | None = None
