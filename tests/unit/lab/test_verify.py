"""Verify names every account of which the live system says something else than the log, and since when."""

from dataclasses import replace

import msgspec
import pytest

from lab.live import Live
from lab.oracle import Result, run
from lab.verify import WHOLE, Difference, Since, compared
from shared.contracts.health import AccountHealth
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, START, Log


@pytest.fixture(scope="module")
def truth() -> Result:
    log = Log()
    for number in range(40):
        log.event("acme", "login", at=START + number * DAY)
        log.event("beta", "login", at=START + number * DAY)
        log.tick(START + number * DAY + HOUR)
    log.event("acme", "billing", at=START + 40 * DAY, data={"status": "payment_failed"})
    log.tick(START + 40 * DAY + 1)
    return run(log.records, partition=0, partitions=1, contexts=bundles())


def found(
    truth: Result,
    *,
    healths: dict[str, AccountHealth] | None = None,
    live: Live | None = None,
    since: Since = WHOLE,
) -> list[Difference]:
    held = truth.healths if healths is None else healths
    upto = max(health.offset for health in held.values())
    said = live or Live(transitions=truth.transitions, scores=truth.scores)
    return compared(truth, partition=0, upto=upto, healths=held, live=said, since=since)


def test_a_system_that_says_what_the_log_says_differs_nowhere(truth: Result) -> None:
    assert found(truth) == []


def test_what_is_written_twice_is_no_difference(truth: Result) -> None:
    assert found(truth, live=Live(transitions=truth.transitions * 2, scores=truth.scores * 2)) == []


def test_another_health_is_named_with_its_fields(truth: Result) -> None:
    wrong = msgspec.structs.replace(truth.healths["beta"], health=1, active_days=0)
    (difference,) = found(truth, healths={**truth.healths, "beta": wrong})
    assert (difference.account, difference.at) == ("beta", wrong.at)
    assert difference.what == "health (health, active_days)"


def test_an_account_missing_in_redis_and_one_too_many_are_named(truth: Result) -> None:
    gamma = msgspec.structs.replace(truth.healths["beta"], account="gamma")
    differences = found(truth, healths={"acme": truth.healths["acme"], "gamma": gamma})
    assert [(d.account, d.what) for d in differences] == [
        ("beta", "health (redis has none)"),
        ("gamma", "health (of an account the log does not have)"),
    ]


def test_a_lost_transition_and_a_changed_score_are_named_with_the_first_tick(truth: Result) -> None:
    changed = [msgspec.structs.replace(s, health=5) if s.account == "beta" and s.health else s for s in truth.scores]
    differences = found(truth, live=replace(Live(transitions=[], scores=changed)))
    first = min(s.at for s in truth.scores if s.account == "beta" and s.health)
    assert [(d.account, d.what, d.at) for d in differences] == [
        ("beta", "a score", first),
        ("acme", "a transition", truth.transitions[0].at),
    ]


def test_from_a_snapshot_on_only_what_follows_it_is_compared(truth: Result) -> None:
    # the snapshot:  base b ..... acme stands at a, beta at b − 1
    evaluations = truth.evaluations[20:]
    base, stands = evaluations[0].offset, evaluations[5].offset
    later = Result(evaluations=[replace(one) for one in evaluations])
    for number, evaluation in enumerate(later.evaluations):
        if number <= 5:
            evaluation.healths = {"beta": evaluation.healths["beta"]}
            evaluation.scores = [score for score in evaluation.scores if score.account == "beta"]
    later.healths = truth.healths
    live = Live(transitions=truth.transitions, scores=truth.scores)
    since = Since(base=base, standing={"acme": stands, "quiet": 90})
    assert found(later, live=live, since=since) == []
    assert found(later, live=live, since=Since(base=base)) != []

    quiet = msgspec.structs.replace(truth.healths["beta"], account="quiet", offset=90)
    healths = {**truth.healths, "quiet": quiet}
    assert found(later, healths=healths, live=live, since=since) == []
    risen = {**healths, "quiet": msgspec.structs.replace(quiet, offset=91)}
    assert [d.account for d in found(later, healths=risen, live=live, since=since)] == ["quiet"]
    lost = Live(transitions=[], scores=truth.scores)
    assert [d.what for d in found(later, live=lost, since=since)] == ["a transition"]
