"""Tell alerts by mail: one thread an alert, with Message-IDs that are the same when a mail must be sent again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiosmtplib

from services.alerts.channels.channel import Broken, Busy, ChannelProblem, Doubtful, Order, Receipt, Refused
from services.alerts.channels.mail_message import Letter, message_id, mime
from services.alerts.core.people import People

TIMEOUT_S: Final = 15.0
BUSY_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """How to reach the mail server. `tls`: implicit, STARTTLS required, or none at all."""

    host: str
    port: int
    sender: str
    tls: str = "starttls"
    username: str | None = None
    password: str | None = None


class MailChannel:
    """Mail as a channel. Targets: an address, or `@address` for a person named by events or journey: staff only."""

    def __init__(self, server: SmtpServer, people: People, *, now: Callable[[], datetime]) -> None:
        self._server = server
        self._people = people
        self._now = now

    async def tell(self, order: Order) -> Receipt:
        """Send one mail. Raises ChannelProblem; a repetition carries the same Message-ID."""
        address = order.target.removeprefix("@")
        if order.target.startswith("@") and not self._people.is_staff(address):
            raise Refused("not staff", person=True)
        domain = self._server.sender.rpartition("@")[2]
        letter = Letter(
            sender=self._server.sender,
            to=address,
            domain=domain,
            revision=order.revision,
            thread=order.handle,
            at=self._now(),
        )
        try:
            written = mime(order.message, letter)
        except ValueError as error:
            raise Refused("not a mail address", person=True) from error
        try:
            await aiosmtplib.send(
                written,
                hostname=self._server.host,
                port=self._server.port,
                username=self._server.username,
                password=self._server.password,
                use_tls=self._server.tls == "tls",
                start_tls=self._server.tls == "starttls",
                timeout=TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _problem(error) from error
        return Receipt(handle=order.handle or message_id(order.message.alert, order.revision, domain))


def _problem(error: Exception) -> ChannelProblem:
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[first, *_]):
            return _by_code(first.code, person=True)
        case aiosmtplib.SMTPConnectError() | aiosmtplib.SMTPConnectTimeoutError():
            return Broken(type(error).__name__)
        case aiosmtplib.SMTPResponseException():
            return _by_code(error.code, person=False)
        case aiosmtplib.SMTPNotSupported() | ValueError():
            return Refused(type(error).__name__)
    return Doubtful(type(error).__name__)


def _by_code(code: int, *, person: bool) -> ChannelProblem:
    if code in {421, 450, 451, 452}:
        return Busy(f"smtp {code}", wait_s=BUSY_S)
    return Refused(f"smtp {code}", person=person) if code >= 500 else Broken(f"smtp {code}")
