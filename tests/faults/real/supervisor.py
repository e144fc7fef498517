"""Keep a service running as Kubernetes would: started again whenever it ends, every exit written down."""

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Final

from deploy.local.server import Server
from shared import clock

PAUSE_S: Final = 0.5
POLL_S: Final = 0.05
SIGNALLED: Final = 256
"""The tether passes an exit by signal N on as 256 − N."""
KILLED: Final = -signal.SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One end of a service: its exit code (−N for signal N), and whether we did it."""

    service: str
    at: int
    code: int
    by_us: bool
    point: str | None


@dataclass(kw_only=True)
class Service:
    """One process that is kept running. `arm` makes its next start one that dies at a point."""

    name: str
    module: str
    environment: Mapping[str, str]
    log: Path
    wanted: bool = True
    ended: list[Ended] = field(default_factory=list)
    _server: Server | None = None
    _by_us: bool = False
    _point: str | None = None
    _armed: str | None = None
    _task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.is_running()

    def start(self) -> None:
        """Begin to keep it running."""
        self.wanted = True
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    def arm(self, point: str) -> None:
        """Let the next start die at a point, `NAME:N`."""
        self._armed = point

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self._server is not None and self._server.is_running():
            self._by_us = True
            self._server.kill()

    def terminate(self) -> None:
        """SIGTERM: it ends in good order and is started again."""
        if self._server is not None and self._server.is_running():
            self._by_us = True
            os.kill(self._server.pid, signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def stop(self, *, at_once: bool = False) -> None:
        """End it, in good order or by SIGKILL, and keep it no more."""
        self.wanted = False
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        server, self._server = self._server, None
        if server is not None and server.is_running():
            os.killpg(server.pid, signal.SIGCONT)
            self._by_us = True
            await asyncio.to_thread(server.kill if at_once else server.stop)
            self._note(server)

    async def until_ended(self, count: int, *, within_s: float) -> bool:
        """Return True once it has ended `count` times in all, False after the deadline."""
        return await until(lambda: len(self.ended) >= count, within_s=within_s)

    async def _keep(self) -> None:
        while True:
            self._point, self._armed = self._armed, None
            self._server = Server(self._command(), log=self.log, environment=self.environment)
            await until(lambda server=self._server: not server.is_running(), within_s=math.inf)  # type: ignore[misc]
            self._note(self._server)
            await asyncio.sleep(PAUSE_S)

    def _command(self) -> Sequence[str]:
        crashing = ["tests.faults.real.crashing", self._point] if self._point else []
        return [sys.executable, "-m", *crashing, self.module]

    def _note(self, server: Server) -> None:
        server.stop()  # it has ended: this only closes our side
        code = server._process.returncode
        code = code - SIGNALLED if code > SIGNALLED // 2 else code
        self.ended.append(Ended(service=self.name, at=clock.now_ms(), code=code, by_us=self._by_us, point=self._point))
        self._by_us, self._point = False, None

    def _signal(self, number: signal.Signals) -> None:
        if self._server is not None and self._server.is_running():
            os.killpg(self._server.pid, number)


async def until(holds: Callable[[], bool | Awaitable[bool]], *, within_s: float, poll_s: float = POLL_S) -> bool:
    """Return True once `holds()` is true, False after the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        found = holds()
        if await found if isawaitable(found) else found:
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(poll_s)
