"""What each delivery owes, and who is told instead when one fails."""

from typing import Any

from services.alerts.core.alert import Folded, Position, fold
from services.alerts.core.delivery import (
    delivered,
    missed,
    owes,
    owes_reply,
    plan,
    refused,
    replied,
    with_delivery,
    with_fallback,
)
from services.alerts.core.routing import Match, Note, Route, decide
from shared.contracts.alerts import Alert, Delivery, DeliveryState
from shared.contracts.risk import Change, ReceiverClass, Severity
from tests.support.risk import OWNER, T0, routes, transition


def planned(before: Alert | None, offset: int, *, told: Any = None, **changed: Any) -> Alert:
    result: Folded = fold(before, transition(**changed), position=Position(topic="r", partition=0, offset=offset))
    assert result.alert is not None
    return plan(before, result.alert, decide(result.alert, told or routes(), now=T0), outcome=result.outcome, now=T0)


def all_told(alert: Alert) -> Alert:
    for one in alert.deliveries:
        alert = with_delivery(alert, delivered(one, revision=one.revision, handle="h"))
    return alert


def of(alert: Alert, channel: str) -> Delivery:
    return next(one for one in alert.deliveries if one.channel == channel)


def test_an_opening_owes_every_destination_one_message() -> None:
    alert = planned(None, 0)
    assert [(d.channel, d.target, owes(d), owes_reply(d)) for d in alert.deliveries] == [
        ("slack", f"@{OWNER}", True, False),
        ("mail", f"@{OWNER}", True, False),
    ]
    assert not any(owes(d) for d in all_told(alert).deliveries)


def test_easing_edits_slack_and_mails_nobody() -> None:
    opened = all_told(planned(None, 0, severity=Severity.CRITICAL))
    eased = planned(opened, 1, change=Change.EASED, at=T0 + 1)
    assert (owes(of(eased, "slack")), owes_reply(of(eased, "slack")), owes(of(eased, "mail"))) == (True, False, False)


def test_worsening_to_critical_edits_replies_and_mails() -> None:
    worse = planned(all_told(planned(None, 0)), 1, change=Change.WORSENED, severity=Severity.CRITICAL, at=T0 + 1)
    slack = of(worse, "slack")
    assert (owes(slack), owes_reply(slack), owes(of(worse, "mail"))) == (True, True, True)
    assert not owes_reply(of(worse, "mail"))  # or the same mail is sent twice
    after = replied(slack, revision=slack.reply_revision)
    assert (owes_reply(after), after.state) == (False, DeliveryState.INTENDED)


def test_a_risk_that_joins_an_opportunity_that_was_told_replies() -> None:
    growth: dict[str, Any] = {
        "severity": Severity.OPPORTUNITY,
        "receiver": ReceiverClass.GROWTH,
        "rule": "seats",
        "opened_at": T0 - 1,
    }
    asked = routes(route=Route(receivers=["owner"], routes=[Route(match=Match(receiver=[ReceiverClass.GROWTH]))]))
    opened = planned(None, 0, told=asked, **growth)
    assert [d.channel for d in opened.deliveries] == ["slack", "mail"]
    assert owes_reply(of(planned(all_told(opened), 1, told=asked), "slack"))
    quiet = planned(None, 0, **growth)
    assert [d.channel for d in quiet.deliveries] == []
    assert [d.channel for d in planned(quiet, 1).deliveries] == ["slack", "mail"]


def test_worsening_before_the_first_message_arrived_needs_no_reply() -> None:
    worse = planned(planned(None, 0), 1, change=Change.WORSENED, severity=Severity.CRITICAL, at=T0 + 1)
    assert not owes_reply(of(worse, "slack"))


def test_an_uncertain_call_stays_uncertain_until_one_succeeds() -> None:
    slack = missed(of(planned(None, 0), "slack"), error="no answer", doubtful=True)
    assert missed(slack, error="down", doubtful=False).state is DeliveryState.UNKNOWN
    assert delivered(slack, revision=1, handle="C/1").state is DeliveryState.DELIVERED


def test_an_owner_unknown_to_slack_is_replaced_by_the_default_channel() -> None:
    alert = planned(None, 0)
    failed = refused(of(alert, "slack"), error="users_not_found")
    after = with_fallback(with_delivery(alert, failed), failed, routes=routes(), note=Note.UNKNOWN_OWNER, now=T0)
    assert [(d.target, d.note) for d in after.deliveries[2:]] == [("#churn-alerts", "unknown_owner")]
    again = with_fallback(after, failed, routes=routes(), note=Note.UNKNOWN_OWNER, now=T0)
    assert again == after


def test_a_mail_that_fails_matters_only_when_nothing_else_arrives() -> None:
    alert = planned(None, 0)
    failed = refused(of(alert, "mail"), error="smtp 550")
    assert with_fallback(alert, failed, routes=routes(), note=Note.UNREACHABLE, now=T0) == alert


def test_when_the_default_channel_fails_too_the_default_mail_is_told() -> None:
    told = routes(route=Route(receivers=["team"]))
    alert = planned(None, 0, told=told)
    for target in ("#team", "#churn-alerts"):
        failed = refused(next(d for d in alert.deliveries if d.target == target), error="invalid_auth")
        alert = with_fallback(with_delivery(alert, failed), failed, routes=told, note=Note.UNREACHABLE, now=T0)
    assert [d.target for d in alert.deliveries] == ["#team", "#churn-alerts", "lead@example.com"]


def test_an_ended_alert_gets_no_new_receivers_but_settles_with_the_old_ones() -> None:
    opened = all_told(planned(None, 0))
    over = planned(opened, 1, change=Change.RESOLVED, at=T0 + 1, told=routes(route=Route(receivers=["team"])))
    assert {d.target for d in over.deliveries} == {f"@{OWNER}"}
    assert all(owes(d) for d in over.deliveries)
