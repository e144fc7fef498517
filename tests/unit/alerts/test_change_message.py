"""A change is told to a person in the words of an alert, with what is due to weights beside it."""

import pytest

from services.alerts.core.change_message import line
from services.alerts.core.explain import Cause, MeasureChange, Presence


def change(measure: str, *, then: int | None, now: int | None, by: tuple[int, int], cause: Cause | None = None) -> str:
    presence = Presence.KEPT if cause is None else Presence.CAME if then is None else Presence.WENT
    by_value, by_weight = by
    return line(
        MeasureChange(
            dimension="d",
            measure=measure,
            presence=presence,
            cause=cause,
            change=by_value + by_weight,
            by_value=by_value,
            by_weight=by_weight,
            points_then=0,
            points_now=0,
            possible_then=0,
            possible_now=0,
            value_then=then,
            value_now=now,
        )
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (change("active_days_28", then=18, now=9, by=(-4200, 0)), "Active days in 28: 18, now 9 (−4.2)"),
        (
            change("usage_change", then=50, now=-340, by=(-5600, -3000)),
            "Usage against its own normal: +5 %, now −34 % (−8.6, of it −3.0 by its weight)",
        ),
        (change("seats_used", then=900, now=900, by=(0, -3750)), "Seats used: still 90 % (−3.7 by its weight)"),
        (change("payment_ok", then=1, now=0, by=(-6250, 99)), "Payments: in order, now failed (−6.1)"),
        (change("contract_ok", then=1, now=0, by=(-6250, 0)), "Contract: in force, now notice given (−6.2)"),
        (change("nps", then=None, now=3, by=(900, 0), cause=Cause.DATA), "NPS: 3, not known before (+0.9)"),
        (
            change("sentiment", then=None, now=80, by=(5700, 0)),
            "Relationship, as last judged: not known, now 80 (+5.7)",
        ),
        (
            change("outcomes_28", then=1200, now=None, by=(0, -900), cause=Cause.SCORECARD),
            "Outcomes in 28 days: 1,200, does not count since the scorecard changed (−0.9)",
        ),
        (change("of_tomorrow", then=-1, now=2, by=(0, 0)), "Of tomorrow: −1, now 2 (+0.0)"),
    ],
)
def test_a_line_says_what_moved_and_by_how_much(said: str, words: str) -> None:
    assert said == words
