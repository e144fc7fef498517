"""Make the alert API with as much behind it as a test needs."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.alerts.api import Api
from services.alerts.app import http_app
from services.alerts.book import Book, NoticeBook
from services.alerts.core.signals import Signals
from services.alerts.event_log import EventLog
from services.alerts.milestones import Milestones
from services.alerts.past_api import Past
from services.alerts.scores import Scores
from shared.contracts.alerts import Command
from shared.health_store import HealthStore
from shared.key_search import KeySearch
from shared.keys import KeyRecord
from shared.publish import Record

Publish = Callable[[Sequence[Record]], Awaitable[None]]


def unconnected_app(*, loaded: bool) -> FastAPI:
    """Return the application as it answers before it looks at anything; `loaded` says whether keys are known."""
    return app_of(past_of(Redis(), KeySearch("127.0.0.1:9")), key=None, loaded=loaded)


def app_of(past: Past, *, key: KeyRecord | None, loaded: bool = True, publish: Publish | None = None) -> FastAPI:
    """Return the application; whatever key is presented counts as `key`, and events go to `publish`."""
    book = Book()
    api = Api(
        store=past.store,
        past=past,
        book=book,
        notices=NoticeBook(),
        find_key=lambda _presented: key,
        loaded=lambda: loaded,
        send=_never,
        milestones=Milestones(publish=publish or _never, send=_never, alert_of=book.of),
        now_ms=past.now_ms,
        new_id=lambda: uuid.uuid4().hex,
    )
    return http_app(api, _ready, registry=CollectorRegistry())


def past_of(redis: Redis, search: KeySearch, *, events: EventLog | None = None, now: int = 0) -> Past:
    """Return what answers about the past at a moment (epoch ms)."""
    return Past(
        store=HealthStore(redis),
        scores=Scores(search),
        events=events or EventLog(search),
        signals=Signals(key_features=frozenset({"Export"})),
        now_ms=lambda: now,
    )


async def _never(_said: Command | Sequence[Record]) -> None:
    raise AssertionError


async def _ready() -> Mapping[str, bool]:
    return {}
