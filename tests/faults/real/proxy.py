"""Stand between a service and what it talks to: pass bytes on, late, never, or not at all."""

import asyncio
import contextlib
import socket
import struct
from typing import Final

from deploy.local.server import HOST

CHUNK: Final = 1 << 16
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends RST, as a peer that is gone would."""


class Link:
    """A TCP proxy on a port of its own to a port of this machine.

    While `latency_s` is set each chunk waits that long; while `refusing`, connections are reset; while dark, they are
    accepted and nothing passes: the far end is gone without a word.
    """

    def __init__(self, name: str, *, target: int = 0) -> None:
        self.name = name
        self.target = target
        self.port = 0
        self.latency_s = 0.0
        self.refusing = False
        self._light = asyncio.Event()
        self._light.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; what is listened for at `target` may come later."""
        self._server = await asyncio.start_server(self._accepted, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more and end what is open."""
        self._light.set()
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._open):
            _reset(writer)

    def darken(self) -> None:
        """Let nothing pass any more, in connections open and new."""
        self._light.clear()

    def lighten(self) -> None:
        """Let everything pass again; what was half-open meanwhile is reset: bytes of it are lost."""
        self.cut()
        self._light.set()

    def heal(self) -> None:
        """Be as at the beginning."""
        self.latency_s, self.refusing = 0.0, False
        if not self._light.is_set():
            self.lighten()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self.refusing:
                return
            await self._light.wait()
            far_reader, far_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            return
        else:
            self._open.add(far_writer)
            try:
                await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
            finally:
                self._open.discard(far_writer)
                _reset(far_writer)
        finally:
            self._open.discard(writer)
            _reset(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._light.wait()
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()  # the other direction ends with it


def _reset(writer: asyncio.StreamWriter) -> None:
    own: socket.socket | None = writer.get_extra_info("socket")
    if own is not None and own.fileno() >= 0:
        with contextlib.suppress(OSError):
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
