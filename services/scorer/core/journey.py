"""Say what `config/journey.yaml` holds: stages with their goals, and the milestones that must be met in each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from shared.contracts.fault import Fault

MOST_MILESTONES: Final = 64

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Need(_Strict, frozen=True, kw_only=True):
    """An event that must have come, done by so many different users; for one user it may come without any."""

    event: Text
    users: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


class Term(_Strict, frozen=True, kw_only=True):
    """How many days after the start of the stage, or of the account, a milestone is due."""

    days: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    of: Literal["stage", "account"] = "stage"


class Milestone(_Strict, frozen=True, kw_only=True):
    """What must be reached: all of `all_of` and one of `any_of`, or somebody says that it is.

    `asserted` tells one that has neither: only somebody's word reaches it.
    """

    name: Text
    all_of: list[Need] = []
    any_of: list[Need] = []
    asserted: bool = False
    within: Term | None = None


class Stage(_Strict, frozen=True, kw_only=True):
    """A lifecycle stage: what it is for, in words, who is asked about it and where, and its milestones."""

    name: Text
    goal: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    contact: Text | None = None
    channel: Text | None = None
    milestones: list[Milestone] = []


class Journey(_Strict, frozen=True, kw_only=True):
    """`config/journey.yaml`."""

    stages: list[Stage] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A journey as evaluation reads it: stages by name, and what must be kept of events to tell its milestones."""

    stages: Mapping[str, Stage]
    events: frozenset[str]
    """Events of which the first is kept."""
    by_user: frozenset[str]
    """Events of which each user's first is kept."""
    milestones: frozenset[str]
    """Milestones by name, which somebody may say are reached."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no milestone."""
        return not self.milestones


def route_of(journey: Journey) -> Route:
    """Return a journey without faults as evaluation reads it."""
    milestones = [milestone for stage in journey.stages for milestone in stage.milestones]
    needs = [need for milestone in milestones for need in (*milestone.all_of, *milestone.any_of)]
    return Route(
        stages={stage.name: stage for stage in journey.stages},
        events=frozenset(need.event for need in needs if need.users == 1),
        by_user=frozenset(need.event for need in needs if need.users > 1),
        milestones=frozenset(milestone.name for milestone in milestones),
    )


def journey_faults(journey: Journey) -> Iterator[Fault]:
    """Find what is wrong with a journey beyond its shape."""
    stages: set[str] = set()
    milestones: set[str] = set()
    for number, stage in enumerate(journey.stages):
        place = ("journey", "stages", number)
        if stage.name in stages:
            yield Fault((*place, "name"), f"stage {stage.name!r} stands twice")
        stages.add(stage.name)
        for inner, milestone in enumerate(stage.milestones):
            key = (*place, "milestones", inner)
            if len(milestones) == MOST_MILESTONES and milestone.name not in milestones:
                yield Fault(key, f"there are more than {MOST_MILESTONES} milestones")
                return
            if milestone.name in milestones:
                yield Fault((*key, "name"), f"milestone {milestone.name!r} stands twice: they are asserted by name")
            milestones.add(milestone.name)
            yield from _need_faults(milestone, key=key)


def _need_faults(milestone: Milestone, *, key: tuple[str | int, ...]) -> Iterator[Fault]:
    needs = {"all_of": milestone.all_of, "any_of": milestone.any_of}
    if milestone.asserted and any(needs.values()):
        yield Fault((*key, "asserted"), "is for milestones without events: one that has some may be asserted as well")
    if not milestone.asserted and not any(needs.values()):
        yield Fault(key, "nothing reaches it: it needs all_of, any_of, or `asserted: true` if only a person can tell")
    for name, some in needs.items():
        for number, need in enumerate(some):
            if need.event.startswith("\0"):
                yield Fault((*key, name, number), f"{need.event!r} begins with NUL, which no event's name may here")
