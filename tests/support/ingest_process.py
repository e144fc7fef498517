"""Run the real ingest as a process against real Kafka, and read what it left there."""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

import httpx
import msgspec
from aiokafka.structs import ConsumerRecord

from deploy.local.server import HOST, Server, free_port
from shared import kafka
from shared.contracts.events import Event
from shared.contracts.topics import EVENTS, TOPICS, UNATTRIBUTED
from shared.keys import Scope, create, publish
from tests.support.ingest import DEAD_LETTER_KEY, PEPPER, USER_KEY
from tests.support.waiting import eventually

READY_S = 30.0
Kept: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"


class IngestProcess:
    """One `python -m services.ingest` on a free port."""

    def __init__(self, folder: Path, bootstrap: str, **environment: str) -> None:
        self.port = free_port()
        self._log = folder / f"ingest-{self.port}.log"
        self._environment = {
            "CHURNWATCH_KAFKA": bootstrap,
            "CHURNWATCH_INGEST_PORT": str(self.port),
            "CHURNWATCH_USER_HASH_KEY": USER_KEY.hex(),
            "CHURNWATCH_DEAD_LETTER_KEY": DEAD_LETTER_KEY.hex(),
            "CHURNWATCH_KEY_PEPPER": PEPPER.hex(),
            **environment,
        }
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        self.start_unready()
        try:
            eventually(self.is_ready, within_s=READY_S)
        except BaseException:
            self.kill()
            raise

    def start_unready(self) -> None:
        """Start and return when it answers at all."""
        command = [sys.executable, "-m", "services.ingest"]
        self._server = Server(command, log=self._log, environment=self._environment)
        self._server.wait_until(lambda: self.status("/healthz") == 200, timeout_s=READY_S)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()

    def is_running(self) -> bool:
        return self._server is not None and self._server.is_running()

    def log(self) -> str:
        return self._log.read_text("utf-8", errors="replace")

    def is_ready(self) -> bool:
        return self.status("/readyz") == 200

    def status(self, path: str) -> int:
        """Return the status of a GET, 0 when nobody answers."""
        try:
            return httpx.get(self.url + path, timeout=5).status_code
        except httpx.TransportError:
            return 0


async def make_topics(bootstrap: str) -> None:
    """Create every topic of the design."""
    await kafka.create_topics(bootstrap, TOPICS.values())


async def new_key(bootstrap: str, source: str = "web-app", scopes: Collection[Scope] = (Scope.INGEST,)) -> str:
    """Create a key as `churnwatch key create` does and return it."""
    key, record = create(scopes=scopes, source=source, pepper=PEPPER)
    producer = kafka.producer(bootstrap)
    await producer.start()
    try:
        await publish(producer, record)
    finally:
        await producer.stop()
    return key


async def kept(bootstrap: str, topic: str) -> list[Kept]:
    """Return every record of a topic."""
    return [record async for record in kafka.read_to_end(bootstrap, topic)]


async def events(bootstrap: str, topic: str = EVENTS) -> list[Event]:
    """Return every event of a topic, in each partition's order, without ticks."""
    records = [record for record in await kept(bootstrap, topic) if record.key is not None]
    return [_DECODER.decode(record.value) for record in records if record.value is not None]


async def waiting(bootstrap: str) -> list[Event]:
    """Return every event that was ever put to wait for its account."""
    return await events(bootstrap, UNATTRIBUTED)


_DECODER = msgspec.json.Decoder(Event)
