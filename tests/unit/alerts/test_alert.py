"""One alert an account, whatever is repeated; it ends with its last reason."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.alerts.core.alert import FORGOTTEN_KEPT, Outcome, Position, fold, may_go, obey
from shared.contracts.alerts import Alert, AlertState, Command, CommandKind
from shared.contracts.health import Attributes
from shared.contracts.risk import Change, Severity, Transition
from tests.support.risk import T0, transition

MINUTE = 60_000


def at(offset: int, topic: str = "risk") -> Position:
    return Position(topic=topic, partition=0, offset=offset)


def folded(transitions: Sequence[Transition], alert: Alert | None = None, start: int = 0) -> Alert:
    for offset, one in enumerate(transitions, start):
        alert = fold(alert, one, position=at(offset)).alert
    assert alert is not None
    return alert


def ack(alert: Alert) -> Command:
    return Command(id="c", kind=CommandKind.ACK, alert=alert.id, account=alert.account, by="Dana", at=T0)


def test_an_opening_makes_an_alert_named_after_its_episode() -> None:
    one = transition()
    result = fold(None, one, position=at(7))
    assert result.outcome is Outcome.OPENED
    assert result.alert is not None
    assert (result.alert.id, result.alert.state, result.alert.positions) == (one.episode, "open", {"risk/0": 7})


def test_a_second_episode_joins_and_the_strongest_comes_first() -> None:
    alert = folded([transition(), transition(rule="failed_payment", severity=Severity.CRITICAL, opened_at=T0 + 1)])
    assert [reason.rule for reason in alert.reasons] == ["failed_payment", "silence"]
    assert (alert.id, alert.severity) == (transition().episode, Severity.CRITICAL)


def test_it_ends_with_its_last_reason_and_as_that_one_ended() -> None:
    both = folded([transition(), transition(rule="usage_drop")])
    one_left = folded([transition(Change.RESOLVED, at=T0 + 1)], both, 2)
    assert (one_left.state, [r.rule for r in one_left.reasons]) == (AlertState.OPEN, ["usage_drop"])
    over = folded([transition(Change.WITHDRAWN, rule="usage_drop", at=T0 + 2)], one_left, 3)
    assert (over.state, over.reasons, over.ended_at) == (AlertState.WITHDRAWN, [], T0 + 2)
    assert [reason.rule for reason in over.ended] == ["silence", "usage_drop"]


def test_an_end_without_evidence_leaves_what_was_said_readable() -> None:
    over = folded([transition(), transition(Change.RESOLVED, at=T0 + 1, evidence=[], playbook=None)])
    assert over.ended[0].evidence == transition().evidence
    assert over.ended[0].playbook == "silence"


def test_a_position_it_contains_changes_nothing() -> None:
    alert = replace(folded([transition(opened_at=T0 + 1)]), positions={"risk/0": 9})
    later = transition(opened_at=T0 + 2)
    result = fold(alert, later, position=at(9))
    assert (result.outcome, result.alert) == (Outcome.REPEATED, alert)
    assert fold(alert, later, position=at(10)).outcome is not Outcome.REPEATED


def test_what_a_rebuild_writes_again_is_a_repetition_however_old() -> None:
    # heard:  |-- 300 episodes of one account, three a tick, opened and resolved --|-- one open --|
    # again:  all of it
    rules = ("silence", "usage_drop", "detractor")
    log = [
        transition(change, rule=rule, opened_at=T0 + 2 * n * MINUTE, at=T0 + (2 * n + later) * MINUTE)
        for n in range(100)
        for later, change in enumerate((Change.OPENED, Change.RESOLVED))
        for rule in rules
    ]
    log.append(transition(opened_at=T0 + 200 * MINUTE))
    alert = folded(log)
    assert len(alert.forgotten) == FORGOTTEN_KEPT
    for offset, one in enumerate(log, len(log)):
        result = fold(alert, one, position=at(offset))
        assert (result.outcome, result.alert) == (Outcome.REPEATED, alert)


def test_an_episode_that_ends_in_the_tick_in_which_another_opens_is_not_opened_again() -> None:
    opened, end, other = transition(), transition(Change.RESOLVED, at=T0 + 1), transition(rule="x", opened_at=T0 + 1)
    alert = folded([opened, end, other])
    assert (alert.id, [reason.rule for reason in alert.reasons]) == (other.episode, ["x"])
    for one in (opened, end, other):
        assert fold(alert, one, position=at(9)).outcome is Outcome.REPEATED


def test_a_new_episode_after_the_end_is_a_new_alert() -> None:
    alert = folded([transition(), transition(Change.RESOLVED, at=T0 + 1), transition(opened_at=T0 + 2)])
    assert (alert.id, alert.state) == (transition(opened_at=T0 + 2).episode, AlertState.OPEN)
    assert alert.forgotten == [transition().episode]


def test_the_end_of_an_episode_never_heard_of_tells_nobody() -> None:
    result = fold(None, transition(Change.RESOLVED), position=at(0))
    assert (result.alert, result.outcome) == (None, Outcome.NOT_OPEN)


def test_an_acknowledgement_holds_for_its_own_alert_only() -> None:
    alert = folded([transition()])
    done = obey(alert, ack(alert), position=at(0, "commands"))
    assert done.alert is not None
    assert (done.outcome, done.alert.state, done.alert.acknowledged_by) == (
        Outcome.ACKNOWLEDGED,
        "acknowledged",
        "Dana",
    )
    again = obey(done.alert, ack(alert), position=at(1, "commands"))
    assert (again.outcome, again.alert) == (Outcome.REPEATED, done.alert)
    for refused in (replace(ack(alert), alert="ep_other"), replace(ack(alert), kind=CommandKind.SNOOZE)):
        assert obey(alert, refused, position=at(0, "commands")).alert == alert
    assert obey(None, ack(alert), position=at(0, "commands")).outcome is Outcome.NOT_OPEN


def test_a_milestone_somebody_says_is_reached_is_told_once_while_the_alert_is_open() -> None:
    alert = folded([transition()])
    said = Command(
        id="h_1", kind=CommandKind.MILESTONE, alert=alert.id, account="acme", by="Dana", at=T0, milestone="live"
    )
    first = obey(alert, said, position=at(1, "commands"))
    assert first.alert is not None
    assert (first.outcome, first.alert.revision) == (Outcome.ASSERTED, alert.revision + 1)
    assert [(word.milestone, word.by) for word in first.alert.words] == [("live", "Dana")]
    again = obey(first.alert, replace(said, by="Ken"), position=at(2, "commands"))
    assert again.alert is not None
    assert (again.outcome, again.alert.words) == (Outcome.REPEATED, first.alert.words)
    over = folded([transition(Change.RESOLVED, at=T0 + 1)], first.alert, 3)
    assert obey(over, replace(said, milestone="other"), position=at(4, "commands")).outcome is Outcome.NOT_OPEN
    assert obey(alert, replace(said, alert="ep_other"), position=at(5, "commands")).outcome is Outcome.NOT_OPEN


def test_an_acknowledged_alert_still_worsens_and_ends() -> None:
    alert = obey(folded([transition()]), ack(folded([transition()])), position=at(0, "commands")).alert
    worse = folded([transition(Change.WORSENED, severity=Severity.CRITICAL, at=T0 + 1)], alert, 1)
    assert (worse.state, worse.severity) == (AlertState.ACKNOWLEDGED, Severity.CRITICAL)
    assert folded([transition(Change.RESOLVED, at=T0 + 2)], worse, 2).state is AlertState.RESOLVED


RULES = ("silence", "usage_drop", "detractor")


@st.composite
def logs(draw: st.DrawFn) -> list[Transition]:
    """Draw what a scorer may write about one account: rules open, change and end, often several in one tick."""
    opened: dict[str, int] = {}
    log = []
    moment, done = T0, set[str]()
    for _ in range(draw(st.integers(1, 14))):
        rule = draw(st.sampled_from(RULES))
        if rule in done or draw(st.booleans()):
            moment, done = moment + MINUTE, set()
        done.add(rule)
        if rule not in opened:
            opened[rule] = moment
            log.append(transition(rule=rule, opened_at=moment))
            continue
        change = draw(st.sampled_from([Change.WORSENED, Change.EASED, Change.RESOLVED, Change.WITHDRAWN]))
        severity = Severity.CRITICAL if change is Change.WORSENED else Severity.AT_RISK
        log.append(transition(change, rule=rule, opened_at=opened[rule], at=moment, severity=severity))
        if change in {Change.RESOLVED, Change.WITHDRAWN}:
            del opened[rule]
    return log


def without_positions(alert: Alert) -> Alert:
    return replace(alert, positions={})


@settings(max_examples=40, deadline=None)
@given(log=logs(), data=st.data())
def test_what_a_scorer_writes_again_after_a_crash_changes_nothing(log: list[Transition], data: st.DataObject) -> None:
    again = list(log)
    for _ in range(data.draw(st.integers(1, 3))):  # it crashed here, and began again there
        end = data.draw(st.integers(1, len(again)))
        start = data.draw(st.integers(0, end - 1))
        again[end:end] = again[start:end]
    assert without_positions(folded(again)) == without_positions(folded(log))


@settings(max_examples=25, deadline=None)
@given(log=logs(), data=st.data())
def test_what_is_read_again_from_kafka_changes_nothing(log: list[Transition], data: st.DataObject) -> None:
    once = folded(log)
    start = data.draw(st.integers(0, len(log)))
    assert folded(log[start:], once, start) == once


@settings(max_examples=25, deadline=None)
@given(openings=st.permutations([transition(rule=rule) for rule in RULES]))
def test_openings_of_one_tick_in_any_order_are_one_alert_with_the_same_reasons(openings: list[Transition]) -> None:
    alert = folded([*openings, *openings])
    assert [reason.rule for reason in alert.reasons] == sorted(RULES)
    assert alert.revision == len(RULES)


def test_an_erased_account_takes_its_name_out_of_the_alert_and_a_later_one_stays() -> None:
    alert = folded([transition()])
    erase = Command(id="e", kind=CommandKind.ERASE, alert="", account="acme", by="churnwatch erase", at=T0)
    found = obey(alert, erase, position=at(0, "commands"))
    assert found.outcome is Outcome.ERASED
    assert found.alert is not None
    assert (found.alert.attributes, found.alert.contributions, found.alert.erased) == (Attributes(), [], True)
    assert obey(found.alert, erase, position=at(1, "commands")).outcome is Outcome.REPEATED
    later = replace(erase, at=T0 - 1)
    assert obey(alert, later, position=at(0, "commands")).outcome is Outcome.NOT_OPEN
    assert obey(None, erase, position=at(0, "commands")).outcome is Outcome.NOT_OPEN


def test_an_erased_alert_goes_when_it_is_over_and_nothing_before_it_can_be_read_again() -> None:
    alert = replace(folded([transition(), transition(Change.EXPIRED, at=T0 + 1)]), erased=True)
    read = {"risk/0": 2}
    assert may_go(alert, read)
    assert not may_go(alert, {"risk/0": 1})
    assert not may_go(alert, {})
    assert not may_go(replace(alert, erased=False), read)
    assert not may_go(replace(alert, earlier=[alert]), read)
    assert not may_go(replace(folded([transition()]), erased=True), read)
