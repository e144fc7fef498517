"""Turn the values of a batch into columns; what can't be read becomes a fate, never an exception."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from services.scorer.core.moments import parse_times
from services.scorer.core.table import NONE, Hashes, Ints
from shared.contracts.events import DATA_OF, TICK_TYPE, Kind, Tick


class Reason(StrEnum):
    """Why a record is dead; also the metric label and the header of the dead letter."""

    NO_VALUE = "no_value"
    BAD_JSON = "bad_json"
    SCHEMA = "schema"
    UNKNOWN_VERSION = "unknown_version"
    TICK_AHEAD = "tick_ahead"
    WRONG_PARTITION = "wrong_partition"
    IN_FUTURE = "in_future"
    TOO_LATE = "too_late"
    BUG = "bug"


class Code(IntEnum):
    """What the fold must know of a kind."""

    LOGIN = 0
    USAGE = 1
    OUTCOME = 2
    TICKET = 3
    FACT = 4
    """account, billing, survey, subscription: applied at any age."""
    KEPT_AT_ANY_AGE = 5
    """user (only removals count), goal, milestone."""
    KEPT = 6
    """sentiment, override: facts that count within the windows."""
    TICK = 7
    DEAD = 8
    ERASURE = 9


class Data(msgspec.Struct, gc=False):
    """What the scorer reads of an event's data."""

    user: str | None = None
    name: str | None = None


Job = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Row = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Envelope(msgspec.Struct, gc=False):
    """What the scorer reads of a record; absent fields are empty."""

    specversion: str = "1.0"
    id: str = ""
    source: str = ""
    type: str = ""
    subject: str = ""
    time: str = ""
    data: Data = msgspec.field(default_factory=Data)
    importjob: Job | None = None
    importrow: Row | None = None


@dataclass(slots=True, kw_only=True)
class Decoded:
    """The records of a batch as columns of equal length.

    `code` is a Code; `at` is occurred_at (a tick's T) in epoch ms; hashes are keyed, `user` is 0 without a user.
    `imported` tells rows of a history; `facts` holds the typed data of kinds that are checked,
    `contexts` the context offset of ticks, `dead` reason and detail of dead rows.
    """

    code: npt.NDArray[np.int8]
    at: Ints
    id: Hashes
    account: Hashes
    user: Hashes
    imported: npt.NDArray[np.bool_]
    envelopes: list[Envelope]
    facts: dict[int, msgspec.Struct]
    contexts: dict[int, int]
    dead: dict[int, tuple[Reason, str]]


@dataclass(slots=True, frozen=True)
class _Slow:
    """One record read the careful way."""

    code: Code
    envelope: Envelope
    fact: msgspec.Struct | None = None
    context: int = -1
    reason: Reason | None = None
    detail: str = ""


_HOT: Final = {
    "churn.login.v1": int(Code.LOGIN),
    "churn.usage.v1": int(Code.USAGE),
    "churn.outcome.v1": int(Code.OUTCOME),
    "churn.ticket.v1": int(Code.TICKET),
}
"""As plain numbers: numpy asks enum members for array protocols, one by one."""
_CODES: Final = {
    **dict.fromkeys((Kind.ACCOUNT, Kind.BILLING, Kind.SURVEY, Kind.SUBSCRIPTION), Code.FACT),
    **dict.fromkeys((Kind.USER, Kind.GOAL, Kind.MILESTONE), Code.KEPT_AT_ANY_AGE),
    **dict.fromkeys((Kind.SENTIMENT, Kind.OVERRIDE), Code.KEPT),
    Kind.ERASURE: Code.ERASURE,
    Kind.LOGIN: Code.LOGIN,
    Kind.OUTCOME: Code.OUTCOME,
    Kind.TICKET: Code.TICKET,
}
_CHECKED: Final = frozenset({Code.FACT, Code.KEPT, Code.KEPT_AT_ANY_AGE, Code.ERASURE})
_NOTHING: Final = Envelope()
_read_envelope: Final = msgspec.json.Decoder(Envelope).decode
_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode(values: Sequence[bytes | None], *, seed: int, quarantined: Collection[int] = ()) -> Decoded:
    """Read the values of a batch (docs/scoring.md §1, the checks that need one record alone).

    `seed` keys the hashes of ids, accounts and users; rows that are `quarantined` come without a value.
    """
    envelopes, codes, careful = _read_all(values)
    decoded = Decoded(
        code=np.array(codes, np.int8),
        at=parse_times([envelope.time for envelope in envelopes]),
        id=_id_hashes(envelopes, seed=seed),
        account=hashes_of([envelope.subject for envelope in envelopes], seed=seed),
        user=hashes_of([envelope.data.user or "" for envelope in envelopes], seed=seed),
        imported=np.array([envelope.importjob is not None for envelope in envelopes], bool),
        envelopes=envelopes,
        facts={row: slow.fact for row, slow in careful.items() if slow.fact is not None},
        contexts={row: slow.context for row, slow in careful.items() if slow.code is Code.TICK},
        dead={row: (slow.reason, slow.detail) for row, slow in careful.items() if slow.reason is not None},
    )
    decoded.user[decoded.user == hashes_of([""], seed=seed)] = 0
    rowless = [row for row in np.flatnonzero(decoded.imported).tolist() if envelopes[row].importrow is None]
    _refuse(decoded, rowless, detail="importjob stands without importrow")
    bad_times = np.flatnonzero((decoded.at == NONE) & (decoded.code != Code.DEAD)).tolist()
    _refuse(decoded, bad_times, detail="time is not RFC 3339 with an offset")
    for row in quarantined:
        decoded.dead[row] = (Reason.BUG, "the scorer failed on it twice: see the context topic")
    return decoded


def _read_all(values: Sequence[bytes | None]) -> tuple[list[Envelope], list[int], dict[int, _Slow]]:
    """Read every value, most of them the fast way: plain ASCII of a hot kind with nothing unusual in the envelope.

    This loop runs once an event; it is the only one.
    """
    envelopes, codes, careful = [], [], {}
    read, hot = _read_envelope, _HOT
    for row, value in enumerate(values):
        if value is not None and value.isascii():
            try:
                envelope = read(value)
            except (msgspec.MsgspecError, RecursionError):
                envelope = _NOTHING
            code = hot.get(envelope.type)
            if (
                code is not None
                and 0 < len(envelope.id) <= 256
                and 0 < len(envelope.subject) <= 32
                and 0 < len(envelope.source) <= 256
                and envelope.specversion == "1.0"
            ):
                envelopes.append(envelope)
                codes.append(code)
                continue
        slow = careful[row] = _read_carefully(value)
        envelopes.append(slow.envelope)
        codes.append(int(slow.code))
    return envelopes, codes, careful


def _read_carefully(value: bytes | None) -> _Slow:
    if value is None:
        return _dead(Reason.NO_VALUE, "the record has no value")
    try:
        value.decode()
        fields = _read_fields(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _dead(Reason.BAD_JSON, "the value is not one JSON object in UTF-8")
    kind, version = _kind_and_version(fields.get("type"))
    if kind is None:
        return _dead(Reason.SCHEMA, "type is not churn.<kind>.v1")
    if version != "1":
        return _dead(Reason.UNKNOWN_VERSION, f"version {version[:20]} is not known here")
    try:
        return _read_tick(fields) if kind == "tick" else _read_event(value, kind=kind, data=fields.get("data"))
    except (msgspec.MsgspecError, RecursionError) as fault:
        return _dead(Reason.SCHEMA, str(fault)[:200])


def _kind_and_version(field: msgspec.Raw | None) -> tuple[str | None, str]:
    try:
        text = msgspec.json.decode(field or b"", type=str)
    except msgspec.MsgspecError:
        return None, ""
    head, _, rest = text.partition(".")
    kind, _, version = rest.rpartition(".v")
    known = head == "churn" and 1 <= len(kind) <= 100 and version.isascii() and version.isdecimal()
    return (kind, version) if known else (None, "")


def _read_tick(fields: dict[str, msgspec.Raw]) -> _Slow:
    time = msgspec.json.decode(fields.get("time", b""), type=str)
    tick = msgspec.json.decode(fields.get("data", b""), type=Tick)
    if tick.context < -1:
        return _dead(Reason.SCHEMA, "data.context is below -1")
    return _Slow(Code.TICK, Envelope(type=TICK_TYPE, time=time), context=tick.context)


def _read_event(value: bytes, *, kind: str, data: msgspec.Raw | None) -> _Slow:
    envelope = _read_envelope(value)
    if envelope.specversion != "1.0":
        return _dead(Reason.SCHEMA, "specversion is not 1.0")
    for field, length in (("id", len(envelope.id)), ("source", len(envelope.source))):
        if not 1 <= length <= 256:
            return _dead(Reason.SCHEMA, f"{field} is missing or longer than 256 characters")
    if not 1 <= len(envelope.subject.encode()) <= 128:
        return _dead(Reason.SCHEMA, "subject (the account id) is missing or longer than 128 bytes")
    known = Kind(kind) if kind in _KINDS else None
    code = Code.USAGE if known is None else _CODES.get(known, Code.USAGE)
    if known is None and envelope.data.name is None:
        envelope.data.name = kind
    fact = None
    if code in _CHECKED and known in DATA_OF:
        fact = msgspec.json.decode(data or b"{}", type=DATA_OF[known])
    return _Slow(code, envelope, fact=fact)


def _refuse(decoded: Decoded, rows: Sequence[int], *, detail: str) -> None:
    for row in rows:
        decoded.dead[row] = (Reason.SCHEMA, detail)
        decoded.facts.pop(row, None)
        decoded.contexts.pop(row, None)
        decoded.code[row] = Code.DEAD


def _dead(reason: Reason, detail: str) -> _Slow:
    return _Slow(Code.DEAD, _NOTHING, reason=reason, detail=detail)


def hashes_of(texts: Sequence[str], *, seed: int) -> Hashes:
    """Return the keyed hash (xxh3 with the deployment's seed) of each text, never 0."""
    digest = xxhash.xxh3_64_intdigest
    hashes = np.array([digest(text.encode(), seed) for text in texts], np.uint64)
    hashes[hashes == 0] = 1
    return hashes


def _id_hashes(envelopes: Sequence[Envelope], *, seed: int) -> Hashes:
    digest = xxhash.xxh3_64_intdigest
    sources = {envelope.source for envelope in envelopes}
    seeds = {source: digest(source.encode(), seed) for source in sources}
    hashes = np.array([digest(envelope.id.encode(), seeds[envelope.source]) for envelope in envelopes], np.uint64)
    hashes[hashes == 0] = 1
    return hashes


_KINDS: Final = frozenset(Kind)
