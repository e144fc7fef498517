"""Catch mail on this machine, one .eml file a mail: `python -m lab.mail_catcher --port 8025 --data .data/mail`."""

import argparse
import asyncio
import itertools
import time
from pathlib import Path

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"


class Catcher:
    """Write every mail as it came to a file that sorts by time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        """Keep a mail; it is on disk before it is acknowledged."""
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        path = self._folder / f"{time.time_ns()}-{next(self._numbers):06d}.eml"
        await asyncio.to_thread(path.write_bytes, raw)
        return "250 OK"


async def serve(port: int, folder: Path) -> None:
    """Catch mail until cancelled."""
    controller = UnthreadedController(Catcher(folder), hostname=HOST, port=port, loop=asyncio.get_running_loop())
    server = await asyncio.get_running_loop().create_server(controller.factory, host=HOST, port=port)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m lab.mail_catcher", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder to write mails to")
    told = parser.parse_args()
    asyncio.run(serve(told.port, told.data))


if __name__ == "__main__":
    main()
