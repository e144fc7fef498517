"""Work out what docs/scoring.md §15 says of one account: where it stands in its journey, and what it lacks there."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from lab.oracle_features import History, day_of_date
from shared.contracts.events import Kind
from shared.contracts.journey import Journey, Milestone, MilestoneState, Progress, Unmet

Content = Mapping[str, Any]
NAMES = {Kind.LOGIN: "Signed In", Kind.OUTCOME: "Outcome Achieved"}


def needs_of(journey: Content) -> Iterator[Content]:
    """Yield what the milestones of a journey need."""
    for milestone in milestones_of(journey):
        yield from (*milestone.get("all_of", ()), *milestone.get("any_of", ()))


def milestones_of(journey: Content) -> list[Content]:
    return [milestone for stage in journey.get("stages", ()) for milestone in stage.get("milestones", ())]


def note_event(history: History, journey: Content, kind: str, name: str | None, *, user: Hashable, at: int) -> None:
    """Take an event of presence; `user` is whoever did it by hand, if anybody is named."""
    called = NAMES.get(Kind(kind)) if kind in NAMES else name
    for need in needs_of(journey):
        if called is None or need["event"] != called:
            continue
        if need.get("users", 1) == 1:
            history.first[called] = min(at, history.first.get(called, at))
        elif user:
            history.first_by[called, user] = min(at, history.first_by.get((called, user), at))


def note_word(history: History, journey: Content, name: str | None, *, at: int) -> None:
    """Take somebody's word that a milestone is reached."""
    if name is not None and name in [milestone["name"] for milestone in milestones_of(journey)]:
        history.said[name] = min(at, history.said.get(name, at))


def lifecycle(history: History, *, tenure: int | None, until_renewal: int | None, stages: Mapping[str, int]) -> str:
    """Return the lifecycle stage: the one told, else what it follows from (§7)."""
    told = history.value("stage")
    if told:
        return str(told)
    if history.value("trial"):
        return "trial"
    if tenure is None or tenure < stages.get("onboarding_days", 60):
        return "onboarding"
    in_time = until_renewal is not None and 0 <= until_renewal <= stages.get("renewal_days", 90)
    return "renewal" if in_time else "adoption"


class Standing:
    """An account in its journey at T; `stages` is that part of the scorecard."""

    def __init__(self, history: History, t: int, *, journey: Content | None, stages: Mapping[str, int]) -> None:
        self.history, self.t, self.day = history, t, history.day(t)
        self._stages = stages
        tenure = self.day - history.first_day + 1 if history.hours else None
        renewal = day_of_date(history.value("renewal_date"))
        until = None if renewal is None else renewal - self.day
        self.lifecycle = lifecycle(history, tenure=tenure, until_renewal=until, stages=stages)
        found = [stage for stage in (journey or {}).get("stages", ()) if stage["name"] == self.lifecycle]
        self.stage: Content | None = found[0] if found else None
        self.milestones: list[Content] = found[0].get("milestones", []) if found else []

    @property
    def account_start(self) -> int | None:
        history = self.history
        days = [history.first_day] if history.hours or history.earlier is not None else []
        days += [history.day(history.since)] if history.since is not None else []
        return min(days) if days else None

    @property
    def since(self) -> int | None:
        """Return the day on which the account came to its stage."""
        history = self.history
        if history.value("stage"):
            return history.day(history.stages[self.lifecycle])
        if self.lifecycle == "renewal":
            return (day_of_date(history.value("renewal_date")) or 0) - self._stages.get("renewal_days", 90)
        if self.lifecycle == "adoption":
            return history.first_day + self._stages.get("onboarding_days", 60)
        return self.account_start

    def features(self) -> dict[str, int]:
        if not self.milestones:
            return {}
        late = [self.day - self.due(m) for m in self.milestones if self.is_overdue(m)]
        met = sum(self.is_met(m) for m in self.milestones)
        found = {"milestones_overdue": len(late), "milestones_met": met * 1000 // len(self.milestones)}
        return {**found, **({"milestone_overdue_days": max(late)} if late else {})}

    def due(self, milestone: Content) -> int:
        """Return the last day in time of a milestone that has one, else a day that never comes."""
        term = milestone.get("within")
        start = None if term is None else self.account_start if term.get("of") == "account" else self.since
        return 10**9 if term is None or start is None else start + int(term["days"])

    def met_at(self, milestone: Content) -> int | None:
        times = [] if milestone["name"] not in self.history.said else [self.history.said[milestone["name"]]]
        all_of = [self._reached(need) for need in milestone.get("all_of", ())]
        any_of = [at for at in map(self._reached, milestone.get("any_of", ())) if at is not None]
        known = [at for at in all_of if at is not None]
        if (all_of or any_of) and known == all_of and (any_of or not milestone.get("any_of")):
            times.append(max([*known, *([min(any_of)] if any_of else [])]))
        return min(times) if times else None

    def is_met(self, milestone: Content) -> bool:
        at = self.met_at(milestone)
        return at is not None and at <= self.t

    def is_overdue(self, milestone: Content) -> bool:
        return not self.is_met(milestone) and self.day > self.due(milestone)

    def journey(self) -> Journey | None:
        if self.stage is None:
            return None
        return Journey(
            stage=self.stage["name"],
            goal=self.stage["goal"],
            contact=self.stage.get("contact"),
            channel=self.stage.get("channel"),
            since=self.since,
            milestones=[self._told(milestone) for milestone in self.milestones],
        )

    def unmet(self) -> list[Unmet]:
        stage = self.stage or {}
        return [
            Unmet(
                stage=stage["name"],
                milestone=milestone["name"],
                days=self.day - self.due(milestone),
                all_of=self._lacks(milestone.get("all_of", [])),
                any_of=self._lacks_one(milestone.get("any_of", [])),
                contact=stage.get("contact"),
                channel=stage.get("channel"),
            )
            for milestone in self.milestones
            if self.is_overdue(milestone)
        ]

    def _told(self, milestone: Content) -> Milestone:
        due, is_met = self.due(milestone), self.is_met(milestone)
        late = MilestoneState.OVERDUE if self.is_overdue(milestone) else MilestoneState.OPEN
        return Milestone(
            name=milestone["name"],
            state=MilestoneState.MET if is_met else late,
            met_at=self.met_at(milestone) if is_met else None,
            due=None if due == 10**9 else due,
            all_of=[] if is_met else self._lacks(milestone.get("all_of", [])),
            any_of=[] if is_met else self._lacks_one(milestone.get("any_of", [])),
        )

    def _firsts(self, need: Content) -> list[int]:
        history, event = self.history, need["event"]
        if need.get("users", 1) == 1:
            return [history.first[event]] if event in history.first else []
        return sorted(at for (name, _), at in history.first_by.items() if name == event)

    def _reached(self, need: Content) -> int | None:
        firsts, users = self._firsts(need), need.get("users", 1)
        return firsts[users - 1] if len(firsts) >= users else None

    def _lacks(self, needs: list[Content]) -> list[Progress]:
        lacks = []
        for need in needs:
            at, done = self._reached(need), sum(first <= self.t for first in self._firsts(need))
            if at is None or at > self.t:
                lacks.append(Progress(event=need["event"], users=need.get("users", 1), so_far=done))
        return lacks

    def _lacks_one(self, needs: list[Content]) -> list[Progress]:
        lacks = self._lacks(needs)
        return lacks if len(lacks) == len(needs) else []
