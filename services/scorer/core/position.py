"""Say where accounts stand in their journey: what each milestone lacks, when it was met, until when it is in time.

docs/scoring.md §15 has the words. Milestones are columns, accounts rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.scorer.core.activity import NEVER, STAGES, Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import NO_DAY
from services.scorer.core.journey import Milestone, Need, Stage
from services.scorer.core.table import NONE, Flags, Ints
from shared.contracts import journey as told
from shared.contracts.journey import MilestoneState

SAID: Final = "\0"
"""Before the name of a milestone: the mark of somebody's word that it is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where accounts stand: `stage` is the place in `stages` (−1: the journey has none for it), `since` its first day.

    Of the milestones of all stages `own` says which are those of an account's stage, `met` and `overdue` which of these
    are so; `met_at` (epoch ms, NEVER) and `due` (last day in time, NONE without one) mean something for these alone.
    `reached` and `so_far` are times (epoch ms, NEVER) and numbers of users by need.
    """

    at: Ints
    day: Ints
    stages: Sequence[Stage]
    stage: Ints
    since: Ints
    milestones: Sequence[Milestone]
    own: Flags
    met: Flags
    overdue: Flags
    met_at: Ints
    due: Ints
    reached: dict[Need, Ints]
    so_far: dict[Need, Ints]

    def journey(self, where: int) -> told.Journey | None:
        """Return where one account stands, None where the journey has no stage for it."""
        if self.stage[where] < 0:
            return None
        stage = self.stages[self.stage[where]]
        return told.Journey(
            stage=stage.name,
            goal=stage.goal,
            contact=stage.contact,
            channel=stage.channel,
            since=_known(self.since[where]),
            milestones=[self._milestone(where, k) for k in np.flatnonzero(self.own[where]).tolist()],
        )

    def unmet(self, where: int) -> list[told.Unmet]:
        """Return the overdue milestones of one account with what they lack."""
        stage = self.stages[self.stage[where]]
        return [
            told.Unmet(
                stage=stage.name,
                milestone=self.milestones[k].name,
                days=int(self.day[where] - self.due[where, k]),
                all_of=self._lacks(self.milestones[k].all_of, where),
                any_of=self._lacks_one(self.milestones[k].any_of, where),
                contact=stage.contact,
                channel=stage.channel,
            )
            for k in np.flatnonzero(self.overdue[where]).tolist()
        ]

    def _milestone(self, where: int, k: int) -> told.Milestone:
        milestone, is_met = self.milestones[k], bool(self.met[where, k])
        late = MilestoneState.OVERDUE if self.overdue[where, k] else MilestoneState.OPEN
        return told.Milestone(
            name=milestone.name,
            state=MilestoneState.MET if is_met else late,
            met_at=int(self.met_at[where, k]) if is_met else None,
            due=_known(self.due[where, k]),
            all_of=[] if is_met else self._lacks(milestone.all_of, where),
            any_of=[] if is_met else self._lacks_one(milestone.any_of, where),
        )

    def _lacks(self, needs: Sequence[Need], where: int) -> list[told.Progress]:
        return [
            told.Progress(event=need.event, users=need.users, so_far=int(self.so_far[need][where]))
            for need in needs
            if self.reached[need][where] > self.at[where]
        ]

    def _lacks_one(self, needs: Sequence[Need], where: int) -> list[told.Progress]:
        lacks = self._lacks(needs, where)
        return lacks if len(lacks) == len(needs) else []


def position_of(
    at: Ints, *, day: Ints, rows: Ints, stage: Ints, activity: Activity, bundle: CompiledBundle
) -> Position:
    """Return where the accounts `rows` stand at the moments `at`, each on its `day` in its lifecycle `stage`."""
    stages = list(bundle.route.stages.values())
    milestones = [milestone for one in stages for milestone in one.milestones]
    place = _places(stage, stages=stages, activity=activity)
    since, begun = stage_starts(rows, stage=stage, activity=activity, bundle=bundle), account_starts(rows, activity)
    of_stage = np.array([k for k, one in enumerate(stages) for _ in one.milestones], np.int64)
    own = (place >= 0)[:, None] & (of_stage == place[:, None])
    firsts = _Firsts(rows, at=at, activity=activity, some=np.flatnonzero(own.any(axis=1)))
    needs = {need for milestone in milestones for need in (*milestone.all_of, *milestone.any_of)}
    reached = {need: firsts.reached(need.event, users=need.users) for need in needs}
    met_at = _columns([_met_at(milestone, reached=reached, firsts=firsts) for milestone in milestones], like=own)
    due = _columns([_due(milestone, since=since, begun=begun) for milestone in milestones], like=own)
    met = own & (met_at <= at[:, None])
    return Position(
        at=at,
        day=day,
        stages=stages,
        stage=place,
        since=since,
        milestones=milestones,
        own=own,
        met=met,
        overdue=own & ~met & (due != NONE) & (day[:, None] > due),
        met_at=met_at,
        due=due,
        reached=reached,
        so_far={need: firsts.so_far(need.event, users=need.users) for need in needs},
    )


def account_starts(rows: Ints, activity: Activity) -> Ints:
    """Return the first day on which anything is known of accounts, NONE where nothing is."""
    days = [activity.accounts[name][rows].astype(np.int64) for name in ("first_day", "fact_day")]
    first = np.minimum(*(np.where(one == NO_DAY, NEVER, one) for one in days))
    return np.where(first == NEVER, NONE, first)


def stage_starts(rows: Ints, *, stage: Ints, activity: Activity, bundle: CompiledBundle) -> Ints:
    """Return the day on which accounts came to their lifecycle stage, NONE where that can't be told."""
    columns, at = activity.accounts, bundle.scorecard.stages
    told_day, first, renewal = (
        columns[name][rows].astype(np.int64) for name in ("stage_day", "first_day", "renewal_day")
    )
    numbers = {name: number for number, name in enumerate(STAGES)}
    derived = np.select(
        [stage == numbers["renewal"], stage == numbers["adoption"]],
        [renewal - at.renewal_days, first + at.onboarding_days],
        default=account_starts(rows, activity),
    )
    return np.where(columns["stage"][rows] >= 0, told_day, derived)


class _Firsts:
    """When the journey's events came first, of accounts of which that is asked for: others never saw any."""

    def __init__(self, rows: Ints, *, at: Ints, activity: Activity, some: Ints) -> None:
        self._at = at
        where, marks = activity.rows_of(activity.marks, head="first_mark", accounts=rows[some])
        columns = activity.marks
        self._where, self._first = some[where], columns["first"][marks]
        self._event, self._nobodys = columns["event"][marks], columns["user"][marks] == 0
        self._names = activity.mark_names

    def reached(self, event: str, *, users: int) -> Ints:
        """Return when an event had been done by so many users (epoch ms), NEVER where it was not."""
        where, first = self._of(event, users=users)
        order = np.lexsort((first, where))
        where, first = where[order], first[order]
        is_last = np.arange(len(where)) - np.searchsorted(where, where) == users - 1
        reached = np.full(len(self._at), NEVER)
        reached[where[is_last]] = first[is_last]
        return reached

    def so_far(self, event: str, *, users: int) -> Ints:
        """Count the users who did it by now; for one user, whether it was done."""
        where, first = self._of(event, users=users)
        return np.bincount(where[first <= self._at[where]], minlength=len(self._at))

    def _of(self, event: str, *, users: int) -> tuple[Ints, Ints]:
        its = (self._event == self._names.find(event)) & (self._nobodys == (users == 1)) & (self._first != NEVER)
        return self._where[its], self._first[its]


def _places(stage: Ints, *, stages: Sequence[Stage], activity: Activity) -> Ints:
    place = np.full(len(stage), -1)
    for k, one in enumerate(stages):
        place[stage == activity.stages.find(one.name)] = k
    return place


def _columns(parts: Sequence[Ints], *, like: Flags) -> Ints:
    return np.stack(parts, axis=1) if parts else np.zeros(like.shape, np.int64)


def _met_at(milestone: Milestone, *, reached: dict[Need, Ints], firsts: _Firsts) -> Ints:
    said = firsts.reached(SAID + milestone.name, users=1)
    parts = [reached[need] for need in milestone.all_of]
    if milestone.any_of:
        parts.append(np.minimum.reduce([reached[need] for need in milestone.any_of]))
    met: Ints = np.minimum(said, np.maximum.reduce(parts)) if parts else said
    return met


def _due(milestone: Milestone, *, since: Ints, begun: Ints) -> Ints:
    if milestone.within is None:
        return np.full(len(since), NONE)
    start = since if milestone.within.of == "stage" else begun
    return np.where(start == NONE, NONE, start + milestone.within.days)


def _known(value: np.int64) -> int | None:
    return None if value == NONE else int(value)
