"""Put the alert service together: the only place that knows all its parts."""

import asyncio
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry
from redis.asyncio import Redis
from slack_sdk.web.async_client import AsyncWebClient

from services.alerts.answer import Refused, install_errors
from services.alerts.api import Api, router
from services.alerts.body_limit import BodyLimit
from services.alerts.book import Book, NoticeBook
from services.alerts.channels.buttons import Buttons
from services.alerts.channels.channel import Channel
from services.alerts.channels.mail import MailChannel, SmtpServer
from services.alerts.channels.slack import TIMEOUT_S, SlackChannel, slack_session
from services.alerts.configuration import Configuration
from services.alerts.consumer import Intake, Names, consume
from services.alerts.core.lists import Day
from services.alerts.core.people import Person
from services.alerts.core.routing import ChannelName
from services.alerts.desk import Desk, Surroundings, read_alerts
from services.alerts.event_log import EventLog
from services.alerts.interactions import Interactions, Seen
from services.alerts.interactions import router as interactions_router
from services.alerts.leader import Election, Watch
from services.alerts.metrics import Metrics
from services.alerts.milestones import Milestones
from services.alerts.notices import Board, Incidents, Notices, read_notices
from services.alerts.openapi import TITLE, describe
from services.alerts.outbox import Outbox, Pace, Post
from services.alerts.past_api import Past
from services.alerts.scores import Scores
from services.alerts.settings import AlertSettings
from shared import clock
from shared.contracts.alerts import READERS, Alert, Command
from shared.follow import Follower
from shared.health_store import HealthStore
from shared.kafka import producer as new_producer
from shared.key_search import KeySearch
from shared.keys import KeyRing
from shared.places import Places
from shared.publish import KafkaPublisher
from shared.tasks import cancel
from shared.telemetry import Ready, ops_router

EXIT_TASK_DIED: Final = 70
SEND_TIMEOUT_S: Final = 5.0
REDIS_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Everything one process of the alert service is made of; tests give it topics and a pace of their own."""

    settings: AlertSettings
    configuration: Configuration
    names: Names = field(default_factory=Names)
    group: str = READERS
    pace: Pace = field(default_factory=Pace)
    registry: CollectorRegistry = REGISTRY
    watch: Watch = field(default_factory=lambda: Watch(time.monotonic))


def build(alerts: Alerts) -> FastAPI:
    """Return the service's application; it connects when it starts."""
    told = alerts.settings
    metrics = Metrics(alerts.registry)
    keys, book, notice_book = KeyRing(told.key_pepper.get_secret_value()), Book(), NoticeBook()
    key_follower = Follower(told.kafka, alerts.names.keys, keys.apply)
    book_follower = Follower(told.kafka, alerts.names.alerts, book.apply)
    notice_follower = Follower(told.kafka, alerts.names.notices, notice_book.apply)
    followers = (key_follower, book_follower, notice_follower)
    places = Places(told.kafka)
    place_follower = Follower(told.kafka, alerts.names.context, places.apply)
    events = KafkaPublisher(told.kafka, place=places.place, deadline_s=SEND_TIMEOUT_S)
    redis = Redis.from_url(told.redis, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S)
    store, search = HealthStore(redis), KeySearch(told.kafka)
    running: dict[str, AIOKafkaProducer] = {}

    async def send(command: Command) -> None:
        value = msgspec.json.encode(command)
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await running["producer"].send_and_wait(alerts.names.commands, value, key=command.account.encode())
        except (KafkaError, TimeoutError) as fault:
            raise Refused(503, "unavailable", "not durable; repeat it", retry_after_s=5) from fault

    def find(alert_id: str) -> Alert | None:
        if not book_follower.loaded.is_set():
            raise Refused(503, "starting", "alerts are still being read", retry_after_s=2)
        return book.get(alert_id)

    milestones = Milestones(publish=events.publish, send=send, alert_of=book.of)

    async def ready() -> Mapping[str, bool]:
        return {
            "alerts": book_follower.loaded.is_set() and notice_follower.loaded.is_set(),
            "keys": key_follower.loaded.is_set(),
            "redis": bool(await redis.ping()),
        }

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running["producer"] = new_producer(told.kafka)
        await running["producer"].start()
        await search.start()
        election = Election(lambda: work(alerts, metrics, running["producer"]))
        standing = election.stand(told.kafka, topic=alerts.names.context, group=f"{alerts.group}.election")
        tasks = [
            _owned(key_follower.run(), "keys"),
            _owned(book_follower.run(), "book"),
            _owned(notice_follower.run(), "notice book"),
            _owned(place_follower.run(), "places"),
            _owned(events.run(), "events"),
            _owned(alerts.watch.beat(), "watch"),
            _owned(standing, "election"),
        ]
        yield
        await cancel(tasks)
        await search.stop()
        await running["producer"].stop()
        await redis.aclose()

    api = Api(
        store=store,
        past=Past(
            store=store,
            scores=Scores(search),
            events=EventLog(search),
            signals=alerts.configuration.signals,
            now_ms=clock.now_ms,
        ),
        book=book,
        notices=notice_book,
        find_key=keys.check,
        loaded=lambda: all(follower.loaded.is_set() for follower in followers),
        send=send,
        milestones=milestones,
        now_ms=clock.now_ms,
        new_id=lambda: f"cmd_{uuid.uuid4().hex}",
    )
    app = http_app(api, ready, registry=alerts.registry, lifespan=lifespan)
    sealed = buttons(told)
    if told.slack_signing_secret is not None and sealed is not None:
        interactions = Interactions(
            signing_secret=told.slack_signing_secret.get_secret_value(),
            buttons=sealed,
            seen=Seen(redis=redis),
            send=send,
            take=milestones.take,
            find=find,
            now_ms=clock.now_ms,
        )
        app.include_router(interactions_router(interactions))
    return app


def http_app(api: Api, ready: Ready, *, registry: CollectorRegistry = REGISTRY, lifespan: Any = None) -> FastAPI:
    """Return the HTTP application."""
    app = FastAPI(title=TITLE, redoc_url=None, redirect_slashes=False, lifespan=lifespan)
    install_errors(app)
    app.include_router(router(api))
    app.include_router(ops_router(ready, registry=registry))
    app.add_middleware(BodyLimit)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # FastAPI's own way to do it
    return app


async def work(alerts: Alerts, metrics: Metrics, producer: AIOKafkaProducer) -> None:
    """Be the active process until cancelled: rebuild the alerts, then fold and deliver."""
    told, names = alerts.settings, alerts.names
    around = Surroundings(
        producer=producer,
        topic=names.alerts,
        routes=alerts.configuration.routes,
        metrics=metrics,
        now_ms=clock.now_ms,
        may_write=alerts.watch.sure,
        stand_ins=lambda: alerts.configuration.people.stand_ins(clock.now()),
    )
    desk = Desk(await read_alerts(told.kafka, names.alerts), around)
    intake = Intake(
        bootstrap=told.kafka,
        group=alerts.group,
        names=names,
        producer=producer,
        dead_letter_key=told.dead_letter_key.get_secret_value(),
        metrics=metrics,
    )
    metrics.active.set(1)
    try:
        async with slack_session() as session, asyncio.TaskGroup() as group:
            post = Post(
                channels=channels(told, alerts.configuration, session),
                background=alerts.configuration.background,
                metrics=metrics,
                now_ms=clock.now_ms,
                random=random.random,
                pace=alerts.pace,
            )
            outbox = Outbox(desk, post, group)
            outbox.resume()
            group.create_task(notices(alerts, around, desk, post), name="notices")
            await consume(intake, desk, outbox)
    finally:
        metrics.stand_by()


async def notices(alerts: Alerts, around: Surroundings, desk: Desk, post: Post) -> None:
    """Tell lists and incidents beside the alerts, until cancelled."""
    told, names = alerts.settings, alerts.names
    board = Board(
        producer=around.producer,
        topic=names.notices,
        routes=around.routes,
        days={mail: _day(person) for mail, person in alerts.configuration.people.by_email().items()},
        stand_ins=around.stand_ins,
        channels=post.channels,
        metrics=post.metrics,
        desk=desk,
        now_ms=around.now_ms,
        may_write=around.may_write,
        settle_ms=int(told.list_settle_s * 1000),
    )
    incidents = Incidents()
    follower = Follower(told.kafka, names.context, incidents.apply)
    async with asyncio.TaskGroup() as group:
        group.create_task(follower.run(), name="incidents")
        await follower.loaded.wait()
        kept = await read_notices(told.kafka, names.notices)
        await Notices(kept, board, incidents).run()


def buttons(told: AlertSettings) -> Buttons | None:
    """Return how buttons are sealed, None where Slack's presses could not be checked."""
    secret = told.slack_signing_secret
    return None if secret is None else Buttons(secret.get_secret_value().encode())


def _day(person: Person) -> Day:
    return Day(zone=ZoneInfo(person.zone), begins=person.begins())


def channels(
    told: AlertSettings, configuration: Configuration, session: aiohttp.ClientSession
) -> Mapping[ChannelName, Channel]:
    """Return the channels that are set up."""
    found: dict[ChannelName, Channel] = {}
    if told.slack_token is not None:
        client = AsyncWebClient(
            token=told.slack_token.get_secret_value(),
            base_url=told.slack_url,
            timeout=TIMEOUT_S,
            session=session,
            retry_handlers=[],  # a repeated post is a duplicate: the outbox looks it up first
        )
        found[ChannelName.SLACK] = SlackChannel(
            client, configuration.people, clock_s=time.monotonic, buttons=buttons(told)
        )
    if told.smtp_host is not None:
        server = SmtpServer(
            host=told.smtp_host,
            port=told.smtp_port,
            sender=told.mail_from,
            tls=told.smtp_tls,
            username=told.smtp_user,
            password=told.smtp_password.get_secret_value() if told.smtp_password else None,
        )
        found[ChannelName.MAIL] = MailChannel(server, configuration.people, now=clock.now)
    return found


def _owned(task: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
    """Start a task without which the process is of no use: a fault nobody planned for ends the process."""
    owned = asyncio.create_task(task, name=name)
    owned.add_done_callback(_end_process)
    return owned


def _end_process(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        structlog.get_logger(__name__).error("task_died", task=task.get_name(), exc_info=task.exception())
        os._exit(EXIT_TASK_DIED)
