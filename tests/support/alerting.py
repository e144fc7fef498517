"""Run the alert service against real Kafka, a Slack double and a mail server."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import msgspec
from aiohttp import web
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from prometheus_client import CollectorRegistry

from lab.slack_double.faults import Fault, FaultPlan
from lab.slack_double.server import SlackDouble
from lab.slack_double.workspace import Said, Workspace
from services.alerts.app import Alerts, work
from services.alerts.configuration import Configuration
from services.alerts.consumer import Names
from services.alerts.core.people import People
from services.alerts.core.routing import Routes
from services.alerts.core.signals import Signals
from services.alerts.desk import read_alerts
from services.alerts.metrics import Metrics
from services.alerts.outbox import Pace
from services.alerts.settings import AlertSettings
from shared.contracts import topics
from shared.contracts.alerts import Alert, Command
from shared.contracts.risk import Transition
from shared.kafka import partitions
from shared.kafka import producer as new_producer
from tests.support.risk import background, routes
from tests.support.servers import fresh_topic

KEY = "00" * 32
FAST = Pace(between_s=0.0, first_s=0.02, longest_s=0.1)


@asynccontextmanager
async def slack_double(*faults: Fault, hang_s: float = 60.0) -> AsyncIterator["Slack"]:
    """Serve a Slack double in which everybody at example.com exists."""
    workspace = Workspace(now_s=time.time, domains=frozenset({"example.com"}))
    double = SlackDouble(workspace, FaultPlan(faults), hang_s=hang_s)
    runner = web.AppRunner(double.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Slack(double=double, url=f"http://127.0.0.1:{runner.addresses[0][1]}/")
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """A running Slack double."""

    double: SlackDouble
    url: str

    @property
    def messages(self) -> Sequence[Said]:
        return [said for said in self.double.workspace.messages.values() if not said.thread_ts]

    @property
    def replies(self) -> Sequence[Said]:
        return [said for said in self.double.workspace.messages.values() if said.thread_ts]

    def where(self, said: Said) -> str:
        return self.double.workspace.name_of(said.channel)

    def headers(self) -> Sequence[str]:
        return [said.blocks[0]["text"]["text"] for said in self.messages]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The active part of an alert service on topics of its own."""

    alerts: Alerts
    producer: AIOKafkaProducer
    metrics: Metrics
    running: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        self.running.append(asyncio.ensure_future(self.alerts.watch.beat()))
        self.running.append(asyncio.ensure_future(work(self.alerts, self.metrics, self.producer)))

    async def kill(self) -> None:
        """End it wherever it is, as a crash would."""
        for task in self.running:
            task.cancel()
        results = await asyncio.gather(*self.running, return_exceptions=True)
        self.running.clear()
        faults = [r for r in results if isinstance(r, BaseException) and not isinstance(r, asyncio.CancelledError)]
        assert not faults, faults

    async def put(self, *transitions: Transition) -> None:
        """Write transitions as the scorer does."""
        for one in transitions:
            value = msgspec.json.encode(one)
            await self.producer.send_and_wait(self.alerts.names.risk, value, key=one.account.encode())

    async def say(self, command: Command) -> None:
        """Write a command as the API does."""
        value = msgspec.json.encode(command)
        await self.producer.send_and_wait(self.alerts.names.commands, value, key=command.account.encode())

    async def forget(self) -> None:
        """Remove all transitions from the topic, as its retention does."""
        numbers = await partitions(self.alerts.settings.kafka, self.alerts.names.risk)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.alerts.settings.kafka)
        await admin.start()
        try:
            everything = RecordsToDelete(before_offset=-1)
            await admin.delete_records({TopicPartition(self.alerts.names.risk, n): everything for n in numbers})
        finally:
            await admin.close()

    async def kept(self) -> dict[str, Alert]:
        """Return what the record of alerts holds."""
        return await read_alerts(self.alerts.settings.kafka, self.alerts.names.alerts)

    def calls(self, channel: str, outcome: str) -> float:
        value = self.alerts.registry.get_sample_value(
            "churn_alerts_deliveries_total", {"channel": channel, "outcome": outcome}
        )
        return value or 0.0


@asynccontextmanager
async def service(
    kafka: str,
    *,
    slack: str | None,
    smtp_port: int | None = None,
    told: Routes | None = None,
    names: Names | None = None,
    group: str | None = None,
) -> AsyncIterator[Service]:
    """Run an alert service on fresh topics, or on given ones; it is started and ended with the block."""
    settings = AlertSettings.model_validate(
        {
            "kafka": kafka,
            "slack_url": f"{slack}api/" if slack else "http://127.0.0.1:9/api/",
            "slack_token": "xoxb-test" if slack else None,
            "smtp_host": "127.0.0.1" if smtp_port else None,
            "smtp_port": smtp_port or 25,
            "smtp_tls": "none",
            "mail_from": "churnwatch@example.com",
            "dead_letter_key": KEY,
            "key_pepper": KEY,
            "list_settle_s": 1.0,
        }
    )
    registry = CollectorRegistry()
    configuration = Configuration(
        routes=told or routes(),
        people=People(domains=["example.com"]),
        background=background(),
        signals=Signals(),
    )
    own = names or await fresh_names(kafka)
    alerts = Alerts(
        settings=settings,
        configuration=configuration,
        names=own,
        group=group or own.risk,
        pace=FAST,
        registry=registry,
    )
    producer = new_producer(kafka)
    await producer.start()
    running = Service(alerts=alerts, producer=producer, metrics=Metrics(registry))
    await running.start()
    try:
        yield running
    finally:
        await running.kill()
        await producer.stop()


async def fresh_names(kafka: str) -> Names:
    """Create topics of our own on a shared broker; two partitions do."""
    made = {}
    for name, like in (
        ("risk", topics.RISK),
        ("commands", topics.COMMANDS),
        ("alerts", topics.ALERTS),
        ("context", topics.CONTEXT),
        ("dead_letters", topics.DEAD_LETTERS),
        ("keys", topics.KEYS),
        ("notices", topics.NOTICES),
    ):
        made[name] = await fresh_topic(
            kafka, replace(topics.TOPICS[like], partitions=min(2, topics.TOPICS[like].partitions))
        )
    return Names(**made)
