"""Start, stop and empty the whole stack on this machine: `python -m deploy.local.stack up|hold|down|reset`."""

import asyncio
import logging
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.jars import JarUnavailable
from deploy.local.kafka import LocalKafka
from deploy.local.keys import make_secrets
from deploy.local.processes import Started, end, remember, remembered, running
from deploy.local.redis import LocalRedis
from deploy.local.server import HOST, Server, ServerFailed, claim_port, port_is_open
from deploy.local.settings import LocalSettings
from shared.contracts.topology import agreed_topics
from shared.kafka import KafkaProblem, create_topics, wait_ready
from shared.settings import load
from shared.topology import read_standing

READY_TIMEOUT_S = 90.0
PROBE_TIMEOUT_S = 3.0
SERVERS = ("kafka", "redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A Python process of the stack: how it is started, when it is ready, where it is found."""

    name: str
    module: str
    port: int
    variable: str
    shown: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    has_readyz: bool = True


def parts(settings: LocalSettings) -> Sequence[Part]:
    """Return the Python processes of the stack in the order they are started."""
    slack, mail, data = settings.slack_port, settings.mail_port, settings.data
    return (
        Part(
            name="slack",
            module="lab.slack_double",
            port=slack,
            variable="CHURNWATCH_SLACK_PORT",
            arguments=(
                *("--port", str(slack), "--data", str(data / "slack")),
                *("--interactions-url", f"http://{HOST}:{settings.alerts_port}/slack/interactions"),
                *("--signing-secret-file", str(data / "secrets" / "slack_signing_secret")),
            ),
            has_readyz=False,
            shown=f"what Slack got      http://{HOST}:{slack}/",
        ),
        Part(
            name="mail",
            module="lab.mail_catcher",
            port=mail,
            variable="CHURNWATCH_MAIL_PORT",
            arguments=("--port", str(mail), "--data", str(data / "mail")),
            has_readyz=False,
            shown=f"what was mailed     {data / 'mail'}",
        ),
        Part(
            name="ingest",
            module="services.ingest",
            port=settings.ingest_port,
            variable="CHURNWATCH_INGEST_PORT",
            shown=f"send events to      http://{HOST}:{settings.ingest_port}/v1/batch",
        ),
        Part(
            name="scorer",
            module="services.scorer",
            port=settings.scorer_port,
            variable="CHURNWATCH_SCORER_PORT",
            shown=f"scorer's metrics    http://{HOST}:{settings.scorer_port}/metrics",
        ),
        Part(
            name="alerts",
            module="services.alerts",
            port=settings.alerts_port,
            variable="CHURNWATCH_ALERTS_PORT",
            environment=_channels(slack=slack, mail=mail, secrets=data / "secrets"),
            shown=f"accounts and alerts http://{HOST}:{settings.alerts_port}/v1/accounts",
        ),
    )


def _channels(*, slack: int, mail: int, secrets: Path) -> Mapping[str, str]:
    """Return where alerts go: to the double and the catcher, unless a real Slack or mail server is named."""
    environment: dict[str, str] = {}
    if "CHURNWATCH_SLACK_TOKEN" not in os.environ:
        environment |= {"CHURNWATCH_SLACK_URL": f"http://{HOST}:{slack}/api/", "CHURNWATCH_SLACK_TOKEN": "xoxb-local"}
        made = secrets / "slack_signing_secret"
        environment["CHURNWATCH_SLACK_SIGNING_SECRET"] = made.read_text("ascii").strip() if made.exists() else ""
    if "CHURNWATCH_SMTP_HOST" not in os.environ:
        environment |= {
            "CHURNWATCH_SMTP_HOST": HOST,
            "CHURNWATCH_SMTP_PORT": str(mail),
            "CHURNWATCH_SMTP_TLS": "none",
        }
    return environment


def up(settings: LocalSettings) -> None:
    """Start what is not running yet, say where everything is, and leave it running."""
    kafka, redis = start(settings)
    print(f"kafka               {kafka}\nredis               {redis}")
    for part in parts(settings):
        print(part.shown)
    print(f"logs                {settings.data / 'logs'}\nmake a key with     .venv/bin/churnwatch key create web-app")
    print("stop it with        make down")


def hold(settings: LocalSettings) -> None:
    """Start everything, say `ready`, and end it all when our standard input is closed: when whoever asked is gone."""
    already = running(settings.data / "run")
    if already:
        remedy = f"CHURNWATCH_DATA={settings.data} make down"
        raise ServerFailed(f"{settings.data} is in use by {', '.join(p.name for p in already)}; end it with {remedy}")
    try:
        start(settings)
        print("ready")
        while os.read(sys.stdin.fileno(), 1 << 10):
            pass
    finally:
        end_all(settings.data / "run", keep=set())


def start(settings: LocalSettings) -> tuple[str, str]:
    """Start what is not running yet and return Kafka's and Redis's address when all of it is ready.

    On a failure what this call started is ended.
    """
    run = settings.data / "run"
    before = {process.name for process in running(run)}
    for name in make_secrets(settings.data):
        print(f"made the secret {name}")
    missing = [part for part in parts(settings) if not _is_up(settings, part.name)]
    for part in missing:
        claim_port(part.port, variable=part.variable)
    try:
        kafka = settings.kafka or _kafka(settings)
        redis = settings.redis or _redis(settings)
        asyncio.run(_topics(kafka))
        told = environment(settings, kafka=kafka, redis=redis)
        started = [(part, _part(part, settings=settings, environment=told)) for part in missing]
        for part, server in started:
            server.wait_until(answers(part), timeout_s=READY_TIMEOUT_S)
    except BaseException:
        end_all(run, keep=before)
        raise
    return kafka, redis


def down(settings: LocalSettings) -> None:
    """End what `up` started, the services before the servers they use."""
    ended = end_all(settings.data / "run", keep=set())
    print(f"stopped {', '.join(ended)}" if ended else "nothing was running")


def reset(settings: LocalSettings) -> None:
    """End the stack and remove its events, alerts, mail and logs; the secrets and a Kafka of your own stay."""
    down(settings)
    for name in ("kafka", "redis", "slack", "mail", "scorer", "logs", "run"):
        shutil.rmtree(settings.data / name, ignore_errors=True)
    print(f"emptied {settings.data}; its secrets stay")
    if settings.kafka:
        print(f"the topics on {settings.kafka} are not touched")


def end_all(run: Path, *, keep: set[str]) -> Sequence[str]:
    """End every process of the stack but those to keep; return the names of the ended."""
    ending = [process for process in running(run) if process.name not in keep]
    end(run, [process for process in ending if process.name not in SERVERS])
    end(run, [process for process in ending if process.name in SERVERS])
    return [process.name for process in ending]


def _kafka(settings: LocalSettings) -> str:
    broker = LocalKafka(settings.data / "kafka", settings.kafka_port, tethered=False)
    if not _is_up(settings, "kafka"):
        _start("kafka", broker, run=settings.data / "run")
    return broker.bootstrap


def _redis(settings: LocalSettings) -> str:
    server = LocalRedis(settings.data / "redis", settings.redis_port, tethered=False)
    if not _is_up(settings, "redis"):
        _start("redis", server, run=settings.data / "run")
    return server.url


def _start(name: str, server: LocalKafka | LocalRedis, *, run: Path) -> None:
    print(f"starting {name}")
    server.start()
    remember(run, name=name, pid=server.pid)


def _part(part: Part, *, settings: LocalSettings, environment: Mapping[str, str]) -> Server:
    print(f"starting {part.name}")
    server = Server(
        [sys.executable, "-m", "deploy.local.keeper", sys.executable, "-m", part.module, *part.arguments],
        log=settings.data / "logs" / f"{part.name}.log",
        environment={**environment, **part.environment},
        tethered=False,
    )
    remember(settings.data / "run", name=part.name, pid=server.pid)
    return server


def answers(part: Part) -> Callable[[], bool]:
    """Return what tells whether the part is ready."""

    def is_ready() -> bool:
        if not part.has_readyz:
            return port_is_open(part.port)
        try:
            with urllib.request.urlopen(f"http://{HOST}:{part.port}/readyz", timeout=PROBE_TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return is_ready


def _is_up(settings: LocalSettings, name: str) -> bool:
    found: Started | None = remembered(settings.data / "run", name)
    return found is not None and found.is_running()


async def _topics(kafka: str) -> None:
    await wait_ready(kafka)
    standing = await read_standing(kafka)
    created = await create_topics(kafka, agreed_topics(standing))
    if created:
        print(f"created {len(created)} topics")


def environment(settings: LocalSettings, *, kafka: str, redis: str) -> Mapping[str, str]:
    """Return what every part is told."""
    return {
        "CHURNWATCH_KAFKA": kafka,
        "CHURNWATCH_REDIS": redis,
        "CHURNWATCH_DATA": str(settings.data),
        "CHURNWATCH_INGEST_PORT": str(settings.ingest_port),
        "CHURNWATCH_SCORER_PORT": str(settings.scorer_port),
        "CHURNWATCH_ALERTS_PORT": str(settings.alerts_port),
    }


def main() -> None:
    """Do what the first argument says; a failure is one clear message and exit code 1."""
    actions = {"up": up, "hold": hold, "down": down, "reset": reset}
    action = actions.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if action is None:
        sys.exit(f"usage: python -m deploy.local.stack {'|'.join(actions)}")
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # it repeats what our message says once
    try:
        action(load(LocalSettings))
    except (ServerFailed, JarUnavailable, KafkaProblem) as failure:
        sys.exit(f"churnwatch: {failure}")
    except KeyboardInterrupt:
        sys.exit("churnwatch: interrupted; what was started has been stopped")


if __name__ == "__main__":
    main()
