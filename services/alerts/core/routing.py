"""Decide whether an alert is told, where and why: a tree of routes over segment, severity, rule, receiver and owner."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from services.alerts.core.stage import STAGE_CHANNEL, STAGE_CONTACT, Asked, asked_by
from shared.contracts.alerts import Alert, Reason
from shared.contracts.fault import Fault, Key
from shared.contracts.risk import Change, ReceiverClass, Severity

OWNER: Final = "owner"
"""As a target: the owner of the account, whoever that is."""


class ChannelName(StrEnum):
    """A way to reach people."""

    SLACK = "slack"
    MAIL = "mail"


class Why(StrEnum):
    """Why an alert is told, or not."""

    ROUTED = "routed"
    STANDING = "standing"
    """Everything in it was true before judging began: nothing happened that deserves an interruption."""
    OBSERVED = "observed"
    """Everything is judged and only what is critical told, to see first how often alerts are right."""
    OPPORTUNITY = "opportunity"
    """Nothing in it is a risk, and no route asks for what may grow: it is for a list."""
    MUTED = "muted"
    """The route that matched has no receivers."""


class Note(StrEnum):
    """Why a message lies where it lies though no route asked for it; the reader is told."""

    NO_OWNER = "no_owner"
    UNKNOWN_OWNER = "unknown_owner"
    """The owner is nobody Slack, or the list of people, knows."""
    AWAY = "away"
    """The owner is on leave; this is their backup."""
    UNKNOWN_CONTACT = "unknown_contact"
    """The contact of the account's stage is nobody Slack, or the list of people, knows."""
    CONTACT_AWAY = "contact_away"
    """The contact of the account's stage is on leave; this is their backup."""
    UNREACHABLE = "unreachable"
    """The place it was meant for can't be reached."""


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an alert must be like; each list means one of, an absent one means any."""

    segment: list[str] | None = None
    severity: list[Severity] | None = None
    rule: list[str] | None = None
    only_rule: list[str] | None = None
    """It has no other rules but of these."""
    receiver: list[ReceiverClass] | None = None
    """Whose business one of its rules says it is."""
    owner: list[str] | None = None


class Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to tell: Slack channels (`#name` or id) and mail addresses.

    `owner` is the owner of the account; `stage_contact`, and in Slack `stage_channel`, whom the journey names for its
    stage.
    """

    slack: list[str] = []
    mail: list[str] = []


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"go_on": "continue"}):
    """A node: the first child that matches decides, and the ones after it too while `continue` is true."""

    receivers: list[str] | None = None
    """Names of receivers; absent means those of the parent, empty means nobody."""
    match: Match = Match()
    go_on: bool = False
    routes: list["Route"] = []


class Routes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `routes.yaml`."""

    receivers: dict[str, Receiver]
    route: Route
    default_channel: str
    """Slack channel for what can't reach its person."""
    default_mail: list[str] = []
    """Mail addresses for what can't reach Slack at all."""
    standing: Literal["hold", "tell"] = "hold"
    """What was so before judging began: in one list an owner, or each by itself."""
    mode: Literal["live", "observe"] = "live"
    """`observe`: only critical alerts are told, the others gathered in one list an owner and day."""
    observe_until: date | None = None
    """The last day of observing; without it until `mode` is changed."""
    incidents_channel: str = "#churn-ops"
    """Slack channel for the engineers: sources that fell silent."""

    def observes(self, now: int) -> bool:
        """Return whether only critical alerts are told at a moment (epoch ms)."""
        today = datetime.fromtimestamp(now / 1000, UTC).date()
        return self.mode == "observe" and (self.observe_until is None or today <= self.observe_until)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Destination:
    """One target over one channel; an owner stands as `@` and the mail address."""

    channel: ChannelName
    target: str
    note: Note | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether to tell, whom, why."""

    send: bool
    destinations: Sequence[Destination]
    why: Why


def decide(alert: Alert, routes: Routes, *, now: int, stand_ins: Mapping[str, str] = MappingProxyType({})) -> Decision:
    """Return where an alert goes at `now` (epoch ms). One told before is never held back later.

    `stand_ins` gives who is told for a person on leave, by lower-case address.
    """
    if not alert.deliveries and alert.severity is Severity.OPPORTUNITY and not _asks_for_growth(alert, routes.route):
        return Decision(send=False, destinations=(), why=Why.OPPORTUNITY)
    if routes.standing == "hold" and not alert.deliveries and all(map(_is_standing, _that_count(alert))):
        return Decision(send=False, destinations=(), why=Why.STANDING)
    if not alert.deliveries and alert.severity is not Severity.CRITICAL and routes.observes(now):
        return Decision(send=False, destinations=(), why=Why.OBSERVED)
    names = list(dict.fromkeys(_walk(alert, routes.route, inherited=[])))
    who = _Who(owner=alert.attributes.owner, asked=asked_by(alert), stand_ins=stand_ins)
    found = [d for name in names for d in _destinations(routes.receivers[name], who)]
    if any(_lacks_owner(routes.receivers[name], who) for name in names):
        found.append(Destination(channel=ChannelName.SLACK, target=routes.default_channel, note=Note.NO_OWNER))
    destinations = _once(found)
    why = Why.ROUTED if destinations else Why.MUTED
    return Decision(send=bool(destinations), destinations=destinations, why=why)


def unknown(alert: Alert, target: str) -> Note:
    """Return why something lies elsewhere when nobody knows the person it was meant for."""
    contact = asked_by(alert).contact
    is_contact = contact is not None and target == f"@{contact}" and contact != alert.attributes.owner
    return Note.UNKNOWN_CONTACT if is_contact else Note.UNKNOWN_OWNER


def stage_targets(routes: Routes) -> frozenset[str]:
    """Return which of `stage_contact` and `stage_channel` receivers name."""
    targets = {target for receiver in routes.receivers.values() for target in (*receiver.slack, *receiver.mail)}
    return frozenset({STAGE_CONTACT, STAGE_CHANNEL} & targets)


def _that_count(alert: Alert) -> Sequence[Reason]:
    """Return the reasons that decide who is told: beside a risk an opportunity has no say."""
    reasons = alert.reasons or alert.ended
    return [reason for reason in reasons if reason.severity is not Severity.OPPORTUNITY] or reasons


def _asks_for_growth(alert: Alert, route: Route) -> bool:
    """Return whether a route that fits an alert names growth."""
    fits = _matches(alert, route.match)
    named = ReceiverClass.GROWTH in (route.match.receiver or ())
    return fits and (named or any(_asks_for_growth(alert, child) for child in route.routes))


def _is_standing(reason: Reason) -> bool:
    """Return whether nothing happened since it was found: what got worse afterwards interrupts like anything else."""
    return reason.standing and reason.last_change is not Change.WORSENED


def faults(routes: Routes) -> Sequence[Fault]:
    """Return everything wrong with the routes that their types don't tell."""
    found = list(_route_faults(routes.route, routes.receivers, key=("route",)))
    if routes.route.match != Match():
        found.append(Fault(("route", "match"), "the root must match everything"))
    if routes.route.receivers is None:
        found.append(Fault(("route",), "the root needs receivers"))
    for name, receiver in routes.receivers.items():
        found += _mail_faults(receiver.mail, key=("receivers", name, "mail"))
    found += _mail_faults(routes.default_mail, key=("default_mail",))
    return found


def _mail_faults(addresses: Sequence[str], *, key: Key) -> Iterator[Fault]:
    for number, mail in enumerate(addresses):
        if mail not in {OWNER, STAGE_CONTACT} and mail.count("@") != 1:
            yield Fault((*key, number), f"{mail!r} is no mail address")


def _route_faults(route: Route, receivers: Mapping[str, Receiver], *, key: Key) -> Iterator[Fault]:
    for place, name in enumerate(route.receivers or []):
        if name not in receivers:
            yield Fault((*key, "receivers", place), f"unknown receiver {name!r}")
    for place, child in enumerate(route.routes):
        yield from _route_faults(child, receivers, key=(*key, "routes", place))


def _walk(alert: Alert, route: Route, *, inherited: Sequence[str]) -> Iterator[str]:
    own = inherited if route.receivers is None else route.receivers
    hit = False
    for child in route.routes:
        if not _matches(alert, child.match):
            continue
        hit = True
        yield from _walk(alert, child, inherited=own)
        if not child.go_on:
            return
    if not hit:
        yield from own


def _matches(alert: Alert, match: Match) -> bool:
    counted = _that_count(alert)
    rules = {reason.rule for reason in counted}
    receivers = {reason.receiver for reason in counted}
    return (
        (match.segment is None or alert.attributes.segment in match.segment)
        and (match.severity is None or alert.severity in match.severity)
        and (match.rule is None or not rules.isdisjoint(match.rule))
        and (match.only_rule is None or rules <= {*match.only_rule})
        and (match.receiver is None or not receivers.isdisjoint(match.receiver))
        and (match.owner is None or alert.attributes.owner in match.owner)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Who:
    """Who the persons are that receivers name by what they are to the account."""

    owner: str | None
    asked: Asked
    stand_ins: Mapping[str, str]

    def told(self, address: str, *, away: Note) -> tuple[str, Note | None]:
        """Return whom to tell for a person, and why if it is somebody else."""
        stand_in = self.stand_ins.get(address.lower())
        return (f"@{address}", None) if stand_in is None else (f"@{stand_in}", away)

    def of(self, target: str) -> tuple[str, Note | None] | None:
        """Return whom or what a target of a receiver means for this account, None if nobody."""
        contact, owner = self.asked.contact, self.owner
        if target == STAGE_CHANNEL:
            return None if self.asked.channel is None else (self.asked.channel, None)
        if target == STAGE_CONTACT and contact is not None and contact.lower() != (owner or "").lower():
            return self.told(contact, away=Note.CONTACT_AWAY)
        if target in {STAGE_CONTACT, OWNER}:
            return None if owner is None else self.told(owner, away=Note.AWAY)
        return target, None


def _destinations(receiver: Receiver, who: _Who) -> Iterator[Destination]:
    for channel, targets in ((ChannelName.SLACK, receiver.slack), (ChannelName.MAIL, receiver.mail)):
        for meant in filter(None, map(who.of, targets)):
            yield Destination(channel=channel, target=meant[0], note=meant[1])


def _once(found: Sequence[Destination]) -> Sequence[Destination]:
    """Return each target once, as it was found first."""
    first: dict[tuple[ChannelName, str], Destination] = {}
    for one in found:
        first.setdefault((one.channel, one.target), one)
    return [*first.values()]


def _lacks_owner(receiver: Receiver, who: _Who) -> bool:
    """Return whether a receiver would be the owner of an account that has none."""
    named = {OWNER} if who.asked.contact else {OWNER, STAGE_CONTACT}
    return who.owner is None and not named.isdisjoint((*receiver.slack, *receiver.mail))
