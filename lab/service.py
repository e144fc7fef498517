"""Ask a running service over HTTP; what it refuses is one line with its remedy."""

import http.client
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from lab.trouble import Trouble

INGEST_URL: Final = "http://127.0.0.1:8801"
API_URL: Final = "http://127.0.0.1:8803"
TIMEOUT_S: Final = 30.0
LONGEST_WAIT_S: Final = 10.0
_LATER: Final = frozenset({408, 429, 500, 502, 503, 504})


class Away(Trouble):
    """Nobody answers, or says to come again later: the same call may work soon."""

    def __init__(self, words: str, *, wait_s: float = 1.0) -> None:
        super().__init__(words)
        self.wait_s = wait_s


class NotAllowed(Trouble):
    """The key is not known, or not for this."""


class Service:
    """One service at an address, asked with one key; `called` is its name in messages."""

    def __init__(self, url: str, *, key: str, called: str = "ingest", option: str = "--url") -> None:
        self._at = urlsplit(url if "://" in url else f"http://{url}")
        if self._at.scheme not in {"http", "https"} or not self._at.hostname:
            raise Trouble(f"{option} {url!r}: is no address; write it like {INGEST_URL}")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise Trouble("the key has characters no key has; copy it again as `churnwatch key create` printed it")
        self.called = called
        self._option = option
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    @property
    def url(self) -> str:
        """Return the address."""
        return self._at.geturl().rstrip("/")

    def get(self, path: str, **query: str | int | None) -> Mapping[str, Any]:
        """Return what is answered, as JSON. Raises Away, NotAllowed and Trouble."""
        told = urlencode({name: value for name, value in query.items() if value is not None})
        return self._ask("GET", f"{path}?{told}" if told else path, None)

    def post(self, path: str, body: bytes, *, patience_s: float = 0.0) -> Mapping[str, Any]:
        """Return what is answered, sent again for a while when the service is away or busy. Raises like `get`."""
        until = time.monotonic() + patience_s
        while True:
            try:
                return self._ask("POST", path, body)
            except Away as away:
                if time.monotonic() + away.wait_s > until:
                    raise
                time.sleep(away.wait_s)

    def _ask(self, method: str, path: str, body: bytes | None) -> Mapping[str, Any]:
        kind = http.client.HTTPSConnection if self._at.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._at.hostname or "", self._at.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, self._at.path.rstrip("/") + path, body, self._headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as fault:
            remedy = f"start it with `churnwatch up`, or give its address with {self._option}"
            raise Away(f"no {self.called} answers at {self.url}: {fault or type(fault).__name__}; {remedy}") from None
        finally:
            connection.close()
        return self._read(answer, said, path=path)

    def _read(self, answer: http.client.HTTPResponse, said: bytes, *, path: str) -> Mapping[str, Any]:
        try:
            found = msgspec.json.decode(said, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            found = {}
        if answer.status == 200 and found:
            return found
        words = str(found.get("message") or found.get("detail") or f"status {answer.status}")
        if answer.status == 401:
            remedy = "`churnwatch key list` shows which there are, `churnwatch key create NAME` makes one"
            raise NotAllowed(f"the {self.called} at {self.url} does not know this key: {remedy}")
        if answer.status == 403:
            raise NotAllowed(f"the {self.called} at {self.url} refuses this key: {words}")
        if answer.status in _LATER:
            raise Away(f"the {self.called} at {self.url} is not ready: {words}", wait_s=_wait_s(answer))
        if answer.status in {200, 404, 405}:
            where = path.partition("?")[0]
            raise Trouble(f"{self.url} does not answer {where} as a churnwatch {self.called}: check {self._option}")
        raise Trouble(f"the {self.called} at {self.url} refuses it: {words}")


def _wait_s(answer: http.client.HTTPResponse) -> float:
    told = answer.headers.get("Retry-After", "")
    return min(float(told), LONGEST_WAIT_S) if told.isdecimal() else 1.0
