"""Receive events over HTTP: read, check the key, judge, make durable, and only then say 200."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.ingest.answer import Refused
from services.ingest.body import read_body
from services.ingest.core.admission import Admission, Desk, admit
from services.ingest.core.dialects import segment
from services.ingest.core.fates import fates_of
from services.ingest.core.identity import Belonging
from services.ingest.core.item import Call
from services.ingest.core.sources import Sources
from services.ingest.dead_letters import letter
from services.ingest.identity_map import identity_record
from services.ingest.metrics import Metrics, Outcome, Route
from shared import clock
from shared.contracts.recent import Fated
from shared.contracts.topics import EVENTS, UNATTRIBUTED
from shared.keys import KeyRecord, Mode, Scope, looks_like_key
from shared.publish import NotDurable, Overloaded, Publisher, Record

MAX_BATCH: Final = 2_500
SUCCESS: Final = b'{"success":true}'
CLOSED_S: Final = 5
BATCH_PATHS: Final = ("/v1/batch", "/v1/b")


class Live:
    """How many requests of live events are under way: histories step aside for them until it is `idle`."""

    def __init__(self) -> None:
        self.under_way = 0
        self.idle = asyncio.Event()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request while it lasts."""
        self.under_way += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.under_way -= 1
            if not self.under_way:
                self.idle.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """What answering a request stands on, passed in by the composition root."""

    publisher: Publisher
    find_key: Callable[[str], KeyRecord | None]
    known: Callable[[str], Belonging | None]
    learn: Callable[[Mapping[str, Belonging]], None]
    loaded: Callable[[], bool]
    hashed: Callable[[str], str]
    dead_letter_key: bytes
    sources: Sources
    metrics: Metrics
    note: Callable[[str, Sequence[Fated]], None]
    """Take what became of a source's events, for people who plug it in."""
    closed: Callable[[], str | None] = lambda: None
    """Say why no event may be taken now; None: they may."""
    live: Live = field(default_factory=Live)


def router(ingest: Ingest) -> APIRouter:
    """Return every spelling that the clients of Segment, RudderStack and Jitsu use, with and without slash."""
    routes = APIRouter()

    def add(path: str, call: Call | None) -> None:
        async def endpoint(request: Request) -> Response:
            with ingest.live.request():
                return await _receive(ingest, request, call=call)

        for spelling in (path, f"{path}/"):
            routes.add_api_route(spelling, endpoint, methods=["POST"], include_in_schema=False)

    for path in BATCH_PATHS:
        add(path, None)
    for call in Call:
        for path in (f"/v1/{call}", f"/v1/{call[0]}", f"/api/s/{call}"):
            add(path, call)
    return routes


def route_of(path: str) -> Route:
    """Return the metric label of a path."""
    return _ROUTES.get(path.removesuffix("/"), Route.OTHER)


async def _receive(ingest: Ingest, request: Request, *, call: Call | None) -> Response:
    received_ms = clock.now_ms()
    check_open(ingest)
    presented = header_key(request.headers)
    key = None if presented is None else _checked(ingest, presented)
    body = await read_body(request)
    envelope = _opened(body, call=call)
    if key is None:
        key = _checked(ingest, _body_key(envelope))
    desk = Desk(
        source=key.source,
        rules=ingest.sources.of(key.source),
        received_ms=received_ms,
        hashed=ingest.hashed,
        known=ingest.known,
    )
    admission = admit(segment.read(envelope, body, call=call), desk)
    if key.mode is Mode.TEST:
        ingest.note(key.source, fates_of(admission, at_ms=received_ms, is_test=True))
        ingest.metrics.events.labels(Outcome.TEST).inc(admission.total)
        return Response(msgspec.json.encode(_verdicts(admission)), media_type="application/json")
    await _publish(ingest, admission, desk)
    ingest.learn(admission.learned)
    _count(ingest.metrics, admission)
    ingest.note(key.source, fates_of(admission, at_ms=received_ms, is_test=False))
    return Response(SUCCESS, media_type="application/json")


def _opened(body: bytes, *, call: Call | None) -> segment.Envelope:
    try:
        envelope = segment.open_envelope(body)
    except segment.Unreadable as fault:
        raise Refused(400, "malformed_json", f"the body is not a JSON object of events: {fault}") from None
    if call is None and envelope.batch is None:
        raise Refused(400, "missing_batch", "the body has no `batch` list")
    if len(envelope.batch or ()) > MAX_BATCH:
        raise Refused(413, "too_many_events", f"a batch may hold at most {MAX_BATCH} events")
    return envelope


async def _publish(ingest: Ingest, admission: Admission, desk: Desk) -> None:
    try:
        await ingest.publisher.publish(records(admission, desk, dead_letter_key=ingest.dead_letter_key))
    except NotDurable as fault:
        status, code = (429, "overloaded") if isinstance(fault, Overloaded) else (503, "unavailable")
        raise Refused(status, code, str(fault), retry_after_s=fault.retry_after_s) from None


def records(admission: Admission, desk: Desk, *, dead_letter_key: bytes) -> list[Record]:
    """Return everything a request leaves in Kafka: what it teaches, its events, those that wait, those refused."""
    taught = [identity_record(user, told) for user, told in admission.learned.items()]
    events = [
        Record(topic=EVENTS, key=event.subject.encode(), value=_ENCODER.encode(event)) for event in admission.events
    ]
    waiting = [
        Record(topic=UNATTRIBUTED, key=wait.user.encode(), value=_ENCODER.encode(wait.event))
        for wait in admission.waiting
    ]
    dead = [
        letter(rejection, key=dead_letter_key, source=desk.source, received_ms=desk.received_ms)
        for rejection in admission.rejected
    ]
    return [*taught, *events, *waiting, *dead]


def check_open(ingest: Ingest) -> None:
    """Raise Refused, to be tried again, while no event may be taken."""
    if not ingest.loaded():
        raise Refused(503, "not_ready", "keys and users are still being read from kafka", retry_after_s=2)
    said = ingest.closed()
    if said is not None:
        raise Refused(503, "closed", said, retry_after_s=CLOSED_S)


def header_key(headers: Mapping[str, str]) -> str | None:
    """Return the key a request presents in its headers, None if it presents none there."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "basic":
            return _basic_user(rest.strip())
        # a token that is none of our keys is Segment's OAuth: then the body names the source
        case "bearer" if looks_like_key(rest.strip()):
            return rest.strip()
    return headers.get("x-write-key") or None


def _basic_user(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _body_key(envelope: segment.Envelope) -> str:
    named = (key for key in (envelope.write_key, envelope.api_key) if isinstance(key, str) and key)
    return next(named, "")


def _checked(ingest: Ingest, presented: str) -> KeyRecord:
    key = ingest.find_key(presented)
    if key is None:
        raise Refused(401, "unauthorized", "the write key is missing, unknown or revoked")
    if Scope.INGEST not in key.scopes:
        raise Refused(403, "forbidden", "this key may not send events")
    return key


def _verdicts(admission: Admission) -> Mapping[str, object]:
    return {
        "success": True,
        "mode": Mode.TEST,
        "accepted": len(admission.events),
        "unattributed": len(admission.waiting),
        "rejected": [
            {"reason": rejection.reason, "detail": rejection.detail, "remedy": rejection.remedy}
            for rejection in admission.rejected
        ],
        "excluded": [{"reason": one.reason, "path": one.path} for one in admission.excluded],
        "dropped": admission.dropped,
    }


def _count(metrics: Metrics, admission: Admission) -> None:
    metrics.events.labels(Outcome.ACCEPTED).inc(len(admission.events))
    metrics.events.labels(Outcome.UNATTRIBUTED).inc(len(admission.waiting))
    metrics.events.labels(Outcome.REJECTED).inc(len(admission.rejected))
    for rejection in admission.rejected:
        metrics.rejected.labels(rejection.reason).inc()
    for excluded in admission.excluded:
        metrics.excluded.labels(excluded.reason).inc()
    for name in admission.dropped:
        metrics.dropped.labels(name).inc()


_ENCODER: Final = msgspec.json.Encoder()
_ROUTES: Final = {
    **dict.fromkeys(BATCH_PATHS, Route.BATCH),
    **{path: Route(call) for call in Call for path in (f"/v1/{call}", f"/v1/{call[0]}", f"/api/s/{call}")},
}
