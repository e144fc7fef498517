"""Give tests an ingest with a publisher in memory, and the requests that real SDKs sent."""

import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.ingest.api import Ingest
from services.ingest.app import http_app
from services.ingest.core.identity import user_hasher
from services.ingest.core.sources import Sources
from services.ingest.identity_map import IdentityMap
from services.ingest.metrics import Metrics
from services.ingest.recent_api import Readers
from shared.contracts.events import Event
from shared.contracts.health import AccountHealth
from shared.contracts.recent import Fated
from shared.contracts.topics import DEAD_LETTERS, EVENTS, UNATTRIBUTED
from shared.health_store import Point
from shared.keys import KeyRing, Mode, Scope, create, revoked
from shared.publish import NotDurable, Record

RECORDINGS = Path(__file__).parents[1] / "recordings"
PEPPER = b"p" * 32
USER_KEY = b"u" * 32
DEAD_LETTER_KEY = b"d" * 32


class MemoryPublisher:
    """Keep what is published; `fault` refuses everything instead."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.fault: NotDurable | None = None

    async def publish(self, records: Sequence[Record]) -> None:
        if self.fault is not None:
            raise self.fault
        self.records += records

    async def publish_in_order(self, topic: str, records: Sequence[tuple[str, bytes]]) -> None:
        await self.publish([Record(topic=topic, key=key.encode(), value=value) for key, value in records])


class Bench:
    """An ingest without Kafka: its application, its keys, and what it published."""

    def __init__(self, sources: Sources | None = None) -> None:
        self.publisher = MemoryPublisher()
        self.users = IdentityMap()
        self.loaded = True
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.ring = KeyRing(PEPPER)
        self.key = self.new_key()
        ingest = Ingest(
            publisher=self.publisher,
            find_key=self.ring.check,
            known=self.users.get,
            learn=self.users.learn,
            loaded=lambda: self.loaded,
            hashed=user_hasher(USER_KEY),
            dead_letter_key=DEAD_LETTER_KEY,
            sources=sources or Sources(),
            metrics=self.metrics,
            note=self._note,
        )
        self.recent: list[Fated] = []
        self.healths: dict[str, AccountHealth] = {}
        self.history: dict[str, Sequence[Point]] = {}
        self.live = ingest.live
        self.app: FastAPI = http_app(
            ingest,
            self._ready,
            readers=Readers(last=self._last, health=self._health),
            put_history=self._put_history,
            registry=self.registry,
        )

    def new_key(self, *scopes: Scope, mode: Mode = Mode.LIVE) -> str:
        key, record = create(scopes=scopes or (Scope.INGEST,), source="web-app", pepper=PEPPER, mode=mode)
        self.ring.records[record.id] = record
        return key

    def revoke(self, key: str) -> None:
        key_id = key.split("_")[1]
        self.ring.records[key_id] = revoked(self.ring.records[key_id])

    def client(self, *, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers)

    async def send(self, body: object, path: str = "/v1/batch", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.client() as client:
            return await client.post(path, content=content, headers={"Authorization": basic(self.key), **headers})

    @property
    def events(self) -> list[Event]:
        return [msgspec.json.decode(record.value or b"", type=Event) for record in self.of(EVENTS)]

    @property
    def waiting(self) -> list[Event]:
        return [msgspec.json.decode(record.value or b"", type=Event) for record in self.of(UNATTRIBUTED)]

    @property
    def dead(self) -> list[Record]:
        return self.of(DEAD_LETTERS)

    def of(self, topic: str) -> list[Record]:
        return [record for record in self.publisher.records if record.topic == topic]

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def _note(self, source: str, fates: Sequence[Fated]) -> None:
        assert source == "web-app"
        self.recent += fates

    async def _last(self, _source: str) -> list[Fated]:
        return self.recent

    async def _health(self, account: str) -> AccountHealth | None:
        return self.healths.get(account)

    async def _put_history(self, points: Mapping[str, Sequence[Point]]) -> None:
        self.history |= points

    async def _ready(self) -> dict[str, bool]:
        return {"kafka": True}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One request as a real SDK sent it, to be sent again with another key."""

    name: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] = field(repr=False)

    def content(self) -> bytes:
        """Return the body's bytes, packed as the client packed them."""
        text = json.dumps({key: value for key, value in self.body.items() if key != "writeKey"}).encode()
        return gzip.compress(text) if self.headers.get("content-encoding") == "gzip" else text


def recorded() -> Iterator[Recorded]:
    """Yield every recorded request of the SDKs that speak Segment's dialect."""
    for path in sorted(RECORDINGS.glob("*.json")):
        for number, request in enumerate(json.loads(path.read_text("utf-8"))["requests"]):
            dropped = {"host", "content-length", "authorization", "connection"}
            headers = {name.lower(): value for name, value in request["headers"] if name.lower() not in dropped}
            yield Recorded(name=f"{path.stem}/{number}", path=request["path"], headers=headers, body=request["body"])


def basic(key: str) -> str:
    """Return the header with which SDKs send their write key: user name, no password."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def data(event: Event) -> dict[str, Any]:
    """Return an event's data as plain values."""
    found: dict[str, Any] = msgspec.json.decode(event.data)
    return found
