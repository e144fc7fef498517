"""Gather what deserves no interruption of its own into lists: one an owner, edited while it is young."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import count
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from services.alerts.core.alert import OPEN_STATES
from services.alerts.core.routing import ChannelName, Destination, Note, Routes, Why, decide
from shared.contracts.alerts import Alert, Delivery, DeliveryState
from shared.contracts.context import LONGEST_HOLD, Guard, key_of
from shared.contracts.notices import ListedAlert, Notice, NoticeKind, notice_id

BATCH_MS: Final = 3_600_000
"""What comes later than this after a list was begun begins another."""
LONGEST_MS: Final = 60_000
EDIT_MS: Final = 60_000
"""Between two edits that only strike an account through."""
MOST_ITEMS: Final = 1000
"""Of one list: it must fit into a Kafka message. More accounts are several lists."""
LONGEST_NAME: Final = 100
KEPT_MS: Final = 30 * 24 * 3_600_000
FIRST_HOUR: Final = time(9, 0)
_KIND_OF: Final = {
    Why.STANDING: NoticeKind.STANDING_LIST,
    Why.OBSERVED: NoticeKind.DAILY_LIST,
    Why.OPPORTUNITY: NoticeKind.GROWTH_LIST,
    # it would be told one by one today, but opened while only observed: for one last list
    Why.ROUTED: NoticeKind.DAILY_LIST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """When a person's working day begins."""

    zone: tzinfo = UTC
    begins: time = FIRST_HOUR


class Gathering:
    """Remember when alerts that wait for a list were first met: lists are told when no more come.

    `channel` is the way lists go: Slack, or mail where that is all there is.
    """

    def __init__(self, *, settle_ms: int, channel: ChannelName = ChannelName.SLACK) -> None:
        self._settle_ms = settle_ms
        self._channel = channel
        self._met: dict[str, int] = {}

    def due(
        self,
        waiting: Iterable[Alert],
        notices: Mapping[str, Notice],
        routes: Routes,
        *,
        now: int,
        days: Mapping[str, Day],
        stand_ins: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Notice]:
        """Return every list that must be told anew or with more accounts now.

        `waiting` are alerts told nowhere yet; `stand_ins` who is told for an owner on leave.
        """
        groups: dict[tuple[NoticeKind, str | None], list[Alert]] = {}
        for alert in waiting:
            why = decide(alert, routes, now=now).why
            if why in _KIND_OF:
                groups.setdefault((_KIND_OF[why], alert.attributes.owner), []).append(alert)
        self._met = {a.id: self._met.get(a.id, now) for group in groups.values() for a in group}
        told: list[Notice] = []
        for (kind, owner), group in groups.items():
            begun = self._begun(kind, group, now=now, day=days.get((owner or "").lower(), Day()))
            if begun is not None:
                place = _place(owner, routes, channel=self._channel, stand_ins=stand_ins)
                first = _first(kind, owner, place, begun=begun, now=now)
                told += _filled(first, sorted(map(_listed, group), key=_worst_first), notices, begun=begun, now=now)
        return told

    def _begun(self, kind: NoticeKind, alerts: Sequence[Alert], *, now: int, day: Day) -> int | None:
        """Return since when the list counts that these alerts belong to, None while it is not to be told."""
        if kind is NoticeKind.STANDING_LIST:
            met = [self._met[alert.id] for alert in alerts]
            return None if now - max(met) < self._settle_ms and now - min(met) < LONGEST_MS else now
        begun = _beginning(day, now=now)
        is_early = all(alert.opened_at > begun for alert in alerts) and now - begun >= BATCH_MS
        return None if is_early else begun  # what opened after today's list was due is for tomorrow's


def struck(notices: Iterable[Notice], find: Callable[[str], Alert | None], *, now: int) -> list[Notice]:
    """Return the lists some of whose accounts are over or erased since they were told; `find` gives an account's alert.

    An account that was told of and has no alert any more was erased.
    """
    found = []
    for notice in notices:
        items = [_as_it_is(item, find(item.account)) for item in notice.items]
        if items != notice.items and now - notice.changed_at >= EDIT_MS:
            found.append(_revised(notice, items, is_news=False, now=now))
    return found


def is_past(notice: Notice, *, now: int) -> bool:
    """Return whether nobody needs a notice any more: it is old, and all it tells of is over."""
    is_over = all(item.over for item in notice.items) and (notice.source is None or notice.ended_at is not None)
    return is_over and now - notice.changed_at > KEPT_MS


def of_incident(*, since: int, now: int) -> Iterator[NoticeKind]:
    """Yield what the engineers are told by now of what is missed since `since` and is not back."""
    yield NoticeKind.INCIDENT
    if now >= since + LONGEST_HOLD:
        yield NoticeKind.HOLD_ENDED


def incident(  # noqa: PLR0913  what it says, and where
    guard: Guard,
    *,
    kind: NoticeKind = NoticeKind.INCIDENT,
    since: int,
    accounts: int,
    routes: Routes,
    now: int,
    channel: ChannelName = ChannelName.SLACK,
) -> Notice:
    """Return the notice of what a guard misses, or of the end of its hold, for the channel of incidents."""
    destination = Destination(channel=ChannelName.SLACK, target=routes.incidents_channel)
    if channel is ChannelName.MAIL:
        destination = _last_resort(routes) or destination
    return Notice(
        id=notice_id(kind, guard.key, since),
        kind=kind,
        revision=1,
        created_at=now,
        changed_at=now,
        delivery=_delivery(destination, now=now),
        source=guard.source,
        event=guard.event,
        accounts=accounts,
    )


def guarded_by(notice: Notice) -> str:
    """Return the key of the guard that an incident is about."""
    return key_of(notice.source or "", event=notice.event)


def ended(notice: Notice, *, now: int) -> Notice:
    """Return an incident once its source is back."""
    return replace(_revised(notice, notice.items, is_news=True, now=now), ended_at=now)


def elsewhere(notice: Notice, routes: Routes, *, error: str, person: bool) -> Notice:
    """Return a notice that was refused where it should go: for the next place, or given up after the last.

    The person or channel, the default channel, the owner by mail, the first default mail address.
    """
    was, note = notice.delivery, Note.UNKNOWN_OWNER if person else Note.UNREACHABLE
    chain = [Destination(channel=ChannelName.SLACK, target=routes.default_channel, note=note)]
    chain += [Destination(channel=ChannelName.MAIL, target=f"@{notice.owner}", note=note)] if notice.owner else []
    chain += [Destination(channel=ChannelName.MAIL, target=mail, note=note) for mail in routes.default_mail[:1]]
    places = [(place.channel.value, place.target) for place in chain]
    left = chain[places.index((was.channel, was.target)) + 1 :] if (was.channel, was.target) in places else chain
    if was.channel == ChannelName.MAIL:
        left = [place for place in left if place.channel is ChannelName.MAIL]
    if not left:
        return replace(notice, delivery=replace(was, state=DeliveryState.FAILED, error=error))
    new = _delivery(left[0], revision=notice.revision, now=was.intended_at)
    return replace(notice, delivery=replace(new, error=error))


def _filled(
    first: Notice, items: list[ListedAlert], notices: Mapping[str, Notice], *, begun: int, now: int
) -> Iterator[Notice]:
    """Yield the list that is young with the accounts it has room for, and as many new ones as the others need."""
    young = _young(notices, first, begun=begun, now=now)
    room = MOST_ITEMS - len(young.items) if young else 0
    if young and room > 0:
        yield _revised(young, sorted([*young.items, *items[:room]], key=_worst_first), is_news=True, now=now)
    rest = items[room:] if young else items
    parts = (notice_id(first.kind, first.owner, begun, *([part] if part else [])) for part in count())
    unused = (name for name in parts if name not in notices)
    for start in range(0, len(rest), MOST_ITEMS):
        yield replace(first, id=next(unused), items=rest[start : start + MOST_ITEMS])


def _young(notices: Mapping[str, Notice], first: Notice, *, begun: int, now: int) -> Notice | None:
    """Return the newest list that still takes accounts of this kind and owner."""
    if first.kind is NoticeKind.STANDING_LIST:
        mine = [n for n in notices.values() if (n.kind, n.owner) == (first.kind, first.owner)]
        return min((n for n in mine if now - n.created_at <= BATCH_MS), key=lambda n: len(n.items), default=None)
    known = [notice_id(first.kind, first.owner, begun), *(notice_id(first.kind, first.owner, begun, n) for n in (1, 2))]
    return next((notices[name] for name in reversed(known) if name in notices), None)


def _beginning(day: Day, *, now: int) -> int:
    """Return the last beginning (epoch ms) of a person's working day."""
    local = datetime.fromtimestamp(now / 1000, day.zone)
    begins = datetime.combine(local.date(), day.begins, day.zone)
    if begins > local:
        begins = datetime.combine(local.date() - timedelta(days=1), day.begins, day.zone)
    return int(begins.timestamp() * 1000)


def _first(kind: NoticeKind, owner: str | None, place: Destination, *, begun: int, now: int) -> Notice:
    """Return a list of an owner with no accounts in it yet."""
    return Notice(
        id=notice_id(kind, owner, begun),
        kind=kind,
        revision=1,
        created_at=now,
        changed_at=now,
        delivery=_delivery(place, now=now),
        owner=owner,
    )


def _place(owner: str | None, routes: Routes, *, channel: ChannelName, stand_ins: Mapping[str, str]) -> Destination:
    """Return where an owner's list goes, and that of accounts without an owner."""
    if owner is not None:
        stand_in = stand_ins.get(owner.lower())
        return Destination(channel=channel, target=f"@{stand_in or owner}", note=Note.AWAY if stand_in else None)
    mail = _last_resort(routes, note=Note.NO_OWNER) if channel is ChannelName.MAIL else None
    return mail or Destination(channel=ChannelName.SLACK, target=routes.default_channel, note=Note.NO_OWNER)


def _last_resort(routes: Routes, *, note: Note | None = None) -> Destination | None:
    """Return whom mail goes to that has nobody else."""
    mails = routes.default_mail
    return Destination(channel=ChannelName.MAIL, target=mails[0], note=note) if mails else None


def _delivery(destination: Destination, *, now: int, revision: int = 1) -> Delivery:
    return Delivery(
        channel=destination.channel.value,
        target=destination.target,
        state=DeliveryState.INTENDED,
        revision=revision,
        delivered_revision=0,
        note=destination.note,
        intended_at=now,
    )


def _revised(notice: Notice, items: list[ListedAlert], *, is_news: bool, now: int) -> Notice:
    """Return the notice as it is now; Slack's message follows every change, a mail is sent for news alone."""
    revision, delivery = notice.revision + 1, notice.delivery
    if delivery.channel == ChannelName.SLACK or is_news:
        # since when an uncertain post is looked up: not after it may have been made
        is_told = delivery.delivered_revision == delivery.revision
        since = now if is_told else delivery.intended_at
        delivery = replace(delivery, revision=revision, intended_at=since)
        if delivery.state is DeliveryState.DELIVERED:
            delivery = replace(delivery, state=DeliveryState.INTENDED)
    return replace(notice, revision=revision, items=items, changed_at=now, delivery=delivery)


def _is_over(item: ListedAlert, alert: Alert) -> bool:
    """Return whether a listed alert ended; an account has one alert, so another one in its place says so too."""
    return alert.id != item.alert or alert.state not in OPEN_STATES


def _as_it_is(item: ListedAlert, alert: Alert | None) -> ListedAlert:
    if alert is None or (alert.erased and alert.id == item.alert):
        return replace(item, over=True, name=None, arr=None, currency=None)
    return replace(item, over=item.over or _is_over(item, alert))


def _listed(alert: Alert) -> ListedAlert:
    told = alert.attributes
    return ListedAlert(
        alert=alert.id,
        account=alert.account,
        name=told.name[:LONGEST_NAME] if told.name else None,
        rules=[reason.rule for reason in alert.reasons],
        severity=alert.severity,
        arr=told.arr,
        currency=told.currency,
    )


def _worst_first(item: ListedAlert) -> tuple[int, str]:
    return -(item.arr or 0), item.account
