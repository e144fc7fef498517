"""Lay a message out as a mail: text and HTML, threaded, marked as automatic."""

from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.alerts.core import words
from services.alerts.core.message import Message, Tone
from services.alerts.core.notice_message import NoticeMessage

MAX_SUBJECT: Final = 150
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_COLOUR: Final = {Tone.CRITICAL: "#c62828", Tone.AT_RISK: "#e67e00", Tone.OPPORTUNITY: "#1565c0", Tone.OVER: "#2e7d32"}

_LIST_COLOUR: Final = "#0b3d91"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a mail needs beyond its message. `thread` is the Message-ID of the first mail of this alert, if any."""

    sender: str
    to: str
    domain: str
    revision: int
    thread: str | None
    at: datetime


def mime(message: Message | NoticeMessage, letter: Letter) -> EmailMessage:
    """Return the mail. Raises ValueError when an address is none."""
    if isinstance(message, NoticeMessage):
        template, subject, colour = "notice", message.title, _LIST_COLOUR
    else:  # all mails of an alert have one subject, or mail readers split the thread
        template, subject, colour = "alert", f"{message.name}: churn risk", _COLOUR[message.tone]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _address(letter.sender, name="Churnwatch")
    mail["To"] = _address(letter.to)
    mail["Subject"] = subject[:MAX_SUBJECT]
    mail["Date"] = format_datetime(letter.at)
    mail["Message-ID"] = message_id(message.alert, letter.revision, letter.domain)
    if letter.thread is not None:
        mail["In-Reply-To"] = letter.thread
        mail["References"] = letter.thread
    mail["List-Id"] = f"Churnwatch alerts <alerts.{letter.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Churnwatch-Alert"] = message.alert
    values = {"message": message, "words": words, "colour": colour}
    mail.set_content(_TEMPLATES.get_template(f"{template}.txt").render(values))
    mail.add_alternative(_TEMPLATES.get_template(f"{template}.html").render(values), subtype="html")
    return mail


def message_id(alert: str, revision: int, domain: str) -> str:
    """Return the Message-ID of an alert's mail at a revision: the same whenever it is sent again."""
    return f"<alert.{alert}.{revision}@{domain}>"


def _address(text: str, *, name: str = "") -> Address:
    try:
        return Address(display_name=name, addr_spec=text)
    except (MessageError, IndexError) as fault:  # what the parser of the standard library raises for "@" and ""
        raise ValueError(f"{text!r} is not a mail address") from fault
