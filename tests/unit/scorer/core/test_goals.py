"""A goal has a pace and a projected finish; behind plan it is a risk, withdrawn when events come late."""

from lab.oracle import Bundle
from shared.contracts.health import AccountHealth
from shared.contracts.journey import Goal
from shared.contracts.risk import Change
from tests.support.histories import shipped
from tests.support.log import DAY, HOUR, START, Log, Outcome, by_columns, by_oracle

SCORECARD, RULES = shipped()
NOON = START + 12 * HOUR
END = "2026-04-30"
"""The 60th day from START, 2 March, on."""


def log_of(target: int, *, due: str = END, metric: str = "Outcome Achieved") -> Log:
    """Return the log of an account that logs in daily for 70 days and has a goal of so many outcomes from day 0 on."""
    log = Log()
    log.contexts = {0: Bundle(version="b_1", scorecard=SCORECARD, rules=RULES)}
    for day in range(70):
        log.event("acme", "login", at=NOON + (day - 70) * DAY, ts=NOON)
    goal = {"name": "Orders", "kind": "other", "target": 1000 * target, "due": due, "metric": metric}
    log.event("acme", "goal", at=NOON, data=goal)
    return log


def go_on(log: Log, *, to: int, outcomes: int, ts: int | None = None) -> None:
    """Append log-ins through the day `to`, and outcomes on the first days."""
    for day in range(to + 1):
        log.event("acme", "login", at=NOON + day * DAY, ts=ts)
    for n in range(outcomes):
        log.event("acme", "outcome", at=NOON + HOUR + n % 10 * DAY, ts=ts)


def scored(log: Log, *days: int) -> Outcome:
    for day in days:
        log.tick(NOON + day * DAY + 2 * HOUR)
    columns, oracle = (run(log.records, log.contexts) for run in (by_columns, by_oracle))
    assert columns == oracle
    return columns


def last_goal(outcome: Outcome) -> Goal | None:
    last: AccountHealth = outcome.healths[-1]
    return last.goal


def changes(outcome: Outcome) -> list[Change]:
    return [step.change for step in outcome.transitions if step.rule == "goal_behind_plan"]


def test_pace_and_finish_follow_from_what_is_done() -> None:
    # 60 days for 60 outcomes: 30 whole days are gone, 30 are needed by now and 20 done, so that it would take 90
    log = log_of(60)
    go_on(log, to=30, outcomes=20)
    goal = last_goal(scored(log, 30))
    begin = START // DAY
    assert goal == Goal(
        name="Orders",
        kind="other",
        metric="Outcome Achieved",
        target=60_000,
        since=begin,
        due=begin + 59,
        done=20_000,
        pace=666,
        finish=begin + 59 + 30,
    )


def test_behind_plan_is_a_risk_after_three_weeks_and_another_goal_ends_it() -> None:
    log = log_of(600)
    go_on(log, to=25, outcomes=20)
    log.tick(NOON + 20 * DAY + 2 * HOUR)
    log.tick(NOON + 21 * DAY + 2 * HOUR)
    log.event("acme", "goal", at=NOON + 22 * DAY, data={"name": "none"})
    outcome = scored(log, 22)
    assert changes(outcome) == [Change.OPENED, Change.RESOLVED]
    opened = outcome.transitions[0]
    assert (opened.at, opened.playbook) == (NOON + 21 * DAY + 2 * HOUR, "goal-behind-plan")
    assert [e.feature for e in opened.evidence] == ["goal_pace", "goal_behind_days", "goal_shortfall"]
    assert last_goal(outcome) is None


def test_of_few_events_few_are_missing_by_chance() -> None:
    # 8 outcomes in 60 days: none in 21 days is 2.08 standard deviations too few, one is 1.33
    for outcomes, expected in ((0, [Change.OPENED]), (1, [])):
        log = log_of(8)
        go_on(log, to=21, outcomes=outcomes)
        assert changes(scored(log, 21)) == expected


def test_outcomes_that_come_late_withdraw_it() -> None:
    log = log_of(60)
    go_on(log, to=22, outcomes=2)
    log.tick(NOON + 22 * DAY + 2 * HOUR)
    go_on(log, to=0, outcomes=40, ts=NOON + 23 * DAY)
    assert changes(scored(log, 23)) == [Change.OPENED, Change.WITHDRAWN]


def test_what_can_not_be_counted_is_no_goal() -> None:
    for log in (log_of(60, due="2026-06-02"), log_of(60, metric="Unheard Of"), log_of(0), log_of(60, due="2026-03-01")):
        go_on(log, to=25, outcomes=0)
        outcome = scored(log, 25)
        assert (last_goal(outcome), changes(outcome)) == (None, [])


def test_an_erased_account_has_no_goal() -> None:
    log = log_of(60)
    go_on(log, to=5, outcomes=5)
    log.tick(NOON + 5 * DAY + 2 * HOUR)
    log.event("acme", "erasure", at=NOON + 6 * DAY)
    log.event("acme", "login", at=NOON + 7 * DAY)
    assert last_goal(scored(log, 8)) is None
