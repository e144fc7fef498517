"""An account that is used every workday, looked at on the evening of a Friday."""

from collections.abc import Mapping

import pytest

from lab.ahead.alone import Alone, alone
from lab.ahead.command import told
from lab.ahead.future import NOT_AT_RISK, fell, standing, turns
from lab.ahead.remedy import acts_of, remedies
from lab.trouble import Trouble
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from shared.contracts.health import Band
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, SEED, START, Configurations, Log, batches

FRIDAY = START + 53 * DAY + 18 * HOUR


def account_of(log: Log, name: str = "acme") -> Alone:
    state, known_at = Partition.empty(partition=0, partitions=1, seed=SEED), Configurations(log.contexts)
    for batch in batches(log.records, 0):
        step(state, batch, known_at=known_at)
    return alone(state, name, known=known_at(0, 0))


def used(*, until: int = FRIDAY, then: Mapping[str, Mapping[str, object]] | None = None) -> Log:
    """Return a log of three users who come every workday until a moment, and of what else is told on the last day."""
    log = Log()
    log.contexts = {0: bundles()[0]}
    for name in ("acme", "other"):
        log.event(name, "account", at=START, data={"seats": 4})
    for day in range(54):
        for hour in (9, 11, 15) if day % 7 < 5 else ():
            at = START + day * DAY + hour * HOUR
            if at < until:
                log.event("acme", "login", at=at, data={"user": f"u{hour}"})
                log.event("acme", "outcome", at=at + 1, data={"user": f"u{hour}"})
        log.tick(START + (day + 1) * DAY - 6 * HOUR)
    for kind, data in (then or {}).items():
        log.event("acme", kind, at=FRIDAY, data=data)
    log.tick(FRIDAY + 1)
    return log


def test_it_falls_when_its_silence_becomes_abnormal_and_a_log_in_then_brings_it_back() -> None:
    account = account_of(used())
    now = account.copy().now()
    there = account.copy()
    turn = next(turn for turn in turns(there, days=28) if turn.is_worse)
    assert (now.band, turn.now.at) == (Band.HEALTHY, now.silence_deadline)
    assert [episode.rule for episode in turn.now.episodes] == ["silence"]
    (remedy, *_) = remedies(there, acts_of(there.bundle, unused=there.unused()), wanted=standing(turn.before))
    assert [act.words for act in remedy.acts] == ["a log-in"]
    assert (remedy.at, remedy.back_at, remedy.health.episodes) == (turn.now.at, turn.now.at + 1, [])


def test_who_looks_ahead_changes_nothing() -> None:
    account = account_of(used())
    before = account.copy().now()
    first, second = (list(turns(account.copy(), days=28)) for _ in range(2))
    assert first == second
    assert account.copy().now() == before


def test_a_failed_payment_is_mended_by_an_invoice_paid_and_by_nothing_less() -> None:
    account = account_of(used(then={"billing": {"status": "payment_failed"}}))
    assert [episode.rule for episode in account.now().episodes] == ["failed_payment"]
    found = remedies(account, acts_of(account.bundle, unused=[]), wanted=NOT_AT_RISK)
    assert [[act.words for act in remedy.acts] for remedy in found] == [["an invoice paid"]]


def test_two_troubles_need_two_events() -> None:
    account = account_of(used(then={"billing": {"status": "payment_failed"}, "survey": {"kind": "nps", "score": 2}}))
    account.now()
    acts = [act for act in acts_of(account.bundle, unused=[]) if act.kind != "login"]
    found = remedies(account, acts, wanted=NOT_AT_RISK)
    assert [sorted(act.words for act in one.acts) for one in found] == [["an answer of 10 to NPS", "an invoice paid"]]


def test_a_drop_needs_many_events_and_none_of_those_named_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.ahead.remedy.MOST_TOGETHER", 1)
    account = account_of(used(until=FRIDAY - 32 * DAY))
    account.now()
    acts = [act for act in acts_of(account.bundle, unused=[]) if act.by_new_user or act.kind == "outcome"]
    (found,) = remedies(account, acts, wanted=NOT_AT_RISK)
    assert len(found.acts) > 1
    for n in range(len(found.acts)):
        fewer, there = [*found.acts[:n], *found.acts[n + 1 :]], account.copy()
        events = [act.record("acme", k, at=there.clock) for k, act in enumerate(fewer)]
        for health in (there.go_on(there.clock + 1, events=events), there.go_on(there.next_at)):
            assert health is not None
            assert fell(health, since=NOT_AT_RISK)


def test_it_is_told_in_words() -> None:
    account = account_of(used())
    said = list(told(account, at=FRIDAY + 2, days=9))
    assert said[0].startswith("acme: healthy, health ")
    assert said[0].endswith("on Fri 2026-04-24 18:00 UTC")
    assert said[1] == "if nothing happens:"
    assert any(line.endswith("silence opens") for line in said)
    assert [line for line in said if line.startswith("  a log-in: ")]
    assert list(told(account_of(used()), at=FRIDAY + 2, days=1))[1] == "if nothing happens it stays so for 1 days"


def test_an_account_nobody_knows_is_named() -> None:
    with pytest.raises(Trouble, match="no account 'globex'"):
        account_of(used(), "globex")


def test_an_account_without_evidence_has_a_future_but_no_remedy() -> None:
    said = list(told(account_of(used(), "other"), at=FRIDAY + 2, days=9))
    assert said == ["other: unknown on Fri 2026-04-24 18:00 UTC", "if nothing happens it stays so for 9 days"]
