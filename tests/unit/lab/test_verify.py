"""Verify names every account of which the live system says something else than the log, and since when."""

from dataclasses import replace

import msgspec
import pytest

from lab.live import Live
from lab.oracle import Result, run
from lab.verify import Difference, compared
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
    truth: Result, *, healths: dict[str, AccountHealth] | None = None, live: Live | None = None
) -> list[Difference]:
    held = truth.healths if healths is None else healths
    upto = max(health.offset for health in held.values())
    said = live or Live(transitions=truth.transitions, scores=truth.scores)
    return compared(truth, partition=0, upto=upto, healths=held, live=said)


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
