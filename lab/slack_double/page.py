"""Render the workspace as a page that looks like Slack."""

import html
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup

from lab.slack_double.workspace import Said, Workspace

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(("html",)),
    trim_blocks=True,
    lstrip_blocks=True,
)
_MARKS: Final = ((r"\*", "strong"), ("_", "em"), ("~", "s"), ("`", "code"))
_TOKEN: Final = re.compile(r"<([^<>]+)>")


def render(workspace: Workspace, *, channel: str | None) -> str:
    """Return the page of one channel, by id; without one that of the last message."""
    rooms = list(dict.fromkeys(message.channel for message in reversed(workspace.messages.values())))
    shown = channel or (rooms[0] if rooms else "")
    messages = list(reversed(workspace.in_channel(shown)))
    return _TEMPLATES.get_template("channel.html").render(
        channels=[(room, workspace.name_of(room)[1:]) for room in sorted(rooms) if room.startswith("C")],
        people=[(room, workspace.name_of(room)) for room in sorted(rooms) if room.startswith("D")],
        shown=shown,
        title=workspace.name_of(shown) if shown else "#nothing-yet",
        messages=[_message(workspace, message) for message in messages],
    )


def message_html(workspace: Workspace, message: Said) -> str:
    """Return one message with its thread as it stands on the page, for another page to show."""
    return _TEMPLATES.get_template("said.html").render(message=_message(workspace, message))


def mrkdwn(workspace: Workspace, text: str) -> Markup:
    """Return Slack's mark-up as HTML. Nothing but its own tokens becomes a tag."""
    pieces, at = [], 0
    for token in _TOKEN.finditer(text):
        pieces += [_formatted(text[at : token.start()]), _reference(workspace, token[1])]
        at = token.end()
    return Markup("".join([*pieces, _formatted(text[at:])]))  # noqa: S704  every piece is escaped above


def _message(workspace: Workspace, message: Said) -> Mapping[str, Any]:
    replies = workspace.replies(message.channel, message.ts)[1:]
    return {
        "channel": message.channel,
        "ts": message.ts,
        "at": _clock(message),
        "edited": message.edits > 0,
        "blocks": [_block(workspace, block) for block in message.blocks],
        "text": mrkdwn(workspace, message.text),
        "replies": [{"at": _clock(reply), "text": mrkdwn(workspace, reply.text)} for reply in replies],
    }


def _block(workspace: Workspace, block: Mapping[str, Any]) -> Mapping[str, Any]:
    if block["type"] == "actions":
        return {"type": "actions", "buttons": [_button(element) for element in block["elements"]]}
    return {
        "type": block["type"],
        "text": _text(workspace, block["text"]) if block.get("text") else None,
        "fields": _texts(workspace, block.get("fields", ())),
        "elements": _texts(workspace, block.get("elements", ())),
    }


def _button(element: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "action_id": element["action_id"],
        "text": element["text"]["text"],
        "primary": element.get("style") == "primary",
    }


def _texts(workspace: Workspace, parts: Sequence[Mapping[str, Any]]) -> Sequence[Markup]:
    return [_text(workspace, part) for part in parts]


def _text(workspace: Workspace, part: Mapping[str, Any]) -> Markup:
    if part["type"] == "plain_text":
        return Markup(html.escape(part["text"]).replace("\n", "<br>"))  # noqa: S704  escaped right here
    return mrkdwn(workspace, part["text"])


def _formatted(text: str) -> str:
    escaped = html.escape(html.unescape(text))
    for mark, tag in _MARKS:
        escaped = re.sub(rf"(?<!\w){mark}(?=\S)([^\n]+?)(?<=\S){mark}(?!\w)", rf"<{tag}>\1</{tag}>", escaped)
    return escaped.replace("\n", "<br>")


def _reference(workspace: Workspace, token: str) -> str:
    target, _, label = token.partition("|")
    if target.startswith("@"):
        name = (workspace.email_of(target[1:]) or target[1:]).partition("@")[0]
        return f'<span class="mention">@{html.escape(name)}</span>'
    if target.startswith("!"):
        return f'<span class="mention">@{html.escape(target[1:])}</span>'
    safe = target if target.startswith(("https://", "http://", "mailto:")) else "#"
    return f'<a href="{html.escape(html.unescape(safe))}">{html.escape(html.unescape(label or target))}</a>'


def _clock(message: Said) -> str:
    return f"{datetime.fromtimestamp(message.posted_at, UTC):%H:%M}"
