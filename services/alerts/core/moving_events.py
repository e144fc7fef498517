"""Count an account's events that entered or left the windows of measures between two ticks, by day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from services.alerts.core.signals import NO_PRESENCE, Signals, Told, counts_as
from services.alerts.core.windows import DAY_MS, Days, Window, windows_of
from shared.contracts.events import Kind, parse_time, type_of

IDS_SHOWN: Final = 5
MOST_ROWS: Final = 200
MOST_SEEN: Final = 200_000
IN_FUTURE_MS: Final = 300_000
TOO_LATE_MS: Final = 91 * DAY_MS
_ANY_AGE: Final = frozenset(
    {"account", "billing", "survey", "subscription", "user", "goal", "milestone", "outcome", "erasure"}
)


class Move(StrEnum):
    """Whether events came into a window between two ticks, or fell out of it."""

    ENTERED = "entered"
    LEFT = "left"


class DayEvents(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one kind, name and source on one account-day (its date in UTC), and what they did to a window.

    `name` is that of a usage event, or what was said: the status of a payment or contract, which survey. `users` is how
    many distinct users they had; `ids` are the first few.
    """

    day: str
    window: str
    move: Move
    kind: str
    name: str | None
    source: str
    count: int
    users: int
    ids: list[str]


class MeasureEvents(msgspec.Struct, frozen=True, kw_only=True):
    """What moved one measure, the latest day first; `left_out` rows more were fewer events each."""

    measure: str
    days: list[DayEvents]
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Two ticks of an account as days tell them: `since` is when it was erased last, nothing from before counts."""

    days: Days
    earlier: int
    later: int
    since: int


_Anything = str | int | float | bool | list[object] | dict[str, object] | None


class _Data(msgspec.Struct, frozen=True):
    user: str | None = None
    name: str | None = None
    status: _Anything = None
    kind: _Anything = None
    removed: _Anything = None


class _Envelope(msgspec.Struct, frozen=True):
    id: str
    source: str
    type: str
    subject: str
    time: str
    data: _Data = _Data()
    importjob: str | None = None
    importrow: int | None = None


@dataclass(slots=True)
class _Row:
    count: int = 0
    users: set[str] = field(default_factory=set)
    ids: list[str] = field(default_factory=list)


_Key = tuple[str, int, Move, str, str | None, str]


class Tally:
    """Count the events of one account as they are read, in any order of stretches of its log."""

    def __init__(self, account: str, measures: Sequence[str], span: Span, *, signals: Signals) -> None:
        self._account = account
        self._span = span
        self._signals = signals
        self._windows: Mapping[str, Sequence[Window]] = {name: windows_of(name) for name in measures}
        self._distinct = {window.name: window for windows in self._windows.values() for window in windows}
        self._rows: dict[_Key, _Row] = {}
        self._seen: set[tuple[str, str]] = set()

    @property
    def is_full(self) -> bool:
        """Whether no more can be told apart from what came already."""
        return len(self._seen) >= MOST_SEEN

    def days(self) -> list[int]:
        """Return the account-days that are in a window as of one of the two ticks only, the latest first."""
        span, windows = self._span, self._distinct.values()
        earlier, later = span.days.of(span.earlier), span.days.of(span.later)
        return sorted({day for window in windows for day in window.moved(earlier, later)}, reverse=True)

    def take(self, value: bytes | None, *, received_at: int, before: bool) -> None:
        """Count a record of the log, received at a broker time (epoch ms), `before` the earlier tick or since.

        What the scorer would set aside, and what came before, changes nothing.
        """
        event = _read(value)
        if event is None or event.subject != self._account:
            return
        kind, at, job = event.type.removeprefix("churn.").removesuffix(".v1"), parse_time(event.time), event.importjob
        if at is None or at < self._span.since or event.type != type_of(kind):
            return
        known = (event.source, event.id) if job is None else (job, str(event.importrow))
        if known in self._seen or not _accepted(kind, at, received_at, imported=job is not None):
            return
        self._seen.add(known)
        self._count(event, kind, at, before=before)

    def results(self) -> list[MeasureEvents]:
        """Return what was counted, measure by measure."""
        return [self._result(measure, windows) for measure, windows in self._windows.items()]

    def _count(self, event: _Envelope, kind: str, at: int, *, before: bool) -> None:
        days, counted = self._span.days, counts_as(_told(event, kind), self._signals)
        day, earlier, later = days.of(at), days.of(self._span.earlier), days.of(self._span.later)
        for window in self._distinct.values():
            if window.of not in counted:
                continue
            was, became = before and window.holds(day, today=earlier), window.holds(day, today=later)
            if was != became:
                move = Move.ENTERED if became else Move.LEFT
                key = (window.name, day, move, kind, _name(kind, event.data), event.source)
                row = self._rows.setdefault(key, _Row())
                row.count += 1
                if event.data.user:
                    row.users.add(event.data.user)
                if len(row.ids) < IDS_SHOWN:
                    row.ids.append(event.id)

    def _result(self, measure: str, windows: Sequence[Window]) -> MeasureEvents:
        names = {window.name for window in windows}
        rows = [(key, row) for key, row in self._rows.items() if key[0] in names]
        kept = sorted(rows, key=lambda one: -one[1].count)[:MOST_ROWS]
        kept.sort(key=lambda one: (-one[0][1], -one[1].count, one[0][0], one[0][3], one[0][4] or ""))
        return MeasureEvents(
            measure=measure, days=[_shown(key, row) for key, row in kept], left_out=len(rows) - len(kept)
        )


def date_of(day: int) -> str:
    """Return the date (UTC) on which an account-day begins."""
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date().isoformat()


def _read(value: bytes | None) -> _Envelope | None:
    try:
        return _ENVELOPE.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _name(kind: str, data: _Data) -> str | None:
    """Return what the event says happened; the name of an account is none of an event."""
    return _text(data.status) or _text(data.kind) if kind in NO_PRESENCE else data.name


def _told(event: _Envelope, kind: str) -> Told:
    data = event.data
    return Told(
        kind=kind,
        source=event.source,
        name=kind if data.name is None and kind not in set(Kind) else data.name,
        user=data.user,
        said=_text(data.kind),
        removed=data.removed is True,
    )


def _text(value: _Anything) -> str | None:
    return value if isinstance(value, str) else None


def _accepted(kind: str, at: int, received_at: int, *, imported: bool) -> bool:
    if kind == Kind.ERASURE or at > received_at + IN_FUTURE_MS:
        return False
    return imported or kind in _ANY_AGE or at >= received_at - TOO_LATE_MS


def _shown(key: _Key, row: _Row) -> DayEvents:
    window, day, move, kind, name, source = key
    return DayEvents(
        day=date_of(day),
        window=window,
        move=move,
        kind=kind,
        name=name,
        source=source,
        count=row.count,
        users=len(row.users),
        ids=row.ids,
    )


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
