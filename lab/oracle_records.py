"""Read one record as the first checks of docs/scoring.md §1 say: dead for a reason, a tick, or an event."""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from shared.contracts.events import DATA_OF, Kind, parse_time

TYPE = re.compile(r"churn\.(.{1,100})\.v([0-9]+)", re.DOTALL)
YEAR_2200 = 7_258_118_400_000
FACTS = {Kind.ACCOUNT, Kind.BILLING, Kind.SURVEY, Kind.SUBSCRIPTION}
CHECKED = FACTS | {Kind.USER, Kind.ERASURE, Kind.SENTIMENT, Kind.OVERRIDE, Kind.GOAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a partition: offset, broker timestamp (epoch ms), key, value and headers."""

    offset: int
    ts: int
    key: bytes | None = None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Dead(Exception):
    """A record that can't be applied; its argument is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A record that says it is `at` now."""

    at: int
    context: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event that is as it must be; `at` is occurred_at."""

    source: str
    id: str
    kind: str
    account: str
    at: int
    data: dict[str, Any]
    job: str | None = None
    row: int | None = None
    """Of an imported event."""


def read(record: Record) -> Tick | Event:
    """Return what a record says; raises Dead."""
    envelope = _envelope(record.value)
    kind = _kind(envelope.get("type"))
    if kind == "tick":
        return _tick(envelope, ts=record.ts)
    data = envelope.get("data", {})
    _require(envelope.get("specversion", "1.0") == "1.0")
    for name in ("id", "source"):
        _require(isinstance(envelope.get(name), str) and 1 <= len(envelope[name]) <= 256)
    _require(isinstance(envelope.get("subject"), str) and 1 <= len(envelope["subject"].encode()) <= 128)
    _require(isinstance(data, dict))
    _require(all(data.get(name) is None or isinstance(data[name], str) for name in ("user", "name")))
    job, row = envelope.get("importjob"), envelope.get("importrow")
    _require(job is None or (isinstance(job, str) and 1 <= len(job) <= 64))
    _require(row is None or (type(row) is int and 0 <= row < 2**53))
    _require(job is None or row is not None)
    if kind in CHECKED:
        try:
            msgspec.convert(data, DATA_OF[Kind(kind)])
        except msgspec.ValidationError:
            raise Dead("schema") from None
    return Event(
        source=envelope["source"],
        id=envelope["id"],
        kind=kind,
        account=envelope["subject"],
        at=_time(envelope),
        data=data,
        job=job,
        row=row,
    )


def _tick(envelope: dict[str, Any], *, ts: int) -> Tick:
    at, data = _time(envelope), envelope.get("data")
    context = data.get("context") if isinstance(data, dict) else None
    if type(context) is not int or not -1 <= context < 2**53:
        raise Dead("schema")
    if at > ts + 5000:
        raise Dead("tick_ahead")
    return Tick(at=at, context=context)


def _envelope(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise Dead("no_value")
    try:
        envelope = json.loads(value.decode("utf-8"), parse_constant=_no_constant, parse_int=_whole)
        json.dumps(envelope, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8
    except (ValueError, RecursionError):
        raise Dead("bad_json") from None
    if not isinstance(envelope, dict):
        raise Dead("bad_json")
    return envelope


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float(digits)  # Python refuses integers of 4,300 digits


def _kind(type_: object) -> str:
    match = TYPE.fullmatch(type_) if isinstance(type_, str) else None
    if match is None:
        raise Dead("schema")
    if match[2] != "1":
        raise Dead("unknown_version")
    return match[1]


def _require(condition: object) -> None:
    if not condition:
        raise Dead("schema")


def _time(envelope: dict[str, Any]) -> int:
    time = envelope.get("time")
    at = parse_time(time) if isinstance(time, str) else None
    if at is None or not 0 <= at < YEAR_2200:
        raise Dead("schema")
    return at
