"""The right people are told: routes, owners, and what has no route or no owner."""

from typing import Any

import msgspec
import pytest

from services.alerts.core.alert import Position, fold
from services.alerts.core.routing import ChannelName, Destination, Match, Note, Receiver, Route, Routes, Why, decide
from services.alerts.core.routing import faults as faults_of
from shared.contracts.alerts import Alert
from shared.contracts.health import Attributes
from shared.contracts.risk import ReceiverClass, Severity
from tests.support.risk import OWNER, T0, routes, transition


def alert(**changed: object) -> Alert:
    opened = fold(None, transition(**changed), position=Position(topic="r", partition=0, offset=0)).alert  # type: ignore[arg-type]
    assert opened is not None
    return opened


def told(one: Alert, tree: Route) -> list[str]:
    receivers = {name: Receiver(slack=[f"#{name}"]) for name in "abcd"}
    return [d.target[1:] for d in decide(one, routes(receivers=receivers, route=tree), now=T0).destinations]


ENTERPRISE = Match(segment=["enterprise"])
SMB = Match(segment=["smb"])
CRITICAL = Match(severity=[Severity.CRITICAL])


def test_the_owner_gets_a_direct_message_and_a_mail() -> None:
    decision = decide(alert(), routes(), now=T0)
    assert (decision.send, decision.why) == (True, Why.ROUTED)
    assert list(decision.destinations) == [
        Destination(channel=ChannelName.SLACK, target=f"@{OWNER}"),
        Destination(channel=ChannelName.MAIL, target=f"@{OWNER}"),
    ]


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (Route(receivers=["a"], routes=[Route(match=ENTERPRISE, receivers=["b"])]), ["a"]),
        (Route(receivers=["a"], routes=[Route(match=SMB, receivers=["b"])]), ["b"]),
        (Route(receivers=["a"], routes=[Route(match=SMB, receivers=["b"]), Route(match=SMB, receivers=["c"])]), ["b"]),
        (
            Route(
                receivers=["a"],
                routes=[Route(match=SMB, receivers=["b"], go_on=True), Route(match=SMB, receivers=["c"])],
            ),
            ["b", "c"],
        ),
        (Route(receivers=["a"], routes=[Route(match=SMB, routes=[Route(match=CRITICAL, receivers=["d"])])]), ["a"]),
        (Route(receivers=["a"], routes=[Route(match=Match(rule=["silence"]), receivers=["c"])]), ["c"]),
        (Route(receivers=["a"], routes=[Route(match=Match(owner=[OWNER]), receivers=["d", "d"])]), ["d"]),
    ],
)
def test_the_first_route_that_matches_decides(tree: Route, expected: list[str]) -> None:
    assert told(alert(), tree) == expected


def test_without_an_owner_the_default_channel_is_told_why() -> None:
    decision = decide(alert(attributes=Attributes()), routes(), now=T0)
    assert list(decision.destinations) == [
        Destination(channel=ChannelName.SLACK, target="#churn-alerts", note=Note.NO_OWNER)
    ]


def test_what_was_so_before_judging_began_interrupts_nobody_unless_told_to() -> None:
    standing = alert(standing=True)
    assert decide(standing, routes(), now=T0).why is Why.STANDING
    assert decide(standing, routes(standing="tell"), now=T0).send


SEATS: dict[str, Any] = {"rule": "seats", "severity": Severity.OPPORTUNITY, "receiver": ReceiverClass.GROWTH}


def test_a_route_may_go_by_whose_business_a_rule_is() -> None:
    tree = Route(receivers=["a"], routes=[Route(match=Match(receiver=[ReceiverClass.SUPPORT]), receivers=["b"])])
    assert told(alert(receiver=ReceiverClass.SUPPORT), tree) == ["b"]
    assert told(alert(), tree) == ["a"]


def test_what_may_grow_interrupts_nobody_but_whom_a_route_asks_to() -> None:
    growth = Route(match=Match(receiver=[ReceiverClass.GROWTH]), receivers=["c"])
    decision = decide(alert(**SEATS), routes(), now=T0)
    assert (decision.send, decision.why) == (False, Why.OPPORTUNITY)
    assert told(alert(**SEATS), Route(receivers=["a"])) == []
    assert told(alert(**SEATS), Route(receivers=["a"], routes=[growth])) == ["c"]


def test_beside_a_risk_what_may_grow_has_no_say() -> None:
    growth = Route(match=Match(receiver=[ReceiverClass.GROWTH]), receivers=["c"])
    grown = alert(**SEATS, opened_at=T0 - 1)
    both = fold(grown, transition(), position=Position(topic="r", partition=0, offset=1)).alert
    assert both is not None
    assert (both.severity, [reason.rule for reason in both.reasons]) == (Severity.AT_RISK, ["silence", "seats"])
    assert told(both, Route(receivers=["a"], routes=[growth])) == ["a"]
    seats = transition(**SEATS, opened_at=T0 + 1)
    standing = fold(alert(standing=True), seats, position=Position(topic="r", partition=0, offset=1)).alert
    assert standing is not None
    assert decide(standing, routes(), now=T0).why is Why.STANDING


def test_a_route_without_receivers_is_silent() -> None:
    decision = decide(alert(), routes(route=Route(receivers=[])), now=T0)
    assert (decision.send, decision.why) == (False, Why.MUTED)


def test_every_fault_of_the_routes_is_named() -> None:
    bad = routes(
        receivers={"a": Receiver(mail=["nobody"])},
        route=Route(match=SMB, routes=[Route(receivers=["slak"], routes=[Route(receivers=["b"])])]),
    )
    assert list(map(str, faults_of(bad))) == [
        "route.routes[0].receivers[0]: unknown receiver 'slak'",
        "route.routes[0].routes[0].receivers[0]: unknown receiver 'b'",
        "route.match: the root must match everything",
        "route: the root needs receivers",
        "receivers.a.mail[0]: 'nobody' is no mail address",
    ]


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"receivers": {}, "route": {"recievers": []}, "default_channel": "#x"}, Routes)
