"""An explanation sums exactly to the change it explains, and blames neither value nor weight for the other's part."""

from fractions import Fraction
from math import floor
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lab.oracle_health import contributions_of
from services.alerts.core.explain import Cause, Explanation, Presence, explain, moved_by_value
from shared.contracts.health import AccountHealth, Attributes, Band, Contribution

MEASURES = ("recency_days", "usage_change", "seats_used", "outcomes_28", "nps", "csat")
DIMENSIONS = ("engagement", "adoption", "voice")
VALUES = st.integers(-50, 250)


@st.composite
def scorecards(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a scorecard: some of the measures, in any order, each in any dimension."""
    dimensions: dict[str, Any] = {}
    for name in draw(st.permutations(MEASURES))[: draw(st.integers(1, len(MEASURES)))]:
        inside = dimensions.setdefault(
            draw(st.sampled_from(DIMENSIONS)), {"weight": draw(st.integers(1, 1000)), "measures": {}}
        )
        x = sorted(draw(st.sets(VALUES, min_size=1, max_size=4)))
        inside["measures"][name] = {
            "weight": draw(st.integers(1, 1000)),
            "missing": draw(st.sampled_from(("exclude", "neutral", "zero"))),
            "curve": [(point, draw(st.integers(0, 100))) for point in x],
        }
    return {"dimensions": dimensions}


FEATURES = st.dictionaries(st.sampled_from(MEASURES), VALUES)


def health(
    features: dict[str, int],
    scorecard: dict[str, Any] | None,
    *,
    bundle: str = "b_1",
    named: str = "default",
    stage: str = "adoption",
    **attributes: Any,
) -> AccountHealth:
    """Return a health as the oracle would have it; without a scorecard there was not enough evidence."""
    contributions = contributions_of(features, scorecard["dimensions"]) if scorecard else []
    return AccountHealth(
        account="acme",
        at=0,
        partition=0,
        offset=0,
        generation=1,
        bundle=bundle,
        health=sum(c.points for c in contributions) if contributions else None,
        band=Band.WATCH if contributions else Band.UNKNOWN,
        evidence_days=14 if scorecard else 3,
        evidence_needed=14,
        active_days=3,
        active_days_needed=3,
        last_activity=None,
        silence_deadline=None,
        contributions=contributions,
        episodes=[],
        attributes=Attributes(**attributes),
        scorecard=named,
        stage=stage,
    )


def assert_exact(found: Explanation, earlier: AccountHealth, later: AccountHealth) -> None:
    assert found.change == (later.health or 0) - (earlier.health or 0)
    assert found.by_value + found.by_weight == found.change
    assert sum(one.change for one in found.measures) == found.change
    assert sum(one.by_value for one in found.measures) == found.by_value
    for one in found.measures:
        assert one.change == one.by_value + one.by_weight == one.points_now - one.points_then
    measures = {c.measure for c in [*earlier.contributions, *later.contributions]}
    assert sorted(one.measure for one in found.measures) == sorted(measures)


@given(then=FEATURES, now=FEATURES, one=scorecards(), other=scorecards(), named=st.sampled_from(("default", "a", "b")))
def test_the_sum_is_exact_whatever_changed(
    then: dict[str, int], now: dict[str, int], one: dict[str, Any], other: dict[str, Any], named: str
) -> None:
    pairs = [
        (health(then, one), health(now, one)),
        (health(then, one), health(now, other, bundle="b_2", named=named)),
        (health(then, None), health(now, one)),
        (health(then, one), health(now, None)),
        (health(then, None), health(now, None)),
    ]
    for earlier, later in pairs:
        assert_exact(explain(earlier, later), earlier, later)


@given(then=FEATURES, now=FEATURES, card=scorecards())
def test_with_one_scorecard_a_value_that_stayed_moved_nothing(
    then: dict[str, int], now: dict[str, int], card: dict[str, Any]
) -> None:
    found = explain(health(then, card), health(now, card))
    for one in found.measures:
        stayed = one.measure in then and then[one.measure] == now.get(one.measure)
        if stayed:
            assert one.by_value == 0, one
        if one.presence is Presence.KEPT and one.possible_then == one.possible_now and not stayed:
            assert one.by_weight == 0 or abs(one.change) <= 4, one  # as much as rounding moves
        if one.presence is not Presence.KEPT:
            assert (one.cause, one.by_weight) == (Cause.DATA, 0)


@given(values=FEATURES, one=scorecards(), other=scorecards())
def test_with_another_scorecard_and_the_same_values_all_of_it_is_weight(
    values: dict[str, int], one: dict[str, Any], other: dict[str, Any]
) -> None:
    earlier, later = health(values, one), health(values, other, bundle="b_2")
    found = explain(earlier, later)
    if earlier.contributions and later.contributions:
        assert found.by_value == 0
        assert {m.cause for m in found.measures} <= {None, Cause.SCORECARD}


@given(then=FEATURES, now=FEATURES, one=scorecards(), other=scorecards())
def test_a_split_is_the_mean_of_both_orders_in_exact_fractions(
    then: dict[str, int], now: dict[str, int], one: dict[str, Any], other: dict[str, Any]
) -> None:
    """docs/scoring.md §13: first the value and then the weight, or the other way round; rounded down."""
    earlier, later = health(then, one), health(now, other, bundle="b_2")
    was, became = by_measure(earlier), by_measure(later)
    for measure in explain(earlier, later).measures:
        if measure.presence is Presence.KEPT and measure.value_then != measure.value_now:
            a, b = was[measure.measure], became[measure.measure]
            assert measure.by_value == (naive_split(a, b) if a.possible and b.possible else 0)


def naive_split(a: Contribution, b: Contribution) -> int:
    score_then, score_now = Fraction(a.points, a.possible), Fraction(b.points, b.possible)
    value_first = (score_now - score_then) * a.possible
    weight_first = (score_now - score_then) * b.possible
    return floor((value_first + weight_first) / 2)


def by_measure(health: AccountHealth) -> dict[str, Contribution]:
    return {c.measure: c for c in health.contributions}


CARD = {
    "dimensions": {
        "voice": {"weight": 1, "measures": {"nps": {"weight": 1, "missing": "neutral", "curve": [(0, 0), (10, 100)]}}},
        "engagement": {
            "weight": 1,
            "measures": {"recency_days": {"weight": 1, "missing": "exclude", "curve": [(0, 100), (10, 0)]}},
        },
    }
}


def test_a_missing_value_that_becomes_zero_is_told_from_one_that_stayed_zero() -> None:
    then, now = health({"recency_days": 0}, CARD), health({"recency_days": 0, "nps": 0}, CARD)
    nps, recency = sorted(explain(then, now).measures, key=lambda m: m.measure)
    assert (nps.value_then, nps.value_now, nps.by_value, nps.by_weight) == (None, 0, -25_000, 0)
    assert (recency.change, recency.by_value) == (0, 0)


def test_what_comes_takes_weight_from_the_others_and_each_is_named() -> None:
    then, now = health({"nps": 4}, CARD), health({"nps": 4, "recency_days": 0}, CARD)
    found = explain(then, now)
    assert [(m.measure, m.presence, m.cause, m.by_value, m.by_weight) for m in found.measures] == [
        ("recency_days", Presence.CAME, Cause.DATA, 50_000, 0),
        ("nps", Presence.KEPT, None, 0, -20_000),
    ]
    assert (found.change, found.by_value, found.by_weight) == (30_000, 50_000, -20_000)
    assert moved_by_value(found.measures, most=3) == ["recency_days"]


def test_why_a_measure_counts_in_one_of_them_only_is_named() -> None:
    values = {"nps": 4, "recency_days": 3}
    without: dict[str, Any] = {"dimensions": {"voice": CARD["dimensions"]["voice"]}}

    def cause(earlier: AccountHealth, later: AccountHealth) -> Cause | None:
        return next(m.cause for m in explain(earlier, later).measures if m.measure == "recency_days")

    full = health(values, CARD)
    assert cause(full, health({"nps": 4}, CARD)) is Cause.DATA
    assert cause(full, health(values, without, bundle="b_2")) is Cause.SCORECARD
    assert cause(health(values, without, stage="onboarding"), health(values, CARD, stage="live")) is Cause.STAGE
    assert cause(health(values, without, named="small"), full) is Cause.SCORECARD
    assert cause(health({}, None), full) is Cause.EVIDENCE
    assert cause(full, health(values, None, subscription="cancelled")) is Cause.ENDED
