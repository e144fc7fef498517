"""Judge the rows of a history: each becomes an imported event under its job and row, or a rejection."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from services.ingest.core.identity import Belonging, is_account, newer, user_key
from services.ingest.core.item import MAX_ID_CHARS, MAX_NAME_CHARS, Reason, Rejection
from shared.contracts.events import (
    DATA_OF,
    Activity,
    Imported,
    Kind,
    source_of,
    type_of,
    wire_time,
)

MOST_ROWS: Final = 5_000
LEAD_MS: Final = 300_000
YEAR_2200_MS: Final = 7_258_118_400_000


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One row as an import sends it: an array in this order; `time` is epoch ms, `data` the object of a fact's kind."""

    row: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    account: str
    time: int
    kind: str
    source: str | None = None
    user: str | None = None
    name: str | None = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A row that can't be an event, and why."""

    row: int | None
    rejection: Rejection


@dataclass(slots=True, kw_only=True)
class Judged:
    """What became of the rows of one request: encoded events by account in order, refusals, what users teach."""

    events: list[tuple[str, bytes]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    learned: dict[str, Belonging] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What judging the rows of one request stands on; `known` tells where a user belongs so far."""

    id: str
    source: str
    received_ms: int
    hashed: Callable[[str], str]
    known: Callable[[str], Belonging | None]


class NotRows(ValueError):
    """The body as a whole is no list of rows in ascending order; sending it again can't help."""


def read_rows(body: bytes) -> Sequence[Row | Refusal]:
    """Return the rows of a body in order; raises NotRows."""
    try:
        rows: Sequence[Row | Refusal] = _ROWS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        rows = _read_singly(body)
    if len(rows) > MOST_ROWS:
        raise NotRows(f"{len(rows)} rows: send at most {MOST_ROWS} at once")
    last = -1
    for row in rows:
        if row.row is not None and row.row <= last:
            raise NotRows(f"row {row.row} comes after row {last}: rows must ascend")
        last = last if row.row is None else row.row
    return rows


def judge(rows: Sequence[Row | Refusal], job: Job, *, into: Judged) -> None:
    """Add what becomes of some rows, in order, to `into`."""
    for row in rows:
        found = _event(row, job) if isinstance(row, Row) else row
        if isinstance(found, Refusal):
            into.refused.append(found)
            continue
        event, user = found
        into.events.append((event.subject, _ENCODER.encode(event)))
        if user is not None and isinstance(row, Row):
            _learn(row, user, job, into=into)


def _event(row: Row, job: Job) -> tuple[Imported, str | None] | Refusal:
    fault = next(_faults(row, job), None)
    if fault is not None:
        return _refused(row, *fault)
    user = None if row.user is None else job.hashed(row.user)
    data = _data(row, user)
    if isinstance(data, Refusal):
        return data
    event = Imported(
        id=f"{job.id}-{row.row}",
        source=_source(row.source or job.source),
        type=_TYPES[row.kind],
        subject=row.account,
        time=wire_time(row.time),
        receivedat=_received(job.received_ms),
        data=data,
        importjob=job.id,
        importrow=row.row,
    )
    return event, user


def _faults(row: Row, job: Job) -> Iterator[tuple[Reason, str]]:
    if not is_account(row.account):
        yield Reason.INVALID_ACCOUNT, "account"
    if row.kind not in _KINDS:
        yield Reason.INVALID_VALUE, f"kind: use one of {', '.join(Kind)}"
    if not 0 <= row.time < YEAR_2200_MS or row.time > job.received_ms + LEAD_MS:
        yield Reason.INVALID_TIMESTAMP, "time: before 1970, or in the future"
    if row.user is not None and not 0 < len(row.user) <= MAX_ID_CHARS:
        yield Reason.INVALID_USER, "user"
    if row.name is not None and (len(row.name) > MAX_NAME_CHARS or not row.name.isprintable()):
        yield Reason.INVALID_NAME, "name"
    if row.source is not None and not _is_source(row.source):
        yield Reason.INVALID_FIELD, "source: 1 to 64 letters, digits, '.', '_' or '-'"


def _data(row: Row, user: str | None) -> msgspec.Raw | Refusal:
    kind = Kind(row.kind)
    type_ = DATA_OF.get(kind)
    if type_ is Activity:
        return _activity(user, row.name)
    said = dict(row.data or {})
    said.pop("user", None)
    if user is not None:
        said["user"] = user
    if type_ is None:
        return msgspec.Raw(_ENCODER.encode({**said, "name": row.name} if row.name else said))
    try:
        return msgspec.Raw(_ENCODER.encode(msgspec.convert(said, type_)))
    except msgspec.ValidationError as fault:
        return _refused(row, Reason.INVALID_FIELD, f"data: {fault}")


@lru_cache(maxsize=1 << 14)
def _activity(user: str | None, name: str | None) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(Activity(user=user, name=name)))


@lru_cache(maxsize=1 << 10)
def _source(name: str) -> str:
    return source_of(name)


@lru_cache(maxsize=1 << 10)
def _is_source(name: str) -> bool:
    return 0 < len(name) <= 64 and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)


@lru_cache(maxsize=8)
def _received(at_ms: int) -> str:
    return wire_time(at_ms)


def _learn(row: Row, user: str, job: Job, *, into: Judged) -> None:
    """Take note of where a user belongs, unless that is known: a history repeats it with every row."""
    key = user_key(row.source or job.source, user)
    known, told = into.learned.get(key) or job.known(key), Belonging(account=row.account, at=row.time)
    if (known is None or known.account != row.account) and newer(known, told):
        into.learned[key] = told


def _read_singly(body: bytes) -> list[Row | Refusal]:
    try:
        raws = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise NotRows(f"the body is no JSON array of rows: {fault}") from None
    return [_read_row(bytes(raw)) for raw in raws]


def _read_row(raw: bytes) -> Row | Refusal:
    try:
        return _ROW.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        return Refusal(row=_number(raw), rejection=Rejection(reason=Reason.MALFORMED, detail=str(fault), raw=raw))


def _number(raw: bytes) -> int | None:
    try:
        return msgspec.json.decode(raw, type=_Numbered).row
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _Numbered(msgspec.Struct, array_like=True):
    row: int


def _refused(row: Row, reason: Reason, detail: str) -> Refusal:
    return Refusal(row=row.row, rejection=Rejection(reason=reason, detail=detail, raw=_ENCODER.encode(row)))


_KINDS: Final = frozenset(Kind)
_TYPES: Final = {kind.value: type_of(kind) for kind in Kind}
_ROWS: Final = msgspec.json.Decoder(list[Row])
_ROW: Final = msgspec.json.Decoder(Row)
_ENCODER: Final = msgspec.json.Encoder()
