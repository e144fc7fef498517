"""Fold transitions and commands into the one alert of an account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from shared.contracts.alerts import Alert, AlertState, Command, CommandKind, DeliveryState, Reason, Verdict, Word
from shared.contracts.health import Attributes
from shared.contracts.risk import ENDS, Change, Severity, Transition

FORGOTTEN_KEPT: Final = 64
"""An account doesn't end this many episodes in one tick: what lies before its last tick is known by its time."""
WORST_FIRST: Final = (Severity.CRITICAL, Severity.AT_RISK, Severity.OPPORTUNITY)
OPEN_STATES: Final = frozenset({AlertState.OPEN, AlertState.ACKNOWLEDGED})
_END_STATE: Final = {
    Change.RESOLVED: AlertState.RESOLVED,
    Change.WITHDRAWN: AlertState.WITHDRAWN,
    Change.EXPIRED: AlertState.EXPIRED,
}


class Outcome(StrEnum):
    """What a transition or command did."""

    OPENED = "opened"
    JOINED = "joined"
    """The account's open alert has one reason more."""
    CHANGED = "changed"
    LEFT = "left"
    """One reason ended, others stay."""
    ENDED = "ended"
    ACKNOWLEDGED = "acknowledged"
    JUDGED = "judged"
    """A person said whether it was right."""
    ASSERTED = "asserted"
    """A person said that a milestone is reached."""
    ERASED = "erased"
    """Its account is to be forgotten."""
    REPEATED = "repeated"
    """Nothing new: contained already."""
    NOT_OPEN = "not_open"
    """It speaks of an episode or alert that is not open here."""
    NOT_BUILT = "not_built"
    """A kind of command this version doesn't know what to do with."""


QUIET: Final = frozenset({Outcome.REPEATED, Outcome.NOT_OPEN, Outcome.NOT_BUILT})
"""Outcomes that leave the alert as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where in Kafka a transition or command lies."""

    topic: str
    partition: int
    offset: int

    @property
    def key(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """The alert afterwards, and what happened to it."""

    alert: Alert | None
    outcome: Outcome


def fold(alert: Alert | None, transition: Transition, *, position: Position) -> Folded:
    """Return the account's alert after a transition.

    Idempotent: by position, and by time and episode for a transition that the scorer wrote again, be it of months ago
    after a rebuild of its state. An account has one open alert; its id is the id of the episode that opened it, and it
    ends with its last reason.
    """
    if _contains(alert, position):
        return Folded(alert=alert, outcome=Outcome.REPEATED)
    if alert and _is_told(alert, transition):
        return Folded(alert=alert, outcome=Outcome.REPEATED)
    if alert and any(reason.episode == transition.episode for reason in alert.reasons):
        return _changed(_at(alert, position), transition)
    if transition.change in ENDS:
        return Folded(alert=alert, outcome=Outcome.NOT_OPEN)
    if alert and alert.state in OPEN_STATES:
        return _joined(_at(alert, position), transition)
    return _opened(alert, transition, position=position)


def withdraw(alert: Alert, withdrawal: Transition) -> Folded:
    """Return an alert without a reason that it has and the scorer knows nothing of, wherever in Kafka that was said."""
    return _changed(alert, withdrawal)


def obey(alert: Alert | None, command: Command, *, position: Position) -> Folded:
    """Return the account's alert after a command. A command for another alert than the open one changes nothing."""
    if _contains(alert, position):
        return Folded(alert=alert, outcome=Outcome.REPEATED)
    if command.kind is CommandKind.ERASE:
        return _erased(alert, command, position=position)
    if alert is None or alert.id != command.alert:
        return Folded(alert=alert, outcome=Outcome.NOT_OPEN)
    return _said(alert, command, position=position)


def _said(alert: Alert, command: Command, *, position: Position) -> Folded:
    """Return the alert after what a person said of it."""
    match command:
        case Command(kind=CommandKind.ACK):
            return _acknowledged(alert, command, position=position)
        case Command(kind=CommandKind.VERDICT, verdict=Verdict()):
            return _judged(_at(alert, position), command)
        case Command(kind=CommandKind.MILESTONE, milestone=str() as milestone):
            return _asserted(_at(alert, position), command, milestone=milestone)
    return Folded(alert=alert, outcome=Outcome.NOT_BUILT)


def _acknowledged(alert: Alert, command: Command, *, position: Position) -> Folded:
    if alert.state not in OPEN_STATES:
        return Folded(alert=alert, outcome=Outcome.NOT_OPEN)
    if alert.state is AlertState.ACKNOWLEDGED:
        return Folded(alert=alert, outcome=Outcome.REPEATED)
    acknowledged = replace(
        _at(alert, position),
        state=AlertState.ACKNOWLEDGED,
        acknowledged_by=command.by,
        acknowledged_at=command.at,
        revision=alert.revision + 1,
    )
    return Folded(alert=acknowledged, outcome=Outcome.ACKNOWLEDGED)


def _judged(alert: Alert, command: Command) -> Folded:
    """Return the alert with a person's verdict; the last one said holds, and it may come after the end."""
    if (alert.verdict, alert.verdict_by) == (command.verdict, command.by):
        return Folded(alert=alert, outcome=Outcome.REPEATED)
    judged = replace(
        alert, verdict=command.verdict, verdict_by=command.by, verdict_at=command.at, revision=alert.revision + 1
    )
    return Folded(alert=judged, outcome=Outcome.JUDGED)


def _asserted(alert: Alert, command: Command, *, milestone: str) -> Folded:
    """Return the alert with somebody's word; of one milestone the first counts, as it does for the account."""
    if alert.state not in OPEN_STATES:
        return Folded(alert=alert, outcome=Outcome.NOT_OPEN)
    if any(word.milestone == milestone for word in alert.words):
        return Folded(alert=alert, outcome=Outcome.REPEATED)
    word = Word(milestone=milestone, by=command.by, at=command.at)
    said = replace(alert, words=[*alert.words, word], revision=alert.revision + 1)
    return Folded(alert=said, outcome=Outcome.ASSERTED)


def _erased(alert: Alert | None, command: Command, *, position: Position) -> Folded:
    """Return the alert without what it knew of its account. One opened after the erasure stays as it is."""
    if alert is None or alert.opened_at > command.at:
        return Folded(alert=alert, outcome=Outcome.NOT_OPEN)
    if alert.erased:
        return Folded(alert=alert, outcome=Outcome.REPEATED)
    forgetting = replace(_at(alert, position), erased=True, attributes=Attributes(), contributions=[])
    earlier = [replace(old, attributes=Attributes(), contributions=[]) for old in alert.earlier]
    return Folded(alert=replace(forgetting, earlier=earlier), outcome=Outcome.ERASED)


def may_go(alert: Alert, committed: Mapping[str, int]) -> bool:
    """Return whether an erased alert has ended, was told, and can't be told anew by a replay.

    `committed` is the next offset that would be read after a crash, by `topic/partition`.
    """
    is_over = alert.state not in OPEN_STATES and not alert.earlier and not unsettled(alert)
    return alert.erased and is_over and all(offset < committed.get(key, 0) for key, offset in alert.positions.items())


def unsettled(alert: Alert) -> bool:
    """Return whether some delivery still has something to tell."""
    return any(
        delivery.state is not DeliveryState.FAILED
        and (delivery.delivered_revision < delivery.revision or delivery.replied_revision < delivery.reply_revision)
        for delivery in alert.deliveries
    )


def _contains(alert: Alert | None, position: Position) -> bool:
    return alert is not None and alert.positions.get(position.key, -1) >= position.offset


def _is_told(alert: Alert, transition: Transition) -> bool:
    """Return whether the alert contains the transition, or a later one of the account.

    The transitions of an account come tick by tick: one that is not later than the last one heard came before, unless
    it is another one of that same tick.
    """
    if transition.at < alert.changed_at:
        return True
    over = {*alert.forgotten, *(reason.episode for reason in alert.ended)}
    return transition.episode in over or any(
        reason.episode == transition.episode and transition.at <= reason.changed_at for reason in alert.reasons
    )


def _at(alert: Alert, position: Position) -> Alert:
    return replace(alert, positions={**alert.positions, position.key: position.offset})


def _opened(before: Alert | None, transition: Transition, *, position: Position) -> Folded:
    alert = Alert(
        id=transition.episode,
        account=transition.account,
        state=AlertState.OPEN,
        revision=1,
        severity=transition.severity,
        opened_at=transition.opened_at,
        changed_at=transition.at,
        ended_at=None,
        reasons=[_reason(transition)],
        ended=[],
        band=transition.band,
        health=transition.health,
        contributions=transition.contributions,
        attributes=transition.attributes,
        bundle=transition.bundle,
        deliveries=[],
        positions={**(before.positions if before else {}), position.key: position.offset},
        forgotten=_forgotten(before),
        earlier=_earlier(before),
    )
    return Folded(alert=alert, outcome=Outcome.OPENED)


def _forgotten(before: Alert | None) -> list[str]:
    if before is None:
        return []
    return [*before.forgotten, *(reason.episode for reason in before.ended)][-FORGOTTEN_KEPT:]


def _earlier(before: Alert | None) -> list[Alert]:
    if before is None:
        return []
    last = replace(before, earlier=[], forgotten=[], positions={})
    return [alert for alert in (*before.earlier, last) if unsettled(alert)]


def _joined(alert: Alert, transition: Transition) -> Folded:
    reasons = _strongest_first([*alert.reasons, _reason(transition)])
    return Folded(alert=_seen(alert, transition, reasons=reasons), outcome=Outcome.JOINED)


def _changed(alert: Alert, transition: Transition) -> Folded:
    changed = _reason(transition)
    others = [reason for reason in alert.reasons if reason.episode != transition.episode]
    if transition.change not in ENDS:
        reasons = _strongest_first([*others, changed])
        return Folded(alert=_seen(alert, transition, reasons=reasons), outcome=Outcome.CHANGED)
    # an end may come without evidence and playbook: what opened the reason stays readable
    was = next(reason for reason in alert.reasons if reason.episode == transition.episode)
    end = replace(was, last_change=transition.change, changed_at=transition.at)
    left = replace(_seen(alert, transition, reasons=others), ended=[*alert.ended, end])
    if others:
        return Folded(alert=left, outcome=Outcome.LEFT)
    over = replace(left, state=_END_STATE[transition.change], ended_at=transition.at, severity=alert.severity)
    return Folded(alert=over, outcome=Outcome.ENDED)


def _seen(alert: Alert, transition: Transition, *, reasons: list[Reason]) -> Alert:
    return replace(
        alert,
        revision=alert.revision + 1,
        reasons=reasons,
        severity=_worst(reasons),
        changed_at=max(alert.changed_at, transition.at),
        band=transition.band,
        health=transition.health,
        contributions=transition.contributions,
        attributes=transition.attributes,
        bundle=transition.bundle,
    )


def _reason(transition: Transition) -> Reason:
    return Reason(
        episode=transition.episode,
        rule=transition.rule,
        severity=transition.severity,
        opened_at=transition.opened_at,
        last_change=transition.change,
        changed_at=transition.at,
        standing=transition.standing,
        playbook=transition.playbook,
        evidence=transition.evidence,
        receiver=transition.receiver,
        precision_percent=transition.precision_percent,
    )


def _strongest_first(reasons: Sequence[Reason]) -> list[Reason]:
    return sorted(reasons, key=lambda r: (WORST_FIRST.index(r.severity), r.opened_at, r.rule))


def _worst(reasons: Sequence[Reason]) -> Severity:
    return min((reason.severity for reason in reasons), key=WORST_FIRST.index, default=Severity.AT_RISK)
