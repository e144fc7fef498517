"""A source stops in a night or at a weekend and does not begin again: one incident in the morning, and no alert.

Thursday, Friday     Saturday  Sunday     Monday
twenty rest          2:00 |--- the source is out, or from 2:00 here ---| 11:30 what was held back comes
                                          8:00 work begins    10:30 the twenty are silent by their own rhythm
"""

import pytest

from shared.contracts.context import GuardState, Import, ImportState
from tests.support.log import HOUR, MINUTE
from tests.support.office import STEP, STOPPED, Lost, Office, after_five_weeks, local

SATURDAY, MONDAY, TUESDAY = 40, 42, 43
RETURNS = local(MONDAY, 11.5)
IN_THE_NIGHT, AT_THE_WEEKEND = local(MONDAY, 2), local(SATURDAY, 2)


def out_from(stops: int, *, until: int = RETURNS) -> Lost:
    return lambda source, at: source == "web" and stops <= at < until


def on_monday(*, stops: int, apps: tuple[str, ...] = ("web",), is_guarded: bool = True) -> Office:
    office = after_five_weeks(apps, until=SATURDAY).copy()
    office.world.is_guarded = is_guarded
    for until, step in ((local(MONDAY, 7), HOUR), (local(MONDAY, 12.5), STEP)):
        live(office, until=until, step=step, stops=stops)
    return office


def live(office: Office, *, until: int, step: int, stops: int) -> None:
    office.work(until=until, step=step, rest=SATURDAY - 2, back=local(MONDAY, 9.5), lost=out_from(stops))


@pytest.mark.parametrize("stops", [IN_THE_NIGHT, AT_THE_WEEKEND], ids=["in the night", "at the weekend"])
def test_a_source_that_does_not_begin_again_is_one_incident_and_no_alert(stops: int) -> None:
    world = on_monday(stops=stops).world
    held, over = world.context.guards
    assert (held.source, held.state, over.source, over.state) == (*("/sources/web", "held"), *("/sources/web", "over"))
    assert local(MONDAY, 8) < held.at <= local(MONDAY, 9), "within an hour of the first ones' usual beginning"
    assert held.last_event is not None
    assert local(SATURDAY, -2) < held.last_event < local(SATURDAY, 0), "since the last owl of Friday"
    (stopped,) = world.opened(since=local(SATURDAY, 0))
    assert stopped.account == STOPPED, "but the one who truly stopped"
    assert over.at <= stopped.at <= over.at + STEP, "told of at the next tick after the guard's end"


def test_without_a_guard_those_who_rested_were_alerts() -> None:
    world = on_monday(stops=IN_THE_NIGHT, is_guarded=False).world
    assert len(world.opened(since=local(MONDAY, 0))) == 20


def test_the_accounts_of_another_source_are_judged_as_ever() -> None:
    world = on_monday(stops=IN_THE_NIGHT, apps=("web", "app")).world
    assert [(guard.source, guard.state) for guard in world.context.guards] == [
        ("/sources/web", GuardState.HELD),
        ("/sources/web", GuardState.OVER),
    ]
    held, over = (guard.at for guard in world.context.guards)
    (stopped,) = world.opened(since=local(MONDAY, 0))
    assert stopped.account == STOPPED, "it came through the app"
    assert held < stopped.at < over - 30 * MINUTE


@pytest.mark.parametrize("is_imported", [False, True])
def test_after_a_restart_it_is_told_a_day_later_unless_a_history_was_imported(*, is_imported: bool) -> None:
    office, lost = after_five_weeks(("web",), until=SATURDAY).copy(), out_from(AT_THE_WEEKEND, until=local(TUESDAY, 11))
    if is_imported:
        office.world.context.add(Import(job="i_1", state=ImportState.ENDED, at=local(SATURDAY, 0)))
    for until, step in ((local(SATURDAY, 12), HOUR), (local(TUESDAY, 8), 4 * HOUR), (local(TUESDAY, 11), HOUR)):
        office.work(until=until, step=step, rest=SATURDAY - 2, back=local(MONDAY, 9.5), lost=lost)
        office.world.restart()
    told = [guard.at for guard in office.world.context.guards]
    assert is_imported or len(told) == 1
    assert all(local(TUESDAY, 8) < at <= local(TUESDAY, 10) for at in told)
    assert bool(told) is not is_imported
