"""Run the whole of it as processes on this machine: Kafka, Redis, a Slack double and the services, with links between.

services  ->  links (proxies)  ->  Kafka (a listener a kind of service), Redis, Slack double
harness   ----------------------->  the same, directly
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml
from aiokafka import AIOKafkaProducer

from deploy.local.kafka import LocalKafka
from deploy.local.keys import make_secrets
from deploy.local.redis import LocalRedis
from deploy.local.server import HOST, ROOT, Server, free_port, port_is_open
from shared import kafka
from shared.contracts.topics import TOPICS
from shared.keys import Scope, create, publish
from tests.faults.real.proxy import Link
from tests.faults.real.supervisor import Service, until

READY_S: Final = 90.0
SESSION_S: Final = 6.0
"""The broker's least: what a dead or frozen scorer costs."""
PROBE_S: Final = 2.0
SCORERS: Final = ("scorer-1", "scorer-2", "scorer-3")
STEADY: Final = ("ingest", "scorer-1", "scorer-2", "alerts-1", "alerts-2")
"""What runs when no fault says otherwise."""
KINDS: Final = ("ingest", "scorer", "alerts")


class LinkedKafka(LocalKafka):
    """A broker that also listens for each kind of service, and gives it the address of its link."""

    def __init__(self, folder: Path, links: Mapping[str, Link]) -> None:
        super().__init__(folder)
        self._links = links

    def _format(self, properties: Path) -> None:
        told = dict(line.split("=", 1) for line in properties.read_text("utf-8").splitlines())
        listeners = [
            told["listeners"],
            *(f"{kind.upper()}://{HOST}:{link.target}" for kind, link in self._links.items()),
        ]
        advertised = [
            told["advertised.listeners"],
            *(f"{kind.upper()}://{HOST}:{link.port}" for kind, link in self._links.items()),
        ]
        protocols = [
            f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *(kind.upper() for kind in self._links))
        ]
        told |= {
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(protocols),
        }
        properties.write_text("".join(f"{key}={value}\n" for key, value in told.items()), "utf-8")
        super()._format(properties)


@dataclass(kw_only=True)
class Deployment:
    """Everything that runs; made by `start`, ended by `end`."""

    folder: Path
    cycle_s: float = 2.0
    links: dict[str, Link] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    key: str = ""
    kafka: LinkedKafka = field(init=False)
    redis: LocalRedis = field(init=False)
    _slack: Server | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def bootstrap(self) -> str:
        return self.kafka.bootstrap

    @property
    def slack_url(self) -> str:
        return f"http://{HOST}:{self.ports['slack']}"

    @property
    def ingest_url(self) -> str:
        return f"http://{HOST}:{self.ports['ingest']}"

    async def start(self, *, services: Sequence[str] = STEADY) -> None:
        """Start the servers, make topics and a key, then the services, and return when all are ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        make_secrets(self.data)
        configure(self.folder / "config")
        await self._servers()
        await kafka.create_topics(self.bootstrap, TOPICS.values())
        self.key = await self._new_key()
        for name in dict.fromkeys((*services, *(SCORERS if "scorer-1" in services else ()))):
            self.services[name] = self._service(name)
        for name in services:
            self.services[name].start()
        for name in services:
            if not await until(lambda name=name: self.is_ready(name), within_s=READY_S, poll_s=0.3):  # type: ignore[misc]
                raise RuntimeError(f"{name} is not ready within {READY_S:g} s: see {self.data / 'logs'}")

    async def end(self) -> None:
        """Heal, then end everything."""
        for link in self.links.values():
            link.heal()
        self.signal_kafka(signal.SIGCONT)
        await asyncio.gather(*(service.stop() for service in self.services.values()))
        for link in self.links.values():
            await link.stop()
        for server in (self._slack, self.redis, self.kafka):
            if server is not None:
                await asyncio.to_thread(server.stop)

    def signal_kafka(self, number: signal.Signals) -> None:
        """Send a signal to the broker and its tether."""
        if self.kafka._server is not None and self.kafka._server.is_running():
            os.killpg(self.kafka.pid, number)

    async def is_ready(self, name: str) -> bool:
        """Ask a service whether it is ready."""
        return await asyncio.to_thread(fetched, self._url(name, "/readyz")) is not None

    async def metrics(self, name: str) -> Mapping[str, float]:
        """Return a service's samples by name and labels, nothing when it doesn't answer."""
        text = await asyncio.to_thread(fetched, self._url(name, "/metrics"))
        samples = (line.rpartition(" ") for line in (text or "").splitlines() if line and not line.startswith("#"))
        return {sample: float(value) for sample, _, value in samples}

    def _url(self, name: str, path: str) -> str:
        return f"http://{HOST}:{self.ports[name]}{path}"

    def running(self, kind: str) -> Sequence[str]:
        """Return the names of the services of a kind that should run now."""
        return [name for name, service in self.services.items() if name.startswith(kind) and service.wanted]

    async def _servers(self) -> None:
        targets = dict(zip(("redis", "slack", *KINDS), free_ports(2 + len(KINDS)), strict=True))
        self.ports["slack"] = targets["slack"]
        self.redis = LocalRedis(self.folder / "redis", targets["redis"])
        for name, target in targets.items():
            self.links[name] = Link(name, target=target)
            await self.links[name].start()
        self.kafka = LinkedKafka(self.folder / "kafka", {kind: self.links[kind] for kind in KINDS})
        self._slack = Server(
            [
                *(sys.executable, "-m", "lab.slack_double", "--port", str(self.ports["slack"])),
                *("--data", str(self.data / "slack"), "--people", str(self.folder / "config" / "people.yaml")),
            ],
            log=self.data / "logs" / "slack.log",
        )
        await asyncio.gather(asyncio.to_thread(self.kafka.start), asyncio.to_thread(self.redis.start))
        if not await until(lambda: port_is_open(self.ports["slack"]), within_s=READY_S):
            raise RuntimeError("the slack double does not answer")

    async def _new_key(self) -> str:
        pepper = bytes.fromhex((self.data / "secrets" / "key_pepper").read_text("ascii").strip())
        key, record = create(scopes=[Scope.INGEST], source="web-app", pepper=pepper)
        producer: AIOKafkaProducer = kafka.producer(self.bootstrap)
        async with producer:
            await publish(producer, record)
        return key

    def _service(self, name: str) -> Service:
        kind = name.partition("-")[0]
        self.ports[name] = free_port()
        environment = {
            "CHURNWATCH_KAFKA": f"{HOST}:{self.links[kind].port}",
            "CHURNWATCH_REDIS": f"redis://{HOST}:{self.links['redis'].port}/0",
            "CHURNWATCH_DATA": str(self.data),
            "CHURNWATCH_CONFIG": str(self.folder / "config"),
            f"CHURNWATCH_{kind.upper()}_PORT": str(self.ports[name]),
            "CHURNWATCH_SCORER_SESSION_S": f"{SESSION_S:g}",
            "CHURNWATCH_SCORER_CYCLE_S": f"{self.cycle_s:g}",
            # one worker keeps its name over restarts, the others' restarts rebalance
            "CHURNWATCH_SCORER_INSTANCE": name if name == "scorer-2" else "",
            "CHURNWATCH_SLACK_URL": f"http://{HOST}:{self.links['slack'].port}/api/",
            "CHURNWATCH_SLACK_TOKEN": "xoxb-local",
            "CHURNWATCH_SLACK_INTERVAL_S": "0",
        }
        log = self.data / "logs" / f"{name}.log"
        return Service(name=name, module=f"services.{kind}", environment=environment, log=log, wanted=name in STEADY)


def configure(folder: Path) -> None:
    """Write the shipped configuration, with owners told in Slack alone: there is no mail server here."""
    shutil.copytree(ROOT / "config", folder, dirs_exist_ok=True)
    routes = yaml.safe_load((folder / "routes.yaml").read_text("utf-8"))
    routes["receivers"]["owner"] = {"slack": ["owner"]}
    (folder / "routes.yaml").write_text(yaml.safe_dump(routes), "utf-8")


def free_ports(count: int) -> Sequence[int]:
    """Return ports that nobody listens on now, each another."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def fetched(url: str) -> str | None:
    """Return what a GET is answered with 200, else None. Blocks, and so must not be called where the links run."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_S) as answer:  # noqa: S310  our own address
            return str(answer.read().decode()) if answer.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None
