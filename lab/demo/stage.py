"""Run the stack the demo plays on: its own ports, its own folder, nothing of it left behind."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from lab.trouble import Trouble

HOST: Final = "127.0.0.1"
USUAL: Final = {
    "kafka": 9092,
    "redis": 6379,
    "ingest": 8801,
    "scorer": 8802,
    "alerts": 8803,
    "slack": 8804,
    "mail": 8025,
    "page": 8800,
}
"""Ports by part; of those that are taken another one is used."""
GUARD_WINDOW_S: Final = 20
SETTINGS: Final = {
    "CHURNWATCH_SCORER_SESSION_S": "6",
    "CHURNWATCH_SCORER_INSTANCE": "demo",  # a killed scorer comes back to its partitions at once
    "CHURNWATCH_SCORER_CYCLE_S": "5",
    "CHURNWATCH_GUARD_WINDOW_S": str(GUARD_WINDOW_S),
    "CHURNWATCH_GUARD_AFTER_S": "10",
    "CHURNWATCH_GUARD_CATCH_UP_S": "5",
    "CHURNWATCH_GUARD_ACCOUNTS": "10",
}
END_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A running stack: where its parts are, and its folder."""

    ports: dict[str, int]
    data: Path

    def url(self, part: str) -> str:
        """Return the address of a part that speaks HTTP."""
        return f"http://{HOST}:{self.ports[part]}"

    @property
    def kafka(self) -> str:
        return f"{HOST}:{self.ports['kafka']}"

    def secret(self, name: str) -> bytes:
        """Return a secret of the stack."""
        return bytes.fromhex((self.data / "secrets" / name).read_text("ascii").strip())

    def kill_scorer(self) -> int | None:
        """End the scorer as a crash would and return its pid, None if there is none now; its keeper starts it again."""
        keeper = msgspec.json.decode((self.data / "run" / "scorer.json").read_bytes())["pid"]
        for pid in _children(keeper):
            os.kill(pid, signal.SIGKILL)
            return pid
        return None


@asynccontextmanager
async def raised(data: Path, *, config: Path, say: Callable[[str], None], keep: bool) -> AsyncIterator[Stage]:
    """Start the stack in its folder and end it with the block; raise Trouble with what it said when it can't start.

    The stack is held by a process of its own that ends everything when the pipe to it closes, however we end.
    """
    ports = free_ports()
    told = {name: value for name, value in os.environ.items() if not name.startswith("CHURNWATCH_")}
    told |= {f"CHURNWATCH_{part.upper()}_PORT": str(port) for part, port in ports.items()}
    told |= {**SETTINGS, "CHURNWATCH_DATA": str(data), "CHURNWATCH_CONFIG": str(config), "PYTHONUNBUFFERED": "1"}
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.local.stack", "hold"),
        env=told,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for us: we end it when we are done
    )
    try:
        await _until_ready(holder, say=say)
        yield Stage(ports=ports, data=data)
    finally:
        await asyncio.shield(_end(holder))
        if not keep:
            shutil.rmtree(data, ignore_errors=True)


def free_ports() -> dict[str, int]:
    """Return a port for each part: the usual one where nobody listens, else one the system finds."""
    return {part: usual if _is_free(usual) else _any_port() for part, usual in USUAL.items()}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _until_ready(holder: asyncio.subprocess.Process, *, say: Callable[[str], None]) -> None:
    said: list[str] = []
    while holder.stdout is not None and (line := await holder.stdout.readline()):
        said.append(line.decode(errors="replace").rstrip())
        if said[-1] == "ready":
            return
        say(said[-1])
    raise Trouble("the stack did not start:\n" + "\n".join(said[-20:]))


async def _end(holder: asyncio.subprocess.Process) -> None:
    if holder.stdin is not None:
        holder.stdin.close()
    try:
        async with asyncio.timeout(END_S):
            await holder.wait()
    except TimeoutError:
        holder.kill()


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if listed.exists():
        return [int(child) for child in listed.read_text("ascii").split()]
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


def empty(data: Path) -> None:
    """Remove what an earlier demo left, unless something of it may still run: then the stack says so."""
    if not any((data / "run").glob("*.json")):
        shutil.rmtree(data, ignore_errors=True)
