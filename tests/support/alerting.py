"""Build transitions and run the alert service against real Kafka, a Slack double and a mail server."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from aiohttp import web
from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from lab.slack_double.faults import Fault, FaultPlan
from lab.slack_double.server import SlackDouble
from lab.slack_double.workspace import Said, Workspace
from services.alerts.app import Alerts, work
from services.alerts.channels.people import People
from services.alerts.configuration import Configuration
from services.alerts.consumer import Names
from services.alerts.core.message import Background, Playbook
from services.alerts.core.routing import Receiver, Route, Routes
from services.alerts.desk import read_alerts
from services.alerts.metrics import Metrics
from services.alerts.outbox import Pace
from services.alerts.settings import AlertSettings
from shared.contracts import topics
from shared.contracts.alerts import Alert, Command
from shared.contracts.health import Attributes, Band, Contribution
from shared.contracts.risk import Change, Evidence, Severity, Transition, episode_id, transition_id
from shared.kafka import producer as new_producer
from tests.support.servers import fresh_topic

KEY = "00" * 32
FAST = Pace(between_s=0.0, first_s=0.02, longest_s=0.1)
OWNER = "dana@example.com"
T0 = 1_795_000_000_000
DAY_MS = 86_400_000


def transition(
    change: Change = Change.OPENED,
    *,
    account: str = "acme",
    rule: str = "silence",
    severity: Severity = Severity.AT_RISK,
    opened_at: int = T0,
    at: int | None = None,
    **others: object,
) -> Transition:
    """Return a transition of the account `acme`, owned by Dana, with words for a silence."""
    episode = episode_id(account, rule=rule, opened_at=opened_at)
    moment = opened_at if at is None else at
    values = {
        "id": transition_id(episode, change=change, at=moment),
        "episode": episode,
        "account": account,
        "rule": rule,
        "change": change,
        "severity": severity,
        "at": moment,
        "opened_at": opened_at,
        "partition": 0,
        "offset": 0,
        "bundle": "b_0",
        "standing": False,
        "playbook": rule.replace("_", "-"),
        "band": Band.AT_RISK,
        "health": 41_200,
        "evidence": [Evidence(feature="silence", value=3 * DAY_MS + 4 * 3_600_000, normal=2 * DAY_MS)],
        "contributions": [
            Contribution(dimension="engagement", measure="recency_days", points=9_000, possible=40_000, value=9),
            Contribution(dimension="adoption", measure="seats_used", points=22_200, possible=40_000, value=400),
            Contribution(dimension="commercial", measure="payment_ok", points=10_000, possible=20_000, value=1),
        ],
        "attributes": Attributes(
            name="Acme GmbH", owner=OWNER, segment="smb", arr=48_000, currency="EUR", renewal_date="2027-01-31"
        ),
    }
    return Transition(**{**values, **others})  # type: ignore[arg-type]  # the caller's fields replace ours


def routes(**changed: object) -> Routes:
    """Return routes that tell the owner in Slack and by mail."""
    values = {
        "receivers": {"owner": Receiver(slack=["owner"], mail=["owner"]), "team": Receiver(slack=["#team"])},
        "route": Route(receivers=["owner"]),
        "default_channel": "#churn-alerts",
        "default_mail": ["lead@example.com"],
    }
    return Routes(**{**values, **changed})  # type: ignore[arg-type]  # the caller's fields replace ours


def background() -> Background:
    """Return playbooks for the rules used in tests."""
    return Background(playbooks={"silence": Playbook(steps=["Call them"])}, alpha_permille=10)


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
    smtp_port: int | None,
    told: Routes | None = None,
    names: Names | None = None,
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
        }
    )
    registry = CollectorRegistry()
    configuration = Configuration(
        routes=told or routes(), people=People(domains=["example.com"]), background=background()
    )
    own = names or await fresh_names(kafka)
    alerts = Alerts(
        settings=settings,
        configuration=configuration,
        names=own,
        group=own.risk,
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
    ):
        made[name] = await fresh_topic(
            kafka, replace(topics.TOPICS[like], partitions=min(2, topics.TOPICS[like].partitions))
        )
    return Names(**made)


CONFIG = Path(__file__).parents[2] / "config"
