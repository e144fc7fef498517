"""Lay a message out as Slack blocks, within Slack's limits; customers' words can't mention, link or format."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.alerts.channels.buttons import Buttons
from services.alerts.core import words
from services.alerts.core.message import Message, Tone
from services.alerts.core.notice_message import NoticeMessage

MAX_BLOCKS: Final = 48
"""Slack takes 50; two are for buttons."""
MAX_HEADER: Final = 150
MAX_SECTION: Final = 3000
MAX_FIELD: Final = 2000
MAX_CONTEXT: Final = 10
MAX_TOTAL: Final = 10_000
"""Slack refuses somewhere above 13,000 characters over all blocks, without saying where."""
LINES_A_SECTION: Final = 10
EVENT_TYPE: Final = "churn_alert"

Block = dict[str, Any]
_ICON: Final[Mapping[Tone, str]] = {
    Tone.CRITICAL: "🔴",
    Tone.AT_RISK: "🟠",
    Tone.OPPORTUNITY: "🟢",
    Tone.OVER: "✅",
}
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def payload(
    message: Message | NoticeMessage, *, revision: int, mention: str | None = None, buttons: Buttons | None = None
) -> Mapping[str, Any]:
    """Return the arguments of chat.postMessage and chat.update but for the channel.

    `mention` is the Slack id of the owner. The metadata let an uncertain post be looked up.
    """
    if isinstance(message, NoticeMessage):
        text, laid = escape(message.title, 300), notice_blocks(message)
    else:
        text, laid = f"{_ICON[message.tone]} {escape(message.title, 300)}", blocks(message, mention=mention)
        laid = [*laid, *buttons.of(message)] if buttons else laid
    return {
        "text": text,
        "blocks": laid,
        "metadata": metadata(message, revision=revision, kind="alert"),
        "unfurl_links": False,
        "unfurl_media": False,
    }


def reply(message: Message, *, revision: int, mention: str | None = None) -> Mapping[str, Any]:
    """Return the arguments of the thread reply that notifies: an edit does not."""
    who = f"<@{mention}> " if mention else ""
    return {
        "text": f"{who}{_ICON[Tone.CRITICAL]} {escape(message.worsened, 300)}",
        "metadata": metadata(message, revision=revision, kind="reply"),
        "unfurl_links": False,
        "unfurl_media": False,
    }


def metadata(message: Message | NoticeMessage, *, revision: int, kind: str) -> Mapping[str, Any]:
    """Return what a post carries for machines: the alert's id and revision."""
    values = {"alert_id": message.alert, "revision": revision, "kind": kind}
    return {"event_type": EVENT_TYPE, "event_payload": values}


def blocks(message: Message, *, mention: str | None = None) -> Sequence[Block]:
    """Return the blocks of a message, at most 50 of them and 10,000 characters over all."""
    laid = list(_blocks(message, mention))
    while len(laid) > MAX_BLOCKS or _size(laid) > MAX_TOTAL:
        del laid[-3]  # status and header stay
    return laid


def notice_blocks(message: NoticeMessage) -> Sequence[Block]:
    """Return the blocks of a notice, within Slack's limits; what does not fit is counted by its message."""
    laid = [{"type": "header", "text": _plain(message.title, MAX_HEADER)}, _section(escape(message.intro, 1000))]
    lines = [f"{'~' if line.over else ''}{escape(line.text, 250)}{'~' if line.over else ''}" for line in message.lines]
    laid += [
        _section("\n".join(f"• {line}" for line in lines[first : first + LINES_A_SECTION]))
        for first in range(0, len(lines), LINES_A_SECTION)
    ]
    if message.more:
        laid.append(_section(escape(message.more, 300)))
    if message.note:
        laid.append({"type": "context", "elements": [_plain(f"⚠️ {message.note}", 500)]})
    return laid


def escape(text: str, limit: int) -> str:
    """Return text that mrkdwn shows as it is, at most `limit` characters after escaping, no entity cut in two."""
    escaped = [_ENTITIES.get(c, c) for c in text]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    size, kept = 0, []
    for piece in escaped:
        size += len(piece)
        if size > limit - 1:
            break
        kept.append(piece)
    return "".join(kept) + "…"


def _blocks(message: Message, mention: str | None) -> Iterator[Block]:
    yield {"type": "header", "text": _plain(f"{_ICON[message.tone]} {message.title}", MAX_HEADER)}
    for point in message.points:
        detail = f"\n{escape(point.detail, 1000)}" if point.detail else ""
        mark = "~" if point.over else "*"
        yield _section(f"{mark}{escape(point.headline, 500)}{mark}{detail}")
    if message.more:
        yield _section(escape(message.more, 500))
    yield {"type": "section", "fields": list(_fields(message, mention))}
    if message.costs:
        yield _section("\n".join((f"*{words.COSTS}*", *_bullets(message.costs), _sum(message))))
    if message.steps:
        yield {"type": "divider"}
        yield _section("\n".join((_steps_title(message), *_numbered(message.steps))))
    yield {"type": "context", "elements": list(_context(message))}


def _fields(message: Message, mention: str | None) -> Iterator[Block]:
    yield _field(words.AT_STAKE, escape(message.worth, 200))
    yield _field(words.RENEWAL, escape(message.renewal, 200))
    yield _field(words.HEALTH, escape(message.health, 200))
    if mention:
        yield _field(words.OWNER, f"<@{mention}>")
    else:
        # plain text: Slack would make a link of an address, and the address is a customer's word
        yield _plain(f"{words.OWNER}\n{message.owner or words.NOT_KNOWN}", MAX_FIELD)


def _context(message: Message) -> Iterator[Block]:
    if message.note:
        yield _plain(f"⚠️ {message.note}", 500)
    if message.verdict:
        yield _plain(message.verdict, 500)
    for word in message.words:
        yield _plain(word, 500)
    yield _plain(message.status, 500)
    yield _plain(f"{words.ACCOUNT} {message.account}", 300)
    yield _plain(message.precision, 300)


def _sum(message: Message) -> str:
    return f"_{words.HEALTH}: {escape(message.cost_sum or '', 200)}_"


def _steps_title(message: Message) -> str:
    link = f"  (<{escape(message.playbook_url, 1000)}|{words.PLAYBOOK}>)" if message.playbook_url else ""
    return f"*{words.STEPS}*{link}"


def _bullets(lines: Sequence[str]) -> Iterator[str]:
    return (f"• {escape(line, 300)}" for line in lines)


def _numbered(lines: Sequence[str]) -> Iterator[str]:
    return (f"{number}. {escape(line, 300)}" for number, line in enumerate(lines, start=1))


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _field(label: str, value: str) -> Block:
    return {"type": "mrkdwn", "text": f"*{label}*\n{value}"}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": text if len(text) <= limit else text[: limit - 1] + "…", "emoji": False}


def _size(laid: Sequence[Block]) -> int:
    return sum(len(text) for block in laid for text in _texts(block))


def _texts(block: Block) -> Iterator[str]:
    for part in (block.get("text"), *block.get("fields", ()), *block.get("elements", ())):
        if part:
            yield part["text"]
