"""Send live events of the vendor's healthy customers through the ingest, each product with a key of its own."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import aiohttp
import numpy as np

from lab.demo.row import Row
from lab.demo.vendor import Past
from shared.contracts.events import Kind, wire_time

EVENTS_A_SECOND: Final = 15.0
EVERY_S: Final = 0.25
RECENT_MS: Final = 14 * 86_400_000
RETRY_S: Final = 0.5
TIMEOUT_S: Final = 10.0
MOST_AT_ONCE: Final = 500
PRESENCE: Final = {Kind.LOGIN: "Signed In", Kind.OUTCOME: "Outcome Achieved"}


class Traffic:
    """What the products send. `answered` counts events whose call was answered 200, by product.

    A product that is out sends nothing; what its customers did meanwhile is sent when it is back, as SDKs do.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        keys: Mapping[str, str],
        like: Mapping[str, Sequence[Row]],
        now_ms: Callable[[], int],
    ) -> None:
        self._session = session
        self._url = f"{url}/v1/batch"
        self._keys = keys
        self._like = like
        self._now_ms = now_ms
        self._rng = np.random.default_rng(now_ms())
        self.answered = dict.fromkeys(keys, 0)
        self.retried = 0
        self.waiting: dict[str, list[Mapping[str, object]]] = {source: [] for source in keys}
        self.out: set[str] = set()
        self.began: int | None = None

    async def run(self) -> None:
        """Send until cancelled, every product by itself."""
        self.began = self._now_ms()
        async with asyncio.TaskGroup() as products:
            for source in self._keys:
                products.create_task(self._run(source))

    def happens(self, row: Row) -> None:
        """Let something happen to a customer now, through its product."""
        self.waiting[row.source or ""].append(call_of(row))

    def total(self) -> int:
        """Return how many events were answered 200."""
        return sum(self.answered.values())

    async def settle(self) -> None:
        """Return when everything that is to be sent was answered; call it after `run` was cancelled."""
        for source in self._keys:
            await self._send_waiting(source)

    async def _run(self, source: str) -> None:
        share = len(self._like[source]) / sum(map(len, self._like.values()))
        due = 0.0
        while True:
            due += EVENTS_A_SECOND * share * EVERY_S
            for _ in range(int(due)):
                row = self._like[source][int(self._rng.integers(len(self._like[source])))]
                self.waiting[source].append(call_of(row, at=self._now_ms()))
            due -= int(due)
            if source not in self.out:
                await self._send_waiting(source)
            await asyncio.sleep(EVERY_S)

    async def _send_waiting(self, source: str) -> None:
        waiting = self.waiting[source]
        while waiting:
            calls = waiting[:MOST_AT_ONCE]
            await asyncio.shield(self._send(source, calls))
            del waiting[: len(calls)]

    async def _send(self, source: str, calls: Sequence[Mapping[str, object]]) -> None:
        """Send until it is answered 200; a repetition carries the same ids."""
        auth = aiohttp.BasicAuth(self._keys[source], "")
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        while True:
            try:
                async with self._session.post(self._url, json={"batch": calls}, auth=auth, timeout=timeout) as answer:
                    if answer.status == 200:
                        self.answered[source] += len(calls)
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.retried += len(calls)
            await asyncio.sleep(RETRY_S)


def recent(past: Past, *, now: int, sources: Sequence[str]) -> dict[str, list[Row]]:
    """Return by product what healthy customers did of late: live events are drawn from it, so in its proportions."""
    healthy = {account.account for account in past.healthy()}
    rows = [row for row in past.rows if row.at >= now - RECENT_MS and row.account in healthy and row.user]
    return {source: [row for row in rows if row.source == source] for source in sources}


def call_of(row: Row, *, at: int | None = None) -> dict[str, Any]:
    """Return the call by which a product's SDK tells of a row; `at` says when (epoch ms), else the row does."""
    return {
        "type": "track",
        "messageId": uuid.uuid4().hex,
        "userId": row.user,
        "event": PRESENCE.get(Kind(row.kind)) or row.name,
        "timestamp": wire_time(row.at if at is None else at),
        "context": {"groupId": row.account},
    }
