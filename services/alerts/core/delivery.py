"""Decide what each delivery of an alert owes its reader, and what the answer of a provider means for it."""

from typing import Final

from msgspec.structs import replace

from services.alerts.core.alert import OPEN_STATES, WORST_FIRST, Outcome, unsettled
from services.alerts.core.routing import ChannelName, Decision, Destination, Note, Routes
from shared.contracts.alerts import Alert, Delivery, DeliveryState

PATIENCE_MS: Final = 30 * 60_000
"""How long a delivery may fail before its fallback is told as well (reliability promise P10)."""


def plan(before: Alert | None, alert: Alert, decision: Decision, *, outcome: Outcome, now: int) -> Alert:
    """Return the alert with what every delivery owes at this revision; `now` is wall time in epoch ms.

    A Slack message owes every revision, a mail thread only what is worth a mail: opening, worsening, end. Worsening,
    to critical or from an opportunity to a risk, also owes a Slack reply, because an edit notifies nobody. Receivers
    once told stay told.
    """
    worsened = _worsened(before, alert)
    mail_worthy = worsened or outcome in {Outcome.OPENED, Outcome.ENDED}
    wanted = decision.destinations if alert.state in OPEN_STATES else ()
    known = {(delivery.channel, delivery.target) for delivery in alert.deliveries}
    kept = [
        # a mail is news by itself: a reply as well would be the same mail twice
        _owing(delivery, alert, now=now, reply=worsened and delivery.channel == ChannelName.SLACK)
        if delivery.channel == ChannelName.SLACK or mail_worthy
        else delivery
        for delivery in alert.deliveries
    ]
    added = [_new(d, alert, now=now) for d in wanted if (d.channel, d.target) not in known]
    return replace(alert, deliveries=[*kept, *added])


def owes(delivery: Delivery) -> bool:
    """Return whether the delivery's own message is behind."""
    return delivery.state is not DeliveryState.FAILED and delivery.delivered_revision < delivery.revision


def owes_reply(delivery: Delivery) -> bool:
    """Return whether a thread reply is due."""
    return delivery.state is not DeliveryState.FAILED and delivery.replied_revision < delivery.reply_revision


def delivered(delivery: Delivery, *, revision: int, handle: str) -> Delivery:
    """Return the delivery after a call that succeeded with what `revision` says."""
    return _calm(replace(delivery, delivered_revision=revision, handle=handle))


def replied(delivery: Delivery, *, revision: int) -> Delivery:
    """Return the delivery after its thread reply for `revision` arrived."""
    return _calm(replace(delivery, replied_revision=revision))


def missed(delivery: Delivery, *, error: str, doubtful: bool) -> Delivery:
    """Return the delivery after a call that may be repeated; `doubtful` when it may have arrived."""
    state = DeliveryState.UNKNOWN if doubtful else delivery.state
    return replace(delivery, state=state, attempts=delivery.attempts + 1, error=error)


def refused(delivery: Delivery, *, error: str) -> Delivery:
    """Return the delivery after an answer that no repetition changes."""
    return replace(delivery, state=DeliveryState.FAILED, attempts=delivery.attempts + 1, error=error)


def with_fallback(alert: Alert, failed: Delivery, *, routes: Routes, note: Note, now: int) -> Alert:
    """Return the alert with what is told instead when `failed` leaves its reader untold.

    What can't reach a person in Slack goes to the default channel. When that fails too, or a mail does, somebody else
    is told only if no other delivery promises to arrive: the default channel, then the default mail addresses.
    """
    slack = failed.channel == ChannelName.SLACK
    last_resort = slack and failed.target == routes.default_channel
    others = [d for d in alert.deliveries if not _same(d, failed)]
    if (last_resort or not slack) and any(_promising(d) for d in others):
        return alert
    chain = [Destination(channel=ChannelName.SLACK, target=routes.default_channel, note=note)]
    if last_resort:
        chain = [Destination(channel=ChannelName.MAIL, target=address, note=note) for address in routes.default_mail]
    added = [_new(d, alert, now=now) for d in chain if not any(_same(known, d) for known in alert.deliveries)]
    return replace(alert, deliveries=[*alert.deliveries, *added])


def with_delivery(alert: Alert, delivery: Delivery) -> Alert:
    """Return the alert with this delivery in the place of the one to the same target."""
    deliveries = [delivery if _same(delivery, old) else old for old in alert.deliveries]
    return replace(alert, deliveries=deliveries)


def settled(alert: Alert) -> Alert:
    """Return the alert without earlier ones that have nothing left to tell."""
    return replace(alert, earlier=[old for old in alert.earlier if unsettled(old)])


def _same(one: Delivery, other: Delivery | Destination) -> bool:
    return (one.channel, one.target) == (other.channel, other.target)


def _calm(delivery: Delivery) -> Delivery:
    done = delivery.delivered_revision >= delivery.revision
    state = DeliveryState.DELIVERED if done else DeliveryState.INTENDED
    return replace(delivery, state=state, attempts=0, error=None)


def _promising(delivery: Delivery) -> bool:
    up_to_date = delivery.delivered_revision == delivery.revision
    return delivery.state is not DeliveryState.FAILED and (up_to_date or delivery.attempts == 0)


def _worsened(before: Alert | None, alert: Alert) -> bool:
    return (
        before is not None
        and before.id == alert.id
        and WORST_FIRST.index(alert.severity) < WORST_FIRST.index(before.severity)
    )


def _new(destination: Destination, alert: Alert, *, now: int) -> Delivery:
    return Delivery(
        channel=destination.channel.value,
        target=destination.target,
        state=DeliveryState.INTENDED,
        revision=alert.revision,
        delivered_revision=0,
        note=destination.note,
        intended_at=now,
    )


def _owing(delivery: Delivery, alert: Alert, *, now: int, reply: bool) -> Delivery:
    if delivery.state is DeliveryState.FAILED:
        return delivery
    told = delivery.delivered_revision > 0
    return replace(
        delivery,
        revision=alert.revision,
        state=DeliveryState.INTENDED if delivery.state is DeliveryState.DELIVERED else delivery.state,
        intended_at=now if delivery.delivered_revision == delivery.revision else delivery.intended_at,
        reply_revision=alert.revision if reply and told else delivery.reply_revision,
    )
