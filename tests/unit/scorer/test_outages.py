"""A source stops among five hundred accounts: nobody is told of its customers, the engineers are told once.

Fifty-eight accounts rest since Friday and come back on Wednesday at 9:30; by their own rhythm they are silent from
10:00 on. The last of them never comes back.

    8:30  work begins    9:30 |--- the source is out ---| 12:00   what was held back comes    12:30
"""

from functools import cache

import pytest

from shared.contracts.context import LONGEST_HOLD, GuardState
from shared.contracts.risk import INCOMPLETE
from tests.support.log import DAY, HOUR, MINUTE
from tests.support.outage import STOPPED, THE_DAY, World

STOPS, RETURNS, ENDS = 9 * HOUR + 30 * MINUTE, 12 * HOUR, 12 * HOUR + 30 * MINUTE
THREE, ONE = ("web", "app", "api"), ("web",)


@cache
def after_six_weeks(sources: tuple[str, ...]) -> World:
    world = World(sources=sources)
    world.work(range(42))
    assert (world.context.guards, world.transitions) == ([], []), "six weeks of nights and weekends are no outage"
    return world


def on_wednesday(sources: tuple[str, ...]) -> World:
    world = after_six_weeks(sources).copy()
    world.work(range(42, 44))
    return world


def web_is_out(source: str, name: str, at: int) -> bool:  # noqa: ARG001
    return source == "web" and THE_DAY + STOPS <= at < THE_DAY + RETURNS


@pytest.mark.parametrize("sources", [THREE, ONE])
def test_a_source_that_stops_for_two_hours_is_one_incident_and_no_alert(sources: tuple[str, ...]) -> None:
    world = on_wednesday(sources)
    world.work_the_day(until=ENDS, lost=web_is_out, are_late=True)
    held, over = world.context.guards
    assert (held.source, held.state, over.source, over.state) == (*("/sources/web", "held"), *("/sources/web", "over"))
    assert THE_DAY + STOPS < held.at < THE_DAY + STOPS + 5 * MINUTE
    (stopped,) = world.opened()
    assert stopped.account == STOPPED, "but the one who truly stopped"
    assert over.at <= stopped.at <= over.at + MINUTE, "told of at the next tick after the guard's end"
    assert INCOMPLETE not in {part.feature for part in stopped.evidence}


def test_without_a_guard_the_customers_of_that_source_were_alerts() -> None:
    world = on_wednesday(THREE)
    world.is_guarded = False
    world.work_the_day(until=RETURNS, lost=web_is_out, are_late=True)
    assert len(world.opened()) == 20


def test_an_event_name_lost_in_a_release_is_one_incident_and_no_alert() -> None:
    # those who come back do nothing but what is lost; the others go on with the rest of what they do
    world = after_six_weeks(THREE).copy()
    for day in (THE_DAY - 2 * DAY, THE_DAY - DAY):
        world.work_the_day(until=ENDS + HOUR, lost=lambda *_: False, day=day, step=10 * MINUTE)
    world.work_the_day(
        until=ENDS + 20 * MINUTE,
        lost=lambda source, name, at: web_is_out(source, name, at + 20 * MINUTE) and name == "Record Edited",
    )
    held, over = world.context.guards
    assert (held.source, held.event, held.state) == ("/sources/web", "Record Edited", "held")
    assert THE_DAY + STOPS - 20 * MINUTE < held.at < THE_DAY + STOPS + 10 * MINUTE
    assert (over.key, over.state) == (held.key, "over")
    (stopped,) = world.opened()
    assert stopped.account == STOPPED
    assert over.at <= stopped.at <= over.at + MINUTE


def test_a_hold_ends_after_four_hours_and_says_that_the_data_is_incomplete() -> None:
    world = on_wednesday(THREE)
    for until, step in ((STOPS + 5 * MINUTE, MINUTE), (STOPS + 5 * HOUR, 5 * MINUTE)):
        world.work_the_day(until=until, lost=lambda source, _, at: source == "web" and at >= THE_DAY + STOPS, step=step)
    (held,) = world.context.guards
    assert held.state is GuardState.HELD, "once: a hold that ended does not begin again while the source is out"
    opened = world.opened()
    assert len(opened) == 20
    for transition in opened:
        assert held.at + LONGEST_HOLD <= transition.at <= held.at + LONGEST_HOLD + 5 * MINUTE
        assert transition.evidence[-1].feature == INCOMPLETE
        assert transition.evidence[-1].value == transition.at - held.at
    world.work_the_day(until=STOPS + 5 * HOUR + 10 * MINUTE, lost=lambda *_: False)
    assert [guard.state for guard in world.context.guards] == ["held", "over"], "and it is back"
