"""Start the real servers that tests talk to, on free ports and in temporary folders."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol, TypeVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.kafka import LocalKafka
from deploy.local.redis import LocalRedis
from deploy.local.server import HOST, free_port
from shared.contracts.topics import Topic
from shared.kafka import create_topics

SMTP_ATTEMPTS = 3


class Startable(Protocol):
    """A server as the fixtures see it."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


R = TypeVar("R", bound=Startable)


@contextmanager
def running(server: R) -> Iterator[R]:
    """Start a server and stop it at the end, whatever happens in between."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


def kafka_in(folder: Path) -> LocalKafka:
    """Return a broker of our own, not started; start, kill and start again as the test needs."""
    return LocalKafka(folder / "kafka")


def redis_in(folder: Path) -> LocalRedis:
    """Return a Redis of our own, not started."""
    return LocalRedis(folder / "redis")


class Mailbox:
    """A real SMTP server that keeps what it is sent; `refuse` may answer for a recipient instead of accepting it."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refuse: Callable[[str], str | None] = lambda _address: None
        self.host = HOST
        self.port = 0
        self._controller: Controller | None = None

    def start(self) -> None:
        for attempt in range(1, SMTP_ATTEMPTS + 1):
            controller = Controller(self, hostname=HOST, port=free_port())
            try:
                controller.start()
            except OSError:
                if attempt == SMTP_ATTEMPTS:
                    raise
            else:
                self._controller, self.port = controller, controller.port
                return

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def empty(self) -> None:
        """Forget every message and refuse nobody, as at the start of a test."""
        self.messages.clear()
        self.refuse = lambda _address: None

    async def handle_RCPT(  # noqa: N802  the name aiosmtpd looks for
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        answer = self.refuse(address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  likewise
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        self.messages.append(message_from_bytes(raw, EmailMessage, policy=policy.default))
        return "250 OK"


async def fresh_topic(bootstrap: str, like: Topic) -> str:
    """Create a topic with the settings of `like` under a name of its own and return the name."""
    name = f"test.{uuid.uuid4().hex[:12]}.{like.name}"
    await create_topics(bootstrap, [replace(like, name=name)])
    return name
