"""Read a request's body as clients really send it: any Content-Type, gzip or not, never more than the caps."""

import asyncio
import zlib
from typing import Final

from starlette.requests import ClientDisconnect, Request

from services.ingest.answer import Refused

MAX_WIRE_BYTES: Final = 1 << 20
MAX_INFLATED_BYTES: Final = 5 << 20
BODY_DEADLINE_S: Final = 10.0
GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31


async def read_body(request: Request, *, deadline_s: float = BODY_DEADLINE_S) -> bytes:
    """Return the body, inflated where its first bytes say gzip, whatever the headers say.

    Raises Refused: 413 above a cap, 408 when the body takes too long, 400 for damaged gzip.
    """
    try:
        async with asyncio.timeout(deadline_s):
            wire = await _wire(request)
    except TimeoutError:
        raise Refused(408, "request_timeout", f"the body did not arrive within {deadline_s:g} s") from None
    except ClientDisconnect:
        raise Refused(400, "disconnected", "the client went away before its body was complete") from None
    return inflate(wire) if wire.startswith(GZIP_MAGIC) else wire


def inflate(wire: bytes, *, cap: int = MAX_INFLATED_BYTES) -> bytes:
    """Return gzip members inflated one after the other; nothing beyond `cap` is ever held."""
    parts: list[bytes] = []
    room = cap
    while wire.startswith(GZIP_MAGIC):
        member = zlib.decompressobj(_GZIP_WINDOW)
        try:
            part = member.decompress(wire, room + 1)
        except zlib.error:
            raise Refused(400, "malformed_gzip", "the gzip body is damaged") from None
        room -= len(part)
        if room < 0:
            raise Refused(413, "too_large", f"the body is larger than {cap} bytes inflated")
        if not member.eof:
            raise Refused(400, "malformed_gzip", "the gzip body is cut off")
        parts.append(part)
        wire = member.unused_data
    return b"".join(parts)


async def _wire(request: Request) -> bytes:
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > MAX_WIRE_BYTES:
        raise _too_large()
    parts: list[bytes] = []
    room = MAX_WIRE_BYTES
    async for part in request.stream():
        room -= len(part)
        if room < 0:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def _too_large() -> Refused:
    return Refused(413, "too_large", f"the body is larger than {MAX_WIRE_BYTES} bytes; send smaller batches")
