"""Run the whole stack as `make up` starts it, on free ports and a folder of its own; it ends with the test process."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx

from deploy.local import stack
from deploy.local.keys import make_secrets
from deploy.local.server import HOST, ROOT, Server, free_port
from deploy.local.settings import LocalSettings
from shared.contracts.topics import TOPICS
from shared.kafka import create_topics
from tests.support.servers import kafka_in, redis_in, running

FAST = {
    "CHURNWATCH_SCORER_SESSION_S": "6",  # the broker's least; a killed scorer's partitions are free after it
    "CHURNWATCH_SLACK_INTERVAL_S": "0",  # the real Slack wants a second between two calls
}
READY_S = 90.0
COMMAND_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running stack; its parts are ended and started again by name."""

    settings: LocalSettings
    redis: str
    environment: Mapping[str, str]
    servers: dict[str, Server] = field(default_factory=dict)

    @property
    def ingest(self) -> str:
        return f"http://{HOST}:{self.settings.ingest_port}"

    @property
    def kafka(self) -> str:
        return self.environment["CHURNWATCH_KAFKA"]

    @property
    def alerts(self) -> str:
        return f"http://{HOST}:{self.settings.alerts_port}"

    def start(self, *names: str) -> None:
        """Start parts, all of them at once, and return when they are ready."""
        starting = [part for part in stack.parts(self.settings) if part.name in names]
        for part in starting:
            self.servers[part.name] = Server(
                [sys.executable, "-m", part.module, *part.arguments],
                log=self.settings.data / "logs" / f"{part.name}.log",
                environment={**self.environment, **part.environment},
            )
        for part in starting:
            self.servers[part.name].wait_until(stack.answers(part), timeout_s=READY_S)

    def stop(self, *names: str) -> None:
        """End parts in good order, side by side as `make down` does."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self.servers[name].stop(), names))

    def kill(self, *names: str) -> None:
        """End parts as a crash would."""
        for name in names:
            self.servers[name].kill()

    def end(self) -> None:
        self.stop(*(name for name in self.servers if self.servers[name].is_running()))

    def churnwatch(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run the command line."""
        return subprocess.run(
            [sys.executable, "-m", "lab.cli", *words],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def new_key(self, *words: str) -> str:
        """Make a key and return it as it was shown."""
        done = self.churnwatch("key", "create", *words)
        found = re.search(r"^key +(\S+)$", done.stdout, re.MULTILINE)
        assert found, done.stdout + done.stderr
        return found[1]

    def said(self) -> Sequence[Mapping[str, Any]]:
        """Return every message Slack got, as it reads now."""
        found: list[Mapping[str, Any]] = httpx.get(f"http://{HOST}:{self.settings.slack_port}/messages").json()
        return found

    def slack_counts(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = httpx.get(f"http://{HOST}:{self.settings.slack_port}/counts").json()
        return found

    def mails(self) -> Sequence[EmailMessage]:
        """Return every mail that was caught, the oldest first."""
        paths = sorted((self.settings.data / "mail").glob("*.eml"))
        return [message_from_bytes(path.read_bytes(), EmailMessage, policy=policy.default) for path in paths]

    def answer(self, path: str, *, key: str) -> httpx.Response:
        """Ask the alert service's API."""
        return httpx.get(f"{self.alerts}{path}", headers={"Authorization": f"Bearer {key}"})

    def metric(self, name: str) -> float:
        """Return a sample of the scorer's /metrics by its name with labels."""
        lines = httpx.get(f"http://{HOST}:{self.settings.scorer_port}/metrics").text.splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


@contextmanager
def whole_stack(folder: Path, *, config: Path | None = None) -> Iterator[Stack]:
    """Start everything, with the shipped configuration or another, and end it with the block."""
    settings = LocalSettings(
        data=folder / "data",
        ingest_port=free_port(),
        scorer_port=free_port(),
        alerts_port=free_port(),
        slack_port=free_port(),
        mail_port=free_port(),
    )
    make_secrets(settings.data)
    with ExitStack() as ending:
        kafka = ending.enter_context(running(kafka_in(folder)))
        redis = ending.enter_context(running(redis_in(folder)))
        told = {} if config is None else {"CHURNWATCH_CONFIG": str(config)}
        environment = {**stack.environment(settings, kafka=kafka.bootstrap, redis=redis.url), **FAST, **told}
        started = Stack(settings=settings, redis=redis.url, environment=environment)
        ending.callback(started.end)
        asyncio.run(create_topics(kafka.bootstrap, TOPICS.values()))
        started.start(*(part.name for part in stack.parts(settings)))
        yield started
