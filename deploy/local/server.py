"""Start one server as a process of its own, wait until it answers, end it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HOST = "127.0.0.1"
GRACE_S = 15.0
POLL_S = 0.05
PORT_TIMEOUT_S = 5.0
LOG_LINES_SHOWN = 15
ROOT = Path(__file__).parents[2]
# Python warns when it forgets a process that still runs; those that are to outlive us are kept in mind
OUTLIVING: list[subprocess.Popen[bytes]] = []


class ServerFailed(RuntimeError):
    """A server could not be started; the message says why, with the end of its log."""


class Server:
    """A running command with its log file.

    Tethered (the default) it ends with the process that started it; else it lives on and the starter keeps its pid.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        tethered: bool = True,
    ) -> None:
        self.name = log.stem
        self.log = log
        self._tethered = tethered
        log.parent.mkdir(parents=True, exist_ok=True)
        tether = [sys.executable, "-m", "deploy.local.tether"] if tethered else []
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*tether, *command],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE if tethered else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        if not tethered:
            OUTLIVING.append(self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """With which code it ended, None while it runs."""
        return self._process.poll()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, answers: Callable[[], bool], *, timeout_s: float) -> None:
        """Return when `answers` is true; end the server and raise ServerFailed if it exits or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not answers():
            if not self.is_running():
                raise ServerFailed(self._failure(f"exited with {self._process.returncode}"))
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(self._failure(f"did not answer within {timeout_s:g} s"))
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End the server in good order, by force after 15 s."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._close()

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running():
            # to the tether alone SIGTERM (it passes it on); SIGKILL can't be passed on, so to both
            send = os.killpg if number == signal.SIGKILL else os.kill
            send(self._process.pid, number)

    def _close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _failure(self, what: str) -> str:
        end = self.log.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return "\n  ".join([f"{self.name} {what}; the end of {self.log}:", *end])


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_is_open(port: int) -> bool:
    """Say whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def claim_port(port: int, *, variable: str) -> None:
    """Return when nothing listens on a port; raise ServerFailed naming the setting when it stays taken.

    Waits a little, for a server killed a moment ago may not be gone yet.
    """
    deadline = time.monotonic() + PORT_TIMEOUT_S
    while port_is_open(port):
        if time.monotonic() > deadline:
            raise ServerFailed(f"port {port} is taken: end what listens there, or choose another with {variable}")
        time.sleep(POLL_S)
