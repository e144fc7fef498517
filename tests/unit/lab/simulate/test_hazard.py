"""The true hazard is what docs/simulating.md says, and customers leave as often as it says."""

import re
from collections import defaultdict
from collections.abc import Iterable
from math import exp, prod, sqrt

import pytest

from lab.simulate.places import date_of
from lab.simulate.population import SEGMENTS, Population, population_of
from lab.simulate.run import write
from lab.simulate.stories import COURSES, NEVER, Story
from lab.simulate.truth import AtRisk, Began, Churned, Truth, truths_in
from lab.simulate.vendor import Vendor
from tests.support.simulated import number, rows_of

VENDOR = Vendor(accounts=2500, days=120, seed=21, user_events_a_day=0.0001)
SURE = 3.3
"""Standard deviations: a right hazard fails one time in a thousand, and seeds are fixed."""

STORIES = {cells[0].strip("`"): cells for cells in rows_of("story")}
HAZARD = {cells[0]: number(cells[1]) for cells in rows_of("parameter")}


@pytest.fixture(scope="module")
def truths(tmp_path_factory: pytest.TempPathFactory) -> list[Truth]:
    out, truth = (tmp_path_factory.mktemp("vendor") / name for name in ("events", "truth"))
    write(VENDOR, out=out, truth=truth)
    return list(truths_in(truth))


@pytest.fixture(scope="module")
def risks(truths: list[Truth]) -> list[AtRisk]:
    return [truth for truth in truths if isinstance(truth, AtRisk)]


@pytest.fixture(scope="module")
def left(truths: list[Truth]) -> dict[str, str]:
    return {truth.account: truth.day for truth in truths if isinstance(truth, Churned)}


@pytest.fixture(scope="module")
def population() -> Population:
    return population_of(VENDOR)


def deviations(told: Iterable[tuple[float, bool]], *, times: float = 1.0) -> float:
    """Return how many standard deviations more happened than a probability told, or `times` as much, says."""
    pairs = [(times * chance, happened) for chance, happened in told]
    spread = sqrt(sum(chance * (1 - chance) for chance, _ in pairs))
    return sum(happened - chance for chance, happened in pairs) / spread


def test_the_page_has_the_numbers_of_the_code() -> None:
    assert list(STORIES) == [story.name.lower() for story in Story]
    for story, (_, begins, lasts, effect, _) in zip(Story, STORIES.values(), strict=True):
        course = COURSES[story]
        assert course.rate == (number(begins) if "a day" in begins else 0.0)
        days = [int(text) for text in re.findall(r"\d+", lasts)]
        assert course.lasts == (days[0], days[-1])
        assert course.effect == number(effect)


def test_customers_leave_as_often_as_the_hazard_says(risks: list[AtRisk], left: dict[str, str]) -> None:
    told = [(risk.hazard, left.get(risk.account) == risk.day) for risk in risks]
    assert len(left) > 200
    assert abs(deviations(told)) < SURE
    assert deviations(told, times=1.5) < -SURE, "a hazard that is wrong by half would be found"


def test_so_they_do_in_each_segment_at_renewal_and_in_risk(
    risks: list[AtRisk], left: dict[str, str], population: Population
) -> None:
    groups: dict[object, list[tuple[float, bool]]] = defaultdict(list)
    segment = dict(zip(population.names, population.segment.tolist(), strict=True))
    for risk in risks:
        happened = (risk.hazard, left.get(risk.account) == risk.day)
        groups[SEGMENTS[segment[risk.account]]].append(happened)
        groups["much" if risk.hazard > 0.003 else "little"].append(happened)
    assert all(abs(deviations(told)) < SURE for told in groups.values())
    assert min(sum(happened for _, happened in told) for told in groups.values()) >= 10


@pytest.mark.parametrize("days", [30, 60, 90])
def test_within_each_horizon_as_many_leave_as_told(risks: list[AtRisk], left: dict[str, str], days: int) -> None:
    cut_off = VENDOR.date(25)
    told = [
        (getattr(risk, f"churn_{days}"), left.get(risk.account, "9") < VENDOR.date(25 + days))
        for risk in risks
        if risk.day == cut_off
    ]
    assert len(told) > 2000
    assert abs(deviations(told)) < SURE
    assert deviations(told, times=1.5) < -SURE


def test_the_chance_of_a_horizon_is_that_of_its_days(risks: list[AtRisk], left: dict[str, str]) -> None:
    hazards: dict[str, list[float]] = defaultdict(list)
    firsts: dict[str, AtRisk] = {}
    for risk in risks:
        hazards[risk.account].append(risk.hazard)
        firsts.setdefault(risk.account, risk)
    for account, first in firsts.items():
        for days, told in ((30, first.churn_30), (60, first.churn_60), (90, first.churn_90)):
            if account not in left and len(hazards[account]) >= days:
                assert told == pytest.approx(1 - prod(1 - hazard for hazard in hazards[account][:days]), abs=2e-6)


def test_the_hazard_is_that_of_the_page(truths: list[Truth], population: Population) -> None:
    """Compute it for every fourth from the page's numbers and the stories told, but where severity grows."""
    row = {name: n for n, name in enumerate(population.names)}
    joined = population.joined.tolist()
    day_of = {str(date_of(VENDOR.midnight(day))): day for day in range(VENDOR.days + 400)}
    running: dict[str, list[tuple[str, int]]] = defaultdict(list)
    checked = 0
    for truth in truths:
        if isinstance(truth, Began):
            running[truth.account].append((truth.story, NEVER if truth.until is None else day_of[truth.until]))
        elif isinstance(truth, AtRisk):
            day, n = day_of[truth.day], row[truth.account]
            stories = [story for story, until in running[truth.account] if until > day]
            if n % 4 or {"gradual_decline", "automation_rollout"} & set(stories):
                continue
            renews = day > joined[n] and (day - joined[n]) % 365 == 0
            rate = HAZARD[f"base `{SEGMENTS[population.segment[n]]}`"]
            rate *= exp(sum(number(STORIES[story][3]) for story in stories))
            rate *= HAZARD["renewal, on the day the contract ends" if renews else "renewal, else"]
            assert truth.hazard == pytest.approx(1 - exp(-rate), abs=1e-9)
            checked += len(stories) > 0
    assert checked > 5_000


def test_stories_begin_as_often_as_the_page_says(truths: list[Truth], risks: list[AtRisk]) -> None:
    """Count only days of accounts that could begin one: those in none of the first seven, or not in that one."""
    began: dict[str, int] = defaultdict(int)
    for truth in truths:
        if isinstance(truth, Began):
            began[truth.story] += 1
    for name, cells in STORIES.items():
        if "a day" in cells[1]:
            expected = number(cells[1]) * len(risks)
            # at most a quarter of the days are taken by other stories
            assert 0.7 * expected - 3 * sqrt(expected) < began[name] < expected + 3 * sqrt(expected), name
    for name, other in (("onboarding", "stalled_onboarding"), ("goal_met", "goal_missed")):
        shares = [number(STORIES[story][1].partition(",")[2]) for story in (name, other)]
        both = began[name] + began[other]
        assert sum(shares) == 1
        assert both > 300
        assert abs(began[name] - shares[0] * both) < SURE * sqrt(both * shares[0] * shares[1]), name
