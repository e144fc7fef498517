"""Milestones are met, open or overdue; a late proof withdraws the risk, reaching one late resolves it."""

from collections.abc import Mapping
from typing import Any

import pytest

from lab.oracle import Bundle
from shared.contracts.health import AccountHealth
from shared.contracts.journey import Milestone, MilestoneState, Progress
from shared.contracts.risk import Change
from tests.support.histories import shipped
from tests.support.log import DAY, HOUR, START, Log, Outcome, by_columns, by_oracle

SCORECARD, RULES = shipped()
SHARED = {"name": "shared", "all_of": [{"event": "Report Shared", "users": 3}], "within": {"days": 14}}
HELD = {"name": "held", "asserted": True, "within": {"days": 20}}


def log_of(*milestones: dict[str, Any], stage: str = "onboarding", scorecard: Mapping[str, Any] = SCORECARD) -> Log:
    """Return the log of a journey with one stage, and of an account known since the noon of START."""
    log = Log()
    journey = {"stages": [{"name": stage, "goal": "In use", "contact": "eve", "milestones": list(milestones)}]}
    log.contexts = {0: Bundle(version="b_1", scorecard=dict(scorecard), rules=RULES, journey=journey)}
    log.event("acme", "account", at=START + 12 * HOUR, data={"name": "Acme"})
    log.tick(START + 12 * HOUR)
    return log


def share(log: Log, *users: str, at: int, ts: int | None = None) -> None:
    for user in users:
        log.event("acme", "usage", at=at, ts=ts, data={"name": "Report Shared", "user": user})


def scored(log: Log, *days: int) -> Outcome:
    """Return what both programs make of a log that goes on to ticks at noon of these days."""
    for day in days:
        log.tick(START + day * DAY + 12 * HOUR)
    columns, oracle = (run(log.records, log.contexts) for run in (by_columns, by_oracle))
    assert columns == oracle
    return columns


def changes(outcome: Outcome) -> list[Change]:
    return [step.change for step in outcome.transitions if step.rule == "milestone_overdue"]


def milestone(health: AccountHealth) -> Milestone:
    assert health.journey is not None
    return health.journey.milestones[0]


def test_an_account_that_never_began_is_told_of_with_what_it_lacks() -> None:
    # day:  0 ........ 14 in time | 15 overdue
    outcome = scored(log_of(SHARED), 14, 15)
    _, in_time, late = outcome.healths
    assert (milestone(in_time).state, milestone(late).state) == (MilestoneState.OPEN, MilestoneState.OVERDUE)
    assert milestone(late).due == START // DAY + 14
    (opened,) = outcome.transitions
    (evidence,) = opened.evidence
    assert (opened.rule, opened.playbook, evidence.value) == ("milestone_overdue", "milestone-overdue", 1)
    assert evidence.unmet
    (unmet,) = evidence.unmet
    assert (unmet.stage, unmet.milestone, unmet.days, unmet.contact) == ("onboarding", "shared", 1, "eve")
    assert unmet.all_of == [Progress(event="Report Shared", users=3, so_far=0)]


def test_reached_in_time_nothing_is_said() -> None:
    log = log_of(SHARED)
    share(log, "u1", "u2", "u2", at=START + 3 * DAY)
    share(log, "u3", at=START + 14 * DAY + 20 * HOUR)
    outcome = scored(log, 15, 40)
    assert changes(outcome) == []
    assert milestone(outcome.healths[-1]).met_at == START + 14 * DAY + 20 * HOUR


def test_the_same_user_counts_once_and_nobody_not_at_all() -> None:
    log = log_of(SHARED)
    share(log, "u1", "u1", "u2", "", at=START + DAY)
    log.event("acme", "usage", at=START + DAY, data={"name": "Report Shared"})
    outcome = scored(log, 20)
    assert milestone(outcome.healths[-1]).all_of == [Progress(event="Report Shared", users=3, so_far=2)]


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        pytest.param(14 * DAY, Change.WITHDRAWN, id="it was done in time"),
        pytest.param(15 * DAY + 2 * HOUR, Change.WITHDRAWN, id="it was done before the alert"),
        pytest.param(15 * DAY + 13 * HOUR, Change.RESOLVED, id="it was done on the day of the alert, after it"),
        pytest.param(18 * DAY, Change.RESOLVED, id="it was done days later"),
    ],
)
def test_a_late_proof_withdraws_and_reaching_it_late_resolves(at: int, ends: Change) -> None:
    log = log_of(SHARED)
    log.tick(START + 15 * DAY + 12 * HOUR)
    share(log, "u1", "u2", "u3", at=START + at, ts=START + 18 * DAY)
    assert changes(scored(log, 18)) == [Change.OPENED, ends]


def test_another_stage_resolves_it_and_begins_its_own_terms() -> None:
    log = log_of(SHARED, stage="rollout")
    log.event("acme", "account", at=START + 10 * DAY + HOUR, data={"stage": "rollout"})
    log.event("acme", "account", at=START + 20 * DAY + HOUR, data={"stage": "rollout"})
    log.tick(START + 24 * DAY + 12 * HOUR)
    log.tick(START + 25 * DAY + 12 * HOUR)
    log.event("acme", "account", at=START + 26 * DAY + HOUR, data={"stage": "run"})
    outcome = scored(log, 26)
    assert changes(outcome) == [Change.OPENED, Change.RESOLVED]
    assert outcome.transitions[0].at == START + 25 * DAY + 12 * HOUR
    assert outcome.healths[-1].journey is None


def test_somebodys_word_reaches_a_milestone() -> None:
    log = log_of(HELD)
    log.tick(START + 21 * DAY + 12 * HOUR)
    log.event("acme", "milestone", at=START + 19 * DAY, ts=START + 22 * DAY, data={"name": "unheard of", "by": "eve"})
    log.tick(START + 22 * DAY + 12 * HOUR)
    log.event("acme", "milestone", at=START + 19 * DAY, ts=START + 23 * DAY, data={"name": "held", "by": "eve"})
    outcome = scored(log, 23)
    assert changes(outcome) == [Change.OPENED, Change.WITHDRAWN]


def test_automation_is_an_event_and_nobodys() -> None:
    needs = [{"event": "Sync"}, {"event": "Sync", "users": 2}]
    log = log_of({"name": "synced", "all_of": needs}, scorecard={**SCORECARD, "signals": {"automation": ["Sync"]}})
    for user in ("u1", "u2"):
        log.event("acme", "usage", at=START + DAY, data={"name": "Sync", "user": user})
    outcome = scored(log, 2)
    assert milestone(outcome.healths[-1]).all_of == [Progress(event="Sync", users=2, so_far=0)]


def test_what_is_told_of_the_past_counts_however_old() -> None:
    log = log_of({"name": "shared", "any_of": [{"event": "Report Shared"}]})
    for row, event in enumerate(("Report Shared", "Other")):
        at, row_of = START - 400 * DAY + row, ("i_1", row)
        log.event("acme", "usage", at=at, ts=START + DAY, data={"name": event}, imported=row_of)
    assert milestone(scored(log, 2).healths[-1]).met_at == START - 400 * DAY


def test_an_erased_user_is_counted_no_more_and_an_erased_account_begins_anew() -> None:
    log = log_of(SHARED)
    share(log, "u1", "u2", "u3", at=START + DAY)
    log.tick(START + 2 * DAY)
    log.event("acme", "erasure", at=START + 3 * DAY, data={"user": "u2"})
    log.tick(START + 4 * DAY)
    log.event("acme", "erasure", at=START + 5 * DAY)
    log.event("acme", "account", at=START + 6 * DAY + HOUR, data={"name": "Acme"})
    outcome = scored(log, 7)
    met, without, anew = (milestone(health) for health in outcome.healths[-3:])
    assert met.state is MilestoneState.MET
    assert without.all_of == [Progress(event="Report Shared", users=3, so_far=2)]
    assert (anew.all_of[0].so_far, anew.due) == (0, START // DAY + 6 + 14)
