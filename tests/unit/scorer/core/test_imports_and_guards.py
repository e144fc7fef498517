"""Imported histories are quiet while they come and standing when they are over; a silent source's rules are held."""

from collections.abc import Sequence

import pytest

from shared.contracts.context import Guard, GuardState, Import, ImportState
from shared.contracts.events import source_of
from shared.contracts.risk import Change, Transition
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, MINUTE, START, Log, Outcome, by_columns, by_oracle

NOW = START + 60 * DAY
WEB = source_of("web")


def scored(log: Log) -> Outcome:
    """Return what both programs make of a log."""
    columns, oracle = (run(log.records, log.contexts) for run in (by_columns, by_oracle))
    assert columns == oracle
    return columns


def history(log: Log, *, job: str | None = "i_1", until: int = 40, source: str = "web", account: str = "acme") -> None:
    """Append 40 days of work every day from 9:00 on, all received now: silent for three weeks by then."""
    for row, number in enumerate(range(until)):
        at = START + number * DAY + 9 * HOUR
        imported = None if job is None else (job, row)
        log.event(account, "login", at=at, ts=NOW, data={"user": "u1"}, source=source, imported=imported, id=f"{row}")


def started(*, at: int = NOW, state: ImportState = ImportState.RUNNING, job: str = "i_1") -> Import:
    return Import(job=job, state=state, at=at)


def new_log(**entries: Import | Guard) -> Log:
    """Return a log whose context holds the shipped bundle at 0 and entries at the offsets `_1`, `_2` …, with a tick."""
    log = Log()
    log.contexts = {0: bundles()[0], **{int(name[1:]): entry for name, entry in entries.items()}}
    log.tick(NOW - MINUTE, context=0)
    return log


def steps(outcome: Outcome, rule: str = "silence") -> Sequence[tuple[Change, int, bool]]:
    found: list[Transition] = [t for t in outcome.transitions if t.rule == rule]
    return [(t.change, t.at, t.standing) for t in found]


def test_rules_are_quiet_while_an_import_runs_and_what_is_so_at_its_end_is_standing() -> None:
    # rows |----------|  tick        tick: ended
    log = new_log(_1=started(), _2=started(state=ImportState.ENDED, at=NOW + 2 * MINUTE))
    history(log)
    log.tick(NOW + MINUTE, context=1)
    assert scored(log).healths == []
    log.tick(NOW + 3 * MINUTE, context=2)
    assert steps(scored(log)) == [(Change.OPENED, NOW + 3 * MINUTE, True)]


def test_what_happens_after_an_import_is_no_standing_risk() -> None:
    log = new_log(_1=started(), _2=started(state=ImportState.ENDED, at=NOW))
    history(log, until=59)
    log.tick(NOW + MINUTE, context=2)
    assert steps(scored(log)) == []
    log.tick(NOW + 20 * DAY, context=2)
    assert steps(scored(log)) == [(Change.OPENED, NOW + 20 * DAY, False)]


@pytest.mark.parametrize(("later", "is_judged"), [(10 * MINUTE - 1, False), (10 * MINUTE, True)])
def test_an_import_nothing_is_heard_of_for_ten_minutes_is_over(later: int, is_judged: bool) -> None:  # noqa: FBT001
    log = new_log(_1=started())
    history(log)
    log.tick(NOW + later, context=1)
    assert steps(scored(log)) == ([(Change.OPENED, NOW + later, True)] if is_judged else [])


def test_an_import_that_says_it_runs_still_runs() -> None:
    log = new_log(_1=started(), _2=started(at=NOW + 9 * MINUTE))
    history(log)
    log.tick(NOW + 15 * MINUTE, context=2)
    assert scored(log).healths == []


def test_an_import_nobody_announced_opens_standing_at_once() -> None:
    log = new_log()
    history(log)
    log.tick(NOW + MINUTE)
    assert steps(scored(log)) == [(Change.OPENED, NOW + MINUTE, True)]


def test_a_history_sent_again_years_later_changes_nothing() -> None:
    log = new_log(_1=started(), _2=started(state=ImportState.ENDED, at=NOW))
    history(log)
    log.tick(NOW + MINUTE, context=2)
    once = scored(log)
    history(log)
    log.tick(NOW + 2 * MINUTE, context=2)
    twice = scored(log)
    assert twice.counts["duplicate"] == 40
    assert (twice.healths, twice.transitions) == (once.healths, once.transitions)


def test_the_same_rows_of_another_job_count_again() -> None:
    log = new_log()
    history(log)
    history(log, job="i_2")
    assert scored(log).counts["applied"] == 80


def test_rows_before_every_window_only_say_since_when_an_account_is_known() -> None:
    log = new_log()
    log.event("acme", "login", at=NOW - 400 * DAY, ts=NOW, imported=("i_1", 0))
    history(log, job="i_2")
    log.tick(NOW + MINUTE)
    outcome = scored(log)
    assert "too_late" not in dict(outcome.dead).values()
    assert outcome.healths[0].active_days == 3  # as many as are asked for: the old one is none of them
    alone = new_log()
    alone.event("acme", "login", at=NOW - 400 * DAY, ts=NOW, imported=("i_1", 0))
    alone.tick(NOW + MINUTE)
    assert (scored(alone).healths[0].last_activity, scored(alone).healths[0].active_days) == (None, 0)


def test_an_imported_row_in_the_wrong_partition_is_no_orphan_for_another_one() -> None:
    log = new_log()
    history(log, until=1)
    for number in (0, 1):
        outcome = by_columns(log.records, log.contexts, partition=number, partitions=2)
        assert outcome == by_oracle(log.records, log.contexts, partition=number, partitions=2)
        assert outcome.moved == []
        assert set(dict(outcome.dead).values()) <= {"wrong_partition"}


def guard(state: GuardState, *, at: int, partitions: Sequence[int] = (0,)) -> Guard:
    return Guard(source=WEB, partitions=list(partitions), state=state, at=at)


DEADLINE_PASSED = NOW + 20 * DAY


def held(**entries: Import | Guard) -> Log:
    """Return the log of an account that worked through web and app until yesterday, and is judged healthy now."""
    log = new_log(**entries)
    history(log, job=None, until=60)
    history(log, job=None, until=60, source="app", account="b")
    log.tick(NOW + MINUTE)
    return log


def test_silence_is_held_while_the_source_is_and_judged_when_it_is_back() -> None:
    # last login     source falls silent   deadline      tick    source is back: tick
    log = held(
        _1=guard(GuardState.HELD, at=DEADLINE_PASSED - HOUR), _2=guard(GuardState.OVER, at=DEADLINE_PASSED + HOUR)
    )
    log.tick(DEADLINE_PASSED, context=1)
    accounts = [t.account for t in scored(log).transitions if t.rule == "silence"]
    assert accounts == ["b"], "only the account that the source does not feed is judged"
    log.tick(DEADLINE_PASSED + HOUR, context=2)
    assert (Change.OPENED, DEADLINE_PASSED + HOUR, False) in steps(scored(log))
    assert [t.account for t in scored(log).transitions if t.rule == "silence"] == ["b", "acme"]


def test_a_hold_ends_by_itself_after_four_hours() -> None:
    log = held(_1=guard(GuardState.HELD, at=DEADLINE_PASSED))
    for hours, accounts in ((4 * HOUR - 1, ["b"]), (4 * HOUR, ["b", "acme"])):
        log.tick(DEADLINE_PASSED + hours, context=1)
        assert [t.account for t in scored(log).transitions if t.rule == "silence"] == accounts


def test_a_guard_of_other_partitions_holds_nothing_here() -> None:
    log = held(_1=guard(GuardState.HELD, at=DEADLINE_PASSED, partitions=(1, 2)))
    log.tick(DEADLINE_PASSED, context=1)
    assert len(steps(scored(log))) == 2


def test_facts_are_judged_though_the_source_is_held() -> None:
    log = held(_1=guard(GuardState.HELD, at=NOW))
    log.event("acme", "billing", at=NOW + HOUR, data={"status": "payment_failed"})
    log.tick(NOW + 2 * HOUR, context=1)
    assert [change for change, *_ in steps(scored(log), "failed_payment")] == [Change.OPENED]


def test_an_account_that_ends_is_let_go_though_its_source_is_held() -> None:
    log = held(_1=guard(GuardState.HELD, at=DEADLINE_PASSED + DAY))
    log.tick(DEADLINE_PASSED)
    log.event("acme", "subscription", at=DEADLINE_PASSED + DAY, data={"status": "cancelled"})
    log.tick(DEADLINE_PASSED + DAY + MINUTE, context=1)
    ends = [(t.account, t.change) for t in scored(log).transitions if t.rule == "silence"]
    assert ("acme", Change.EXPIRED) in ends
