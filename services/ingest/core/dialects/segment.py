"""Read what the SDKs of Segment, RudderStack and Jitsu send into items."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from services.ingest.core.item import MAX_EVENT_BYTES, Call, Fields, Item, Reason, Rejection, Stamp

Id = str | int | None

CALLS: Final = {call.value: call for call in Call}
SHORT: Final = {call.value[0]: call for call in Call}


class Envelope(msgspec.Struct, frozen=True, rename={"write_key": "writeKey", "sent_at": "sentAt"}):
    """The body of a request, events still as they came: `batch` None means the body is itself one event."""

    batch: list[msgspec.Raw] | None = None
    context: Any = None
    sent_at: Any = None
    write_key: Any = None
    api_key: Any = None


class Unreadable(Exception):
    """The body as a whole can't be read as events; sending it again can't help."""


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    type: Any = None
    message_id: Id = None
    user_id: Id = None
    anonymous_id: Id = None
    previous_id: Id = None
    group_id: Any = None
    event: str | None = None
    name: Any = None
    category: Any = None
    context: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    timestamp: Stamp = None
    original_timestamp: Stamp = None
    sent_at: Stamp = None


_ENVELOPE: Final = msgspec.json.Decoder(Envelope)
_EVENT: Final = msgspec.json.Decoder(_Event)
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?Infinity|NaN', re.DOTALL)
_PAIR_OR_LONE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def open_envelope(body: bytes) -> Envelope:
    """Read the outside of a request body; raise Unreadable when it is no JSON object.

    Python's json writes NaN and Infinity, JavaScript's writes halves of surrogate pairs; neither is
    JSON, and one such value must not cost its whole batch: they become null and U+FFFD.
    """
    try:
        return _ENVELOPE.decode(body)
    except msgspec.ValidationError as fault:
        raise Unreadable(str(fault)) from None
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        mended = mend(body)
        if mended == body:
            raise Unreadable(str(fault)) from None
        return open_envelope(mended)


def mend(body: bytes) -> bytes:
    """Replace NaN and infinities by null and unpaired surrogate escapes by U+FFFD, outside and inside strings."""
    return _TOKEN.sub(_mend_token, body)


def read(envelope: Envelope, body: bytes, *, call: Call | None) -> Sequence[Item | Rejection]:
    """Return one item or rejection for each event of a body, in order; `call` is the one the path names."""
    if call is not None:
        return [_item(body, call=call, around=Envelope())]
    return [_item(bytes(raw), call=None, around=envelope) for raw in envelope.batch or ()]


def _item(raw: bytes, *, call: Call | None, around: Envelope) -> Item | Rejection:
    if len(raw) > MAX_EVENT_BYTES:
        return Rejection(reason=Reason.TOO_LARGE, detail=f"{len(raw)} bytes", raw=raw)
    try:
        event = _EVENT.decode(raw)
    except msgspec.ValidationError as fault:
        return Rejection(reason=_reason_of(fault), detail=str(fault), raw=raw)
    except RecursionError:
        return Rejection(reason=Reason.TOO_DEEP, raw=raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Rejection(reason=Reason.MALFORMED, detail="not JSON in UTF-8", raw=raw)
    call = call or (CALLS.get(event.type) if isinstance(event.type, str) else None)
    if call is None:
        return Rejection(reason=Reason.UNKNOWN_CALL, detail="type", raw=raw)
    context = {**around.context, **(event.context or {})} if isinstance(around.context, dict) else event.context or {}
    return Item(
        raw=raw,
        call=call,
        id=_id(event.message_id),
        user=_id(event.user_id),
        anonymous=_id(event.anonymous_id),
        previous=_id(event.previous_id),
        name=event.event if call is Call.TRACK else _text(event.name),
        category=_text(event.category),
        group=event.group_id,
        context=context,
        properties=event.properties or {},
        traits=event.traits or _traits(context),
        timestamp=event.timestamp if event.timestamp is not None else event.original_timestamp,
        sent_at=event.sent_at if event.sent_at is not None else around.sent_at,
    )


def _reason_of(fault: msgspec.ValidationError) -> Reason:
    text = str(fault)
    if "$" not in text:
        return Reason.MALFORMED
    if "messageId" in text:
        return Reason.INVALID_ID
    return Reason.INVALID_FIELD


def _traits(context: Fields) -> Fields:
    traits = context.get("traits")  # rudder-python sends an identify's traits only here
    return traits if isinstance(traits, dict) else {}


def _id(value: Id) -> str | None:
    return None if value is None or value == "" else str(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _mend_token(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if not text.startswith(b'"'):
        return b"null"
    return _PAIR_OR_LONE.sub(lambda m: b"\\ufffd" if m[1] else m[0], text) if b"\\u" in text else text
