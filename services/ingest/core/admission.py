"""Decide of each item of a request: an event for an account, one that waits for its account, or a rejection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import msgspec

from services.ingest.core.exclusions import Excluded, exclude
from services.ingest.core.fields import Field
from services.ingest.core.identity import (
    Belonging,
    Known,
    explicit_account,
    first_known,
    newer,
    teaches,
    users_of,
)
from services.ingest.core.item import MAX_ID_CHARS, Item, Reason, Rejection
from services.ingest.core.kinds import tell
from services.ingest.core.moment import occurred_ms, read_stamp
from services.ingest.core.sources import SourceRules
from shared.contracts.events import Event, Kind, derived_id, source_of, type_of, wire_time

_VOLATILE: Final = ("sentAt", "sent_at", "writeKey", "_metadata")
"""What a client writes anew at each attempt, so no part of an event's identity."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An event whose account is not known yet, under its user's key; its subject is empty."""

    user: str
    event: Event


@dataclass(slots=True, kw_only=True)
class Admission:
    """What became of a request's items: each is in exactly one of the first four lists."""

    events: list[Event] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    learned: dict[str, Belonging] = field(default_factory=dict)
    dropped: list[Field] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Return the number of items judged."""
        return len(self.events) + len(self.waiting) + len(self.rejected) + len(self.excluded)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What admission of one request stands on: whose key it was, when it came, what is known of users."""

    source: str
    rules: SourceRules
    received_ms: int
    hashed: Callable[[str], str]
    known: Callable[[str], Belonging | None]

    @cached_property
    def received(self) -> str:
        """Return the time of receipt as events carry it."""
        return wire_time(self.received_ms)

    @cached_property
    def source_uri(self) -> str:
        """Return the source as events carry it."""
        return source_of(self.source)


class _Admitted(msgspec.Struct, frozen=True, kw_only=True):
    event: Event
    users: tuple[str, ...]


def admit(items: Sequence[Item | Rejection], desk: Desk) -> Admission:
    """Judge the items of one request in their order; what a later one teaches helps the earlier ones too."""
    result = Admission()
    orphans: list[_Admitted] = []

    def known(user: str) -> str | None:
        found = result.learned.get(user) or desk.known(user)
        return found.account if found else None

    for item in items:
        excluded = None if isinstance(item, Rejection) else exclude(item, desk.rules.exclude)
        if excluded is not None:
            result.excluded.append(excluded)
            continue
        admitted = item if isinstance(item, Rejection) else _admit(item, desk, known=known, result=result)
        if isinstance(admitted, Rejection):
            named = admitted if isinstance(item, Rejection) else msgspec.structs.replace(admitted, id=item.id)
            result.rejected.append(named)
        elif admitted.event.subject:
            result.events.append(admitted.event)
        else:
            orphans.append(admitted)
    for orphan in orphans:
        account = first_known(orphan.users, known)
        if account is None:
            result.waiting.append(Waiting(user=orphan.users[0], event=orphan.event))
        else:
            result.events.append(attributed(orphan.event, account))
    return result


def attributed(event: Event, account: str) -> Event:
    """Return the event with its account, everything else unchanged."""
    return msgspec.structs.replace(event, subject=account)


def _admit(item: Item, desk: Desk, *, known: Known, result: Admission) -> _Admitted | Rejection:
    explicit = explicit_account(item, desk.rules)
    if isinstance(explicit, Rejection):
        return explicit
    users = users_of(item, source=desk.source, hashed=desk.hashed)
    if isinstance(users, Rejection):
        return users
    account = explicit or first_known(users, known)
    if account is None and not users:
        return Rejection(reason=Reason.MISSING_ACCOUNT, raw=item.raw)
    at_ms = _at_ms(item, desk.received_ms)
    if isinstance(at_ms, Rejection):
        return at_ms
    event = _event(item, desk, at_ms=at_ms, account=account or "", result=result)
    if isinstance(event, Rejection):
        return event
    if account is not None and teaches(item, explicit):
        _learn(users, Belonging(account=account, at=at_ms), desk, result)
    return _Admitted(event=event, users=users)


def _event(item: Item, desk: Desk, *, at_ms: int, account: str, result: Admission) -> Event | Rejection:
    event_id = _id(item, desk.source)
    if isinstance(event_id, Rejection):
        return event_id
    told = tell(item, rules=desk.rules, user=None if item.user is None else desk.hashed(item.user))
    if isinstance(told, Rejection):
        return told
    result.dropped.extend(told.dropped)
    return Event(
        id=event_id,
        source=desk.source_uri,
        type=_TYPES[told.kind],
        subject=account,
        time=desk.received if at_ms == desk.received_ms else wire_time(at_ms),
        receivedat=desk.received,
        data=msgspec.Raw(_ENCODER.encode(told.data)),
    )


def _id(item: Item, source: str) -> str | Rejection:
    if item.id is not None:
        if len(item.id) <= MAX_ID_CHARS:
            return item.id
        return Rejection(reason=Reason.INVALID_ID, detail=f"{len(item.id)} characters", raw=item.raw)
    if item.timestamp is None:
        return Rejection(reason=Reason.MISSING_ID, raw=item.raw)
    said = msgspec.json.decode(item.raw)
    for name in _VOLATILE:
        said.pop(name, None)
    return derived_id(source, _CANONICAL.encode(said))


def _at_ms(item: Item, received_ms: int) -> int | Rejection:
    if item.timestamp is None:
        return received_ms
    at_ms = read_stamp(item.timestamp)
    if at_ms is None:
        return Rejection(reason=Reason.INVALID_TIMESTAMP, detail="timestamp", raw=item.raw)
    return occurred_ms(at_ms, sent_ms=read_stamp(item.sent_at), received_ms=received_ms)


def _learn(users: Sequence[str], told: Belonging, desk: Desk, result: Admission) -> None:
    for user in users:
        if newer(result.learned.get(user) or desk.known(user), told):
            result.learned[user] = told


_TYPES: Final = {kind: type_of(kind) for kind in Kind}
_ENCODER: Final = msgspec.json.Encoder()
_CANONICAL: Final = msgspec.json.Encoder(order="deterministic")
