"""Read the cases beside a configuration: what is known of an account, and what must come of it."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from services.scorer.calendars import YEARS, first_year_around
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.calendar import country_key
from services.scorer.core.feature_table import FEATURES, feature_called
from services.scorer.core.journey import Journey, Route, journey_faults, route_of
from shared.contracts.fault import Fault, Key, faults_of_shape
from shared.contracts.health import Band
from shared.contracts.journey import MilestoneState
from shared.contracts.risk import Severity
from shared.yaml_file import BadFiles, YamlFile, read_yaml

Value = int | bool | str | None
FACTS: Final[Mapping[str, type]] = {
    "segment": str,
    "stage": str,
    "stage_days": int,
    "trial": bool,
    "ended": bool,
    "country": str,
}
"""What may be given of an account beside features."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Hour = Annotated[int, msgspec.Meta(ge=0, le=23)]


class Habit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an account was active, week after week: these days at these hours (of its own day)."""

    days: Annotated[list[Day], msgspec.Meta(min_length=1)]
    hours: Annotated[list[Hour], msgspec.Meta(min_length=1)]
    weeks: Annotated[int, msgspec.Meta(ge=1, le=12)]


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account, and what is expected of it: of that only what stands there is compared.

    `given` are feature values and FACTS, on top of those of the case it is `like`, whose habit it has as well; what is
    not given is missing.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    like: str | None = None
    given: dict[str, Value] = {}
    habit: Habit | None = None
    until: date | None = None
    """The last day on which it lived by its habit: yesterday, unless it is said."""
    events: dict[str, Annotated[int, msgspec.Meta(ge=1, le=1000)]] = {}
    """By how many users what a journey names was done."""
    said: list[str] = []
    """The milestones somebody said are reached."""
    before: Band = Band.UNKNOWN
    """The band it had."""
    open: dict[str, Severity] = {}
    """The rules that were open, and how severe."""
    closed: dict[str, Annotated[int, msgspec.Meta(ge=1, le=365)]] = {}
    """The rules that were open and ended so many days ago: nothing was known of the account until then."""
    since: Annotated[int, msgspec.Meta(ge=0, le=365)] = 0
    """For how many days what is given was so."""
    scorecard: str | None = None
    stage: str | None = None
    health: float | None = None
    """Points, to the thousandth."""
    band: Band | None = None
    costs: list[str] | None = None
    """The measures that cost most, the worst first: as many as are listed."""
    rules: dict[str, Severity] | None = None
    """The rules that are open then, all of them, and how severe."""
    silent_after: float | None = None
    """Hours after its last activity from which on it counts as silent, to the hundredth."""
    silent_on: date | None = None
    """The day on which it begins to count as silent."""
    milestones: dict[str, MilestoneState] | None = None
    """The milestones of its stage, all of them, and whether each is met, open or overdue."""

    @property
    def expects(self) -> bool:
        """Whether anything is expected of it."""
        told = (self.scorecard, self.stage, self.health, self.band, self.costs, self.rules)
        more = (self.silent_after, self.silent_on, self.milestones)
        return any(one is not None for one in (*told, *more))


class Cases(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of cases; they may have a journey of their own instead of `config/journey.yaml`."""

    journey: Journey | None = None
    cases: list[Case]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """The cases of a file; `given` and `habits` are those of each with what it is like."""

    file: YamlFile
    cases: Sequence[Case]
    given: Sequence[Mapping[str, Value]]
    habits: Sequence[Habit | None]

    @property
    def year(self) -> int | None:
        """The year of its first date, None where it has none."""
        return next((case.until.year for case in self.cases if case.until is not None), None)

    def place(self, number: int, name: str) -> Key:
        """Return the key of a part of a case."""
        return ("cases", number, name)


def read_cases(folder: Path, *, bundle: CompiledBundle) -> list[CaseFile]:
    """Return the cases of every YAML file of a folder, none where it isn't there; raises BadFiles naming all faults."""
    found, faults = [], list[str]()
    for path in sorted(folder.glob("*.yaml")):
        try:
            found.append(_read(path, bundle=bundle))
        except BadFiles as bad:
            faults += bad.faults
    if faults:
        raise BadFiles(faults)
    return found


def _read(path: Path, *, bundle: CompiledBundle) -> CaseFile:
    file = read_yaml(path)
    faults = list(faults_of_shape(file.content, Cases))
    found = Cases(cases=[]) if faults else msgspec.convert(file.content, Cases)
    cases = found.cases
    faults += [Fault(key[1:], text) for key, text in journey_faults(found.journey or Journey())]
    faults += [fault for number, case in enumerate(cases) for fault in _faults(case, number, cases=cases)]
    route = bundle.route if found.journey is None else route_of(found.journey)
    faults += [
        Fault(("cases", number, *key), text)
        for number, case in enumerate(cases)
        for key, text in _unknown(case, bundle=bundle, route=route)
    ]
    if faults:
        raise BadFiles(file.in_words(faults))
    return CaseFile(file=file, cases=cases, given=_given(cases), habits=_habits(cases))


def _faults(case: Case, number: int, *, cases: Sequence[Case]) -> Iterator[Fault]:
    before = [other.name for other in cases[:number]]
    if case.name in before:
        yield Fault(("cases", number, "name"), f"{case.name!r} stands twice")
    if case.like is not None and case.like not in before:
        yield Fault(("cases", number, "like"), f"no case {case.like!r} stands above it")
    yield from _bad_days(case, number, cases=cases)
    for name, value in case.given.items():
        wanted = FACTS.get(name, int)
        if value is not None and type(value) is not wanted:
            yield Fault(("cases", number, "given", name), f"expected {wanted.__name__}, got {value!r}")


def _bad_days(case: Case, number: int, *, cases: Sequence[Case]) -> Iterator[Fault]:
    if case.until is None:
        return
    if _habits(cases)[number] is None:
        yield Fault(("cases", number, "until"), "is for a case with a habit, or like one that has it")
    first = first_year_around(next(other.until.year for other in cases if other.until is not None))
    if not first <= case.until.year < first + YEARS:
        years = f"{first}-{first + YEARS - 1}"
        yield Fault(("cases", number, "until"), f"the calendars of this file are those of {years}: take another file")


def _unknown(case: Case, *, bundle: CompiledBundle, route: Route) -> Iterator[tuple[Key, str]]:
    """Yield names that nothing has, of features, rules, measures, scorecards and in the journey, and their places."""
    for name in case.given:
        if name not in FACTS and feature_called(name) is None:
            close = difflib.get_close_matches(name, [*FEATURES, *FACTS], n=3)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            yield ("given", name), f"unknown feature {name!r}; {hint}docs/features.md lists them all"
    country = case.given.get("country")
    if country is not None and country_key(str(country)) not in bundle.calendars.country_keys:
        yield ("given", "country"), f"unknown country {country!r}: two letters of ISO 3166 are meant"
    measures = {measure.name for measure in bundle.measures}
    yield from (
        (("costs", n), f"no measure {name!r}") for n, name in enumerate(case.costs or ()) if name not in measures
    )
    for part in ("open", "closed", "rules"):
        names: Mapping[str, object] = getattr(case, part) or {}
        yield from (((part, name), f"no rule {name!r}") for name in names if name not in bundle.rule_names)
    if case.scorecard is not None and case.scorecard not in bundle.scorecard_names:
        yield ("scorecard",), f"no scorecard {case.scorecard!r}; there are {', '.join(bundle.scorecard_names)}"
    yield from (
        (("events", name), "no milestone needs it") for name in case.events if name not in route.events | route.by_user
    )
    said = enumerate(case.said)
    yield from ((("said", n), f"no milestone {name!r}") for n, name in said if name not in route.milestones)


def _given(cases: Sequence[Case]) -> list[Mapping[str, Value]]:
    found: dict[str, Mapping[str, Value]] = {}
    for case in cases:
        found[case.name] = {**found.get(case.like or "", {}), **case.given}
    return list(found.values())


def _habits(cases: Sequence[Case]) -> list[Habit | None]:
    found: dict[str, Habit | None] = {}
    for case in cases:
        found[case.name] = case.habit or found.get(case.like or "")
    return list(found.values())
