"""Define what admission reads and what it may answer: an item of any dialect, and the reasons to refuse one."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

MAX_EVENT_BYTES: Final = 32 << 10
MAX_NAME_CHARS: Final = 100
MAX_ID_CHARS: Final = 256
MAX_ACCOUNT_BYTES: Final = 128

Fields = Mapping[str, object]
Stamp = str | int | float | None
"""A time as senders write it: RFC 3339 (naive means UTC), or epoch seconds or milliseconds."""


class Call(StrEnum):
    """The six calls of Segment's SDKs, which every dialect is read into."""

    TRACK = "track"
    IDENTIFY = "identify"
    GROUP = "group"
    PAGE = "page"
    SCREEN = "screen"
    ALIAS = "alias"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One event as its sender wrote it, before anything is judged; empty ids are None."""

    raw: bytes
    call: Call
    id: str | None = None
    user: str | None = None
    anonymous: str | None = None
    previous: str | None = None
    name: str | None = None
    category: str | None = None
    group: object = None
    context: Fields = {}
    properties: Fields = {}
    traits: Fields = {}
    timestamp: Stamp = None
    sent_at: Stamp = None


class Reason(StrEnum):
    """Why an event was refused: also the metric label, the log field and the dead letter's header."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    UNKNOWN_CALL = "unknown_call"
    INVALID_FIELD = "invalid_field"
    INVALID_VALUE = "invalid_value"
    INVALID_ID = "invalid_id"
    INVALID_USER = "invalid_user"
    INVALID_ACCOUNT = "invalid_account"
    INVALID_NAME = "invalid_name"
    INVALID_TIMESTAMP = "invalid_timestamp"
    MISSING_ID = "missing_id"
    MISSING_NAME = "missing_name"
    MISSING_USER = "missing_user"
    MISSING_ACCOUNT = "missing_account"


REMEDY: Final[Mapping[Reason, str]] = {
    Reason.MALFORMED: "send each event as one JSON object in UTF-8",
    Reason.TOO_LARGE: f"keep an event within {MAX_EVENT_BYTES} bytes of JSON",
    Reason.TOO_DEEP: "nest an event less deeply",
    Reason.UNKNOWN_CALL: "set type to one of track, identify, group, page, screen, alias",
    Reason.INVALID_FIELD: "send the field with the type that Segment's specification gives it",
    Reason.INVALID_VALUE: "send a value the event allows",
    Reason.INVALID_ID: f"send a messageId of 1 to {MAX_ID_CHARS} characters",
    Reason.INVALID_USER: f"send a userId of 1 to {MAX_ID_CHARS} characters",
    Reason.INVALID_ACCOUNT: f"send an account id (groupId) of 1 to {MAX_ACCOUNT_BYTES} bytes, text or whole number",
    Reason.INVALID_NAME: f"send an event name of at most {MAX_NAME_CHARS} characters without control characters",
    Reason.INVALID_TIMESTAMP: "send timestamp as RFC 3339, for example 2026-11-22T07:00:00.000Z",
    Reason.MISSING_ID: "send a messageId, or at least the event's own timestamp, so that a retry can be recognised",
    Reason.MISSING_NAME: "send the event's name in `event`",
    Reason.MISSING_USER: "send the userId the call is about",
    Reason.MISSING_ACCOUNT: "send context.groupId, or a userId that a group or identify call names with its account",
}


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """An event refused: `detail` names the field or limit and never holds what the sender wrote."""

    reason: Reason
    detail: str = ""
    raw: bytes = b""
    id: str | None = None
    """The event's own id, where it could be read."""

    @property
    def remedy(self) -> str:
        """Say what the sender can do about it."""
        return REMEDY[self.reason]
