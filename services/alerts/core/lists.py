"""Gather what deserves no interruption of its own into lists: one an owner, edited while it is young."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from msgspec.structs import replace

from services.alerts.core.alert import OPEN_STATES
from services.alerts.core.routing import ChannelName, Note, Routes, Why, decide
from shared.contracts.alerts import Alert, Delivery, DeliveryState
from shared.contracts.notices import ListedAlert, Notice, NoticeKind, notice_id

BATCH_MS: Final = 3_600_000
"""What comes later than this after a list was begun begins another."""
LONGEST_MS: Final = 60_000
EDIT_MS: Final = 60_000
"""Between two edits that only strike an account through."""
FIRST_HOUR: Final = time(9, 0)
_KIND_OF: Final = {Why.STANDING: NoticeKind.STANDING_LIST, Why.OBSERVED: NoticeKind.DAILY_LIST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """When a person's working day begins."""

    zone: tzinfo = UTC
    begins: time = FIRST_HOUR


class Gathering:
    """Remember when alerts that wait for a list were first met: lists are told when no more come."""

    def __init__(self, *, settle_ms: int) -> None:
        self._settle_ms = settle_ms
        self._met: dict[str, int] = {}

    def due(
        self,
        alerts: Iterable[Alert],
        notices: Mapping[str, Notice],
        routes: Routes,
        *,
        now: int,
        days: Mapping[str, Day],
    ) -> list[Notice]:
        """Return every list that must be told anew or differently now, as it should be."""
        listed = {item.alert for notice in notices.values() for item in notice.items}
        groups: dict[tuple[NoticeKind, str | None], list[Alert]] = {}
        by_id: dict[str, Alert] = {}
        for alert in alerts:
            by_id[alert.id] = alert
            kind = _KIND_OF.get(decide(alert, routes, now=now).why) if alert.state in OPEN_STATES else None
            if kind is not None and not alert.deliveries and alert.id not in listed:
                groups.setdefault((kind, alert.attributes.owner), []).append(alert)
        self._met = {a.id: self._met.get(a.id, now) for group in groups.values() for a in group}
        told = []
        for (kind, owner), group in groups.items():
            notice = self._told(kind, owner, group, notices, routes, now=now, days=days)
            told += [notice] if notice is not None else []
        return [*told, *_struck(notices, by_id, now=now, but={notice.id for notice in told})]

    def _told(  # noqa: PLR0913  the parts of one decision
        self,
        kind: NoticeKind,
        owner: str | None,
        alerts: Sequence[Alert],
        notices: Mapping[str, Notice],
        routes: Routes,
        *,
        now: int,
        days: Mapping[str, Day],
    ) -> Notice | None:
        met = [self._met[alert.id] for alert in alerts]
        if kind is NoticeKind.STANDING_LIST:
            if now - max(met) < self._settle_ms and now - min(met) < LONGEST_MS:
                return None
            young = _young(notices.values(), owner, now=now)
            begun = now
        else:
            day = days.get((owner or "").lower(), Day())
            begun = _beginning(day, now=now)
            young = notices.get(notice_id(kind, owner, begun))
            if min(met) > begun and now - begun >= BATCH_MS:
                return None  # met after today's list was due: for tomorrow's
        items = sorted(map(_listed, alerts), key=_worst_first)
        if young is None:
            return _new(kind, owner, items, routes, begun=begun, now=now)
        return _revised(young, sorted([*young.items, *items], key=_worst_first), now=now)


def incident(source: str, *, since: int, accounts: int, routes: Routes, now: int) -> Notice:
    """Return the notice of a source that fell silent, for the channel of incidents."""
    target = routes.incidents_channel
    return Notice(
        id=notice_id(NoticeKind.INCIDENT, source, since),
        kind=NoticeKind.INCIDENT,
        revision=1,
        created_at=now,
        changed_at=now,
        delivery=_delivery(target, now=now),
        source=source,
        accounts=accounts,
    )


def ended(notice: Notice, *, now: int) -> Notice:
    """Return an incident once its source is back."""
    return replace(_revised(notice, notice.items, now=now), ended_at=now)


def _young(notices: Iterable[Notice], owner: str | None, *, now: int) -> Notice | None:
    mine = [n for n in notices if n.kind is NoticeKind.STANDING_LIST and n.owner == owner]
    return next((n for n in mine if now - n.created_at <= BATCH_MS), None)


def _beginning(day: Day, *, now: int) -> int:
    """Return the last beginning (epoch ms) of a person's working day."""
    local = datetime.fromtimestamp(now / 1000, day.zone)
    begins = datetime.combine(local.date(), day.begins, day.zone)
    if begins > local:
        begins = datetime.combine(local.date() - timedelta(days=1), day.begins, day.zone)
    return int(begins.timestamp() * 1000)


def _new(
    kind: NoticeKind, owner: str | None, items: list[ListedAlert], routes: Routes, *, begun: int, now: int
) -> Notice:
    target, note = (f"@{owner}", None) if owner else (routes.default_channel, Note.NO_OWNER)
    return Notice(
        id=notice_id(kind, owner, begun),
        kind=kind,
        revision=1,
        created_at=now,
        changed_at=now,
        delivery=_delivery(target, now=now, note=note),
        owner=owner,
        items=items,
    )


def _delivery(target: str, *, now: int, note: Note | None = None) -> Delivery:
    return Delivery(
        channel=ChannelName.SLACK,
        target=target,
        state=DeliveryState.INTENDED,
        revision=1,
        delivered_revision=0,
        note=note,
        intended_at=now,
    )


def _revised(notice: Notice, items: list[ListedAlert], *, now: int) -> Notice:
    revision = notice.revision + 1
    delivery = replace(notice.delivery, revision=revision, intended_at=now)
    if delivery.state is not DeliveryState.FAILED:
        delivery = replace(delivery, state=DeliveryState.INTENDED)
    return replace(notice, revision=revision, items=items, changed_at=now, delivery=delivery)


def _struck(notices: Mapping[str, Notice], alerts: Mapping[str, Alert], *, now: int, but: set[str]) -> Iterator[Notice]:
    """Yield the lists some of whose accounts are over since they were told."""
    for notice in notices.values():
        if notice.id in but or now - notice.changed_at < EDIT_MS:
            continue
        items = [replace(item, over=item.over or _is_over(alerts.get(item.alert))) for item in notice.items]
        if items != notice.items:
            yield _revised(notice, items, now=now)


def _is_over(alert: Alert | None) -> bool:
    return alert is not None and alert.state not in OPEN_STATES


def _listed(alert: Alert) -> ListedAlert:
    told = alert.attributes
    return ListedAlert(
        alert=alert.id,
        account=alert.account,
        name=told.name,
        rules=[reason.rule for reason in alert.reasons],
        severity=alert.severity,
        arr=told.arr,
        currency=told.currency,
    )


def _worst_first(item: ListedAlert) -> tuple[int, str]:
    return -(item.arr or 0), item.account
