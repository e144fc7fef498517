"""Send rows to the ingest, one request after the other, and the next one made ready meanwhile."""

import http.client
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from lab.importing.mapping import Row
from lab.trouble import Trouble

ROWS_A_CHUNK: Final = 5_000
BYTES_A_CHUNK: Final = 900_000
HEARTBEAT_S: Final = 60.0
TIMEOUT_S: Final = 60.0
PATIENCE_S: Final = 300.0
LONGEST_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows of one request, encoded, and the number of the last one."""

    body: bytes
    last: int
    rows: int


@dataclass(slots=True, kw_only=True)
class Sent:
    """What came of it so far: the number of the last row answered, and the rows refused."""

    rows: int = 0
    last: int = -1
    refused: list[Mapping[str, Any]] = field(default_factory=list)


class Unanswered(Trouble):
    """The ingest did not take it for too long."""


class Ingest:
    """The import endpoints of one ingest, over one connection."""

    def __init__(self, url: str, *, key: str, job: str, patience_s: float = PATIENCE_S) -> None:
        self._at = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._job = job
        self._patience_s = patience_s
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes = b"[]") -> Mapping[str, Any]:
        """Return the answer; sent again while the ingest is busy or away, for some minutes. Raises Trouble."""
        until = time.monotonic() + self._patience_s
        wait_s, why = 0.2, ""
        while True:
            status, answer, retry_after = self._once(path, body)
            if status == 200:
                return answer
            why = str(answer.get("message") or answer.get("detail") or status)
            if status not in {0, 408, 429, 500, 502, 503, 504}:
                raise Trouble(f"the ingest refuses the import: {why}")
            if time.monotonic() > until:
                raise Unanswered(f"{self._at.geturl()} takes nothing since {self._patience_s:.0f} s: {why}")
            time.sleep(min(retry_after or wait_s, LONGEST_WAIT_S))
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, path: str, body: bytes) -> tuple[int, Mapping[str, Any], float | None]:
        try:
            connection = self._connection = self._connection or self._connect()
            connection.request("POST", f"/v1/import/{self._job}/{path}", body, self._headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as fault:
            self.close()
            return 0, {"message": f"no answer: {fault or type(fault).__name__}"}, None
        waits = answer.headers.get("Retry-After", "")
        try:
            found = msgspec.json.decode(said, type=dict[str, Any])
        except msgspec.MsgspecError:
            found = {"message": f"status {answer.status}"}
        return answer.status, found, float(waits) if waits.isdecimal() else None

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._at.scheme == "https" else http.client.HTTPConnection
        return kind(self._at.hostname or "", self._at.port, timeout=TIMEOUT_S)


def chunks(rows: Iterable[Row]) -> Iterator[Chunk]:
    """Yield rows in requests of a size the ingest takes."""
    encoded: list[bytes] = []
    size, last = 0, -1
    for row in rows:
        body = _ENCODER.encode(row)
        if encoded and (len(encoded) == ROWS_A_CHUNK or size + len(body) > BYTES_A_CHUNK):
            yield _chunk(encoded, last)
            encoded, size = [], 0
        encoded.append(body)
        size += len(body) + 1
        last = row[0]
    if encoded:
        yield _chunk(encoded, last)


def send(found: Iterable[Chunk], ingest: Ingest, *, after: Callable[[Sent], None]) -> Sent:
    """Send chunks in their order; `after` is called when one was answered. Raises Trouble."""
    sent, spoke = Sent(), time.monotonic()
    ingest.post("start")
    with ThreadPoolExecutor(1) as thread:
        waiting = None
        for chunk in found:
            _take(sent, waiting, after)
            if time.monotonic() - spoke > HEARTBEAT_S:
                ingest.post("start")
                spoke = time.monotonic()
            waiting = chunk, thread.submit(ingest.post, "rows", chunk.body)
        _take(sent, waiting, after)
    return sent


def send_days(days: Sequence[Sequence[object]], ingest: Ingest) -> None:
    """Send reconstructed days: arrays of account, at (epoch ms), health, band, bundle."""
    for first in range(0, len(days), ROWS_A_CHUNK):
        ingest.post("history", _ENCODER.encode(days[first : first + ROWS_A_CHUNK]))


def _take(sent: Sent, waiting: Any, after: Callable[[Sent], None]) -> None:
    if waiting is None:
        return
    chunk, answer = waiting
    said = answer.result()
    sent.rows += int(said["accepted"])
    sent.last = chunk.last
    sent.refused += said["rejected"]
    after(sent)


def _chunk(encoded: Sequence[bytes], last: int) -> Chunk:
    return Chunk(body=b"[" + b",".join(encoded) + b"]", last=last, rows=len(encoded))


_ENCODER: Final = msgspec.json.Encoder()
