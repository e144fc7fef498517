"""Say a notice: a list of accounts, that a source fell silent, or that its hold ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.alerts.core import words
from services.alerts.core.message import clean, moment
from services.alerts.core.routing import Note
from shared.contracts.notices import ListedAlert, Notice

SHOWN: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One account of a list."""

    text: str
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeMessage:
    """A notice in words; `alert` is its id, as the look-up of an uncertain post names it. Unescaped, one line each."""

    alert: str
    owner: str | None
    title: str
    intro: str
    lines: Sequence[Line]
    more: str | None
    note: str | None


def notice_message(notice: Notice) -> NoticeMessage:
    """Return what a notice says at its revision."""
    if notice.kind in words.INCIDENT:
        return _incident(notice)
    shown = notice.items[:SHOWN]
    owner = clean(notice.owner or "") or None
    return NoticeMessage(
        alert=notice.id,
        owner=owner,
        title=words.list_title(notice.kind, len(notice.items)),
        intro=words.LIST_INTRO[notice.kind],
        lines=[Line(text=_line(item), over=item.over) for item in shown],
        more=words.more_accounts(len(notice.items) - len(shown)) if len(notice.items) > len(shown) else None,
        note=_note(notice),
    )


def _note(notice: Notice) -> str | None:
    if notice.delivery.note is None:
        return None
    return words.NOTE[Note(notice.delivery.note)].format_map({"owner": clean(notice.owner or "")})


def _line(item: ListedAlert) -> str:
    reasons = ", ".join(words.label(rule) for rule in item.rules) or words.NOT_KNOWN
    name = clean(item.name or item.account)
    return clean(f"{name}: {reasons} · {words.money(item.arr, item.currency)}", 300)


def _incident(notice: Notice) -> NoticeMessage:
    source, event = clean((notice.source or "").removeprefix("/sources/")), clean(notice.event or "")
    what = words.event_of(source, event) if event else words.source(source)
    title, text = words.INCIDENT[notice.kind], words.INCIDENT_TEXT[notice.kind]
    since, until = moment(notice.created_at), ""
    if notice.ended_at is not None:
        title, text, until = words.SOURCE_BACK, words.SOURCE_BACK_TEXT, moment(notice.ended_at)
    return NoticeMessage(
        alert=notice.id,
        owner=None,
        title=title.format_map({"what": what}),
        intro=text.format_map({"accounts": notice.accounts, "since": since, "until": until}),
        lines=[],
        more=None,
        note=_note(notice),
    )
