"""The right people are told: routes, owners, and what has no route or no owner."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from services.alerts.core.alert import Position, fold
from services.alerts.core.people import People
from services.alerts.core.routing import (
    ChannelName,
    Destination,
    Match,
    Note,
    Receiver,
    Route,
    Routes,
    Why,
    decide,
    stage_targets,
    unknown,
)
from services.alerts.core.routing import faults as faults_of
from services.alerts.core.stage import Asked, Journey
from services.alerts.core.stage import faults_of as stage_faults
from shared.contracts.alerts import Alert
from shared.contracts.health import Attributes
from shared.contracts.journey import Unmet
from shared.contracts.risk import Change, Evidence, ReceiverClass, Severity
from tests.support.risk import CONFIG, OWNER, T0, routes, transition


def alert(**changed: object) -> Alert:
    opened = fold(None, transition(**changed), position=Position(topic="r", partition=0, offset=0)).alert  # type: ignore[arg-type]
    assert opened is not None
    return opened


def told(one: Alert, tree: Route) -> list[str]:
    receivers = {name: Receiver(slack=[f"#{name}"]) for name in "abcd"}
    return [d.target[1:] for d in decide(one, routes(receivers=receivers, route=tree), now=T0).destinations]


AFTER = Position(topic="r", partition=0, offset=2)
ENTERPRISE_OWNED = Attributes(owner=OWNER, segment="enterprise")
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


CONTACT, CHANNEL = "eve@example.com", "#onboarding"
SLACK, MAIL = ChannelName.SLACK, ChannelName.MAIL
SHIPPED = msgspec.yaml.decode((CONFIG / "routes.yaml").read_bytes(), type=Routes)


def overdue(contact: str | None = CONTACT, channel: str | None = CHANNEL, **others: object) -> Alert:
    unmet = Unmet(stage="onboarding", milestone="live", days=1, all_of=[], any_of=[], contact=contact, channel=channel)
    evidence = [Evidence(feature="milestones_overdue", value=1, unmet=[unmet])]
    return alert(rule="milestone_overdue", evidence=evidence, **others)


def shipped(one: Alert, stand_ins: Mapping[str, str] = MappingProxyType({})) -> set[tuple[str, str, Note | None]]:
    decision = decide(one, SHIPPED, now=T0, stand_ins=stand_ins)
    assert len({(d.channel, d.target) for d in decision.destinations}) == len(decision.destinations)
    return {(d.channel, d.target, d.note) for d in decision.destinations}


OWNERS = {(SLACK, f"@{OWNER}", None), (MAIL, f"@{OWNER}", None)}
CONTACTS = {(SLACK, f"@{CONTACT}", None), (MAIL, f"@{CONTACT}", None)}
CHANNELS = {(SLACK, CHANNEL, None)}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (overdue(), CONTACTS | CHANNELS),
        (overdue(channel=None), CONTACTS),
        (overdue(contact=None), OWNERS | CHANNELS),
        (overdue(contact=None, channel=None), OWNERS),
        (overdue(contact=OWNER.upper(), channel=None), OWNERS),
        (overdue(contact="Eve", channel="@ceo@example.com"), OWNERS),
        (overdue(attributes=Attributes()), CONTACTS | CHANNELS),
        (overdue(contact=None, attributes=Attributes()), {*CHANNELS, (SLACK, "#churn-alerts", Note.NO_OWNER)}),
    ],
    ids=["both", "contact", "channel", "nobody", "owner", "unusable", "no_owner", "no_one"],
)
def test_an_overdue_milestone_goes_to_whom_its_stage_names_and_else_to_the_owner(
    one: Alert, expected: set[tuple[str, str, Note | None]]
) -> None:
    assert shipped(one) == expected


def test_with_another_reason_beside_it_the_owner_is_told_as_well() -> None:
    position = Position(topic="r", partition=0, offset=1)
    both = fold(overdue(), transition(), position=position).alert
    assert both is not None
    assert shipped(both) == OWNERS | CONTACTS | CHANNELS
    worse = transition(rule="failed_payment", severity=Severity.CRITICAL, attributes=ENTERPRISE_OWNED)
    worst = fold(overdue(), worse, position=position).alert
    assert worst is not None
    assert shipped(worst) == OWNERS | CONTACTS | CHANNELS | {(SLACK, "#churn-alerts", None)}
    left = fold(both, transition(Change.RESOLVED, rule="milestone_overdue", at=T0 + 1), position=AFTER).alert
    assert left is not None
    assert shipped(left) == OWNERS


def test_who_stands_in_for_a_contact_is_told_once_and_why() -> None:
    stand_ins = {CONTACT: "kim@example.com", OWNER: "kim@example.com"}
    away = {(SLACK, "@kim@example.com", Note.CONTACT_AWAY), (MAIL, "@kim@example.com", Note.CONTACT_AWAY)}
    assert shipped(overdue(channel=None), stand_ins) == away
    both = fold(overdue(channel=None), transition(), position=AFTER).alert
    assert both is not None
    assert shipped(both, stand_ins) == {(channel, target, Note.AWAY) for channel, target, _ in away}


def test_an_unknown_person_is_told_from_an_unknown_owner() -> None:
    assert unknown(overdue(), f"@{CONTACT}") is Note.UNKNOWN_CONTACT
    assert unknown(overdue(), f"@{OWNER}") is Note.UNKNOWN_OWNER
    assert unknown(overdue(contact=OWNER), f"@{OWNER}") is Note.UNKNOWN_OWNER


def test_whom_a_stage_names_must_be_reachable_where_routes_send_alerts_there() -> None:
    journey = Journey(
        stages=[
            Asked(contact=CONTACT, channel=CHANNEL),
            Asked(contact="eve@elsewhere.test", channel="C0123ABCD"),
            Asked(contact="Eve", channel="onboarding"),
            Asked(),
        ]
    )
    targets = stage_targets(SHIPPED)
    people = People(domains=["example.com"])
    faults = [*stage_faults(journey, targets=targets, is_staff=people.is_staff)]
    assert [fault.key for fault in faults] == [
        ("stages", 1, "contact"),
        ("stages", 2, "contact"),
        ("stages", 2, "channel"),
    ]
    assert list(stage_faults(journey, targets=stage_targets(routes()), is_staff=people.is_staff)) == []


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
