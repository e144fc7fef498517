"""Put the ingest together: the only place that knows all its parts."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial

import structlog
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry
from redis.asyncio import Redis
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.ingest import history_api, recent_api
from services.ingest.answer import install_errors
from services.ingest.api import Ingest, route_of, router
from services.ingest.core.identity import user_hasher
from services.ingest.core.sources import BadSources, Sources, read_sources
from services.ingest.fingerprints import check_secrets
from services.ingest.identity_map import IdentityMap
from services.ingest.metrics import Metrics
from services.ingest.settings import IngestSettings
from services.ingest.unattributed import Resender
from shared.contracts.topics import CONTEXT, IDENTITY, KEYS
from shared.follow import Follower
from shared.health_store import HealthStore
from shared.kafka import KafkaProblem
from shared.keys import KeyRing
from shared.places import Cut, Places
from shared.publish import KafkaPublisher, NotDurable
from shared.recent import RecentFates
from shared.tasks import cancel
from shared.telemetry import Ready, ops_router
from shared.topology import TopologyProblem
from shared.yaml_file import BadFiles, read_yaml

TITLE = "Churnwatch ingest"
EXIT_TASK_DIED = 70
RETRY_S = 1.0
REDIS_TIMEOUT_S = 2.0


class Measured:
    """Count each HTTP answer and its duration, whoever gave it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(route_of(scope["path"]), str(message["status"])).inc()
                self._metrics.duration.observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)


def http_app(
    ingest: Ingest,
    ready: Ready,
    *,
    readers: recent_api.Readers,
    put_history: history_api.PutHistory,
    registry: CollectorRegistry = REGISTRY,
    lifespan: object = None,
) -> FastAPI:
    """Return the HTTP application; no path redirects, and every error has one form."""
    app = FastAPI(title=TITLE, openapi_url=None, redirect_slashes=False, lifespan=lifespan)  # type: ignore[arg-type]
    install_errors(app)
    app.include_router(router(ingest))
    app.include_router(history_api.router(history_api.Histories(ingest=ingest, put_history=put_history)))
    app.include_router(recent_api.router(ingest, readers))
    app.include_router(ops_router(ready, registry=registry))
    # browsers' SDKs send from the vendor's own pages; a write key can only write
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"], allow_headers=["*"])
    app.add_middleware(Measured, metrics=ingest.metrics)
    return app


def build(settings: IngestSettings, sources: Sources) -> FastAPI:
    """Return the service's application; it connects when it starts and answers 503 until it has read its topics."""
    metrics = Metrics()
    keys = KeyRing(settings.key_pepper.get_secret_value())
    users = IdentityMap()
    metrics.mapped_users.set_function(lambda: len(users))
    metrics.unreadable.labels(KEYS).set_function(lambda: keys.unreadable)
    metrics.unreadable.labels(IDENTITY).set_function(lambda: users.unreadable)
    places = Places(settings.kafka)
    for cut in Cut:
        metrics.topology.labels(cut).set_function(partial(_is, places.state, cut))
    publisher = KafkaPublisher(
        settings.kafka,
        place=places.place,
        deadline_s=settings.ingest_deadline_s,
        max_held_bytes=settings.ingest_held_bytes,
    )
    key_follower = Follower(settings.kafka, KEYS, keys.apply)
    topology_follower = Follower(settings.kafka, CONTEXT, places.apply)
    user_follower = Follower(settings.kafka, IDENTITY, users.apply)
    redis = Redis.from_url(settings.redis, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S)
    recent, healths = RecentFates(redis), HealthStore(redis)
    for reason in sources.reasons():
        metrics.excluded.labels(reason)
    resender = Resender(settings.kafka, known=users.get, publisher=publisher, metrics=metrics)
    users.on_learned = resender.learned

    secrets_right = asyncio.Event()

    def loaded() -> bool:
        followed = (key_follower, user_follower, topology_follower)
        return secrets_right.is_set() and places.known and all(follower.loaded.is_set() for follower in followed)

    async def check_then_resend() -> None:
        await publisher.connected.wait()
        await topology_follower.loaded.wait()
        await _until_noted(places, publisher)
        await _until_checked(settings, publisher)
        secrets_right.set()
        await user_follower.loaded.wait()
        await resender.run()

    async def ready() -> Mapping[str, bool]:
        return {
            "kafka": publisher.connected.is_set(),
            "keys": key_follower.loaded.is_set(),
            "users": user_follower.loaded.is_set(),
            "secrets": secrets_right.is_set(),
            "topology": places.known and places.state() is not Cut.MISMATCH,
        }

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            _owned(publisher.run(), "publisher"),
            _owned(key_follower.run(), "keys"),
            _owned(user_follower.run(), "users"),
            _owned(topology_follower.run(), "topology"),
            _owned(places.watch(), "places"),
            _owned(check_then_resend(), "resender"),
            _owned(recent.run(), "recent"),
        ]
        yield
        await cancel(tasks)
        await redis.aclose()

    ingest = Ingest(
        publisher=publisher,
        find_key=keys.check,
        known=users.get,
        learn=users.learn,
        loaded=loaded,
        hashed=user_hasher(settings.user_hash_key.get_secret_value()),
        dead_letter_key=settings.dead_letter_key.get_secret_value(),
        sources=sources,
        metrics=metrics,
        note=recent.note,
        closed=places.closed,
    )
    readers = recent_api.Readers(last=recent.last, health=healths.get)
    return http_app(ingest, ready, readers=readers, put_history=healths.put_history, lifespan=lifespan)


def load_sources(settings: IngestSettings) -> Sources:
    """Read the file of sources; raises BadFiles naming every fault with its line."""
    file = read_yaml(settings.sources)
    try:
        return read_sources(file.content)
    except BadSources as bad:
        raise BadFiles(file.in_words(bad.faults)) from None


async def _until_noted(places: Places, publisher: KafkaPublisher) -> None:
    while True:
        try:
            return await places.note_first(publisher.publish)
        except (KafkaError, KafkaProblem, TopologyProblem, NotDurable) as fault:
            structlog.get_logger(__name__).warning("topology_not_noted", fault=repr(fault))
            await asyncio.sleep(RETRY_S)


async def _until_checked(settings: IngestSettings, publisher: KafkaPublisher) -> None:
    names = ("user_hash_key", "dead_letter_key", "key_pepper")
    secrets = {name: getattr(settings, name).get_secret_value() for name in names}
    while True:
        try:
            return await check_secrets(settings.kafka, publisher, secrets)
        except (KafkaError, KafkaProblem, NotDurable) as fault:
            structlog.get_logger(__name__).warning("secrets_not_checked", fault=repr(fault))
            await asyncio.sleep(RETRY_S)


def _is(state: Callable[[], Cut], cut: Cut) -> float:
    return float(state() is cut)


def _owned(work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
    """Start a task without which the process is of no use: a fault nobody planned for ends the process."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_end_process)
    return task


def _end_process(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        structlog.get_logger(__name__).error("task_died", task=task.get_name(), exc_info=task.exception())
        os._exit(EXIT_TASK_DIED)
