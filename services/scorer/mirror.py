"""Carry health to Redis behind the log: the latest of each account wins, and nothing waits for it."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from typing import Final

import structlog
from redis.exceptions import RedisError

from services.scorer import metrics
from services.scorer.core.publish import GENERATION, HealthRow
from shared import health_store
from shared.health_store import HealthStore, Written

ROWS_A_CALL: Final = health_store.ROWS_PER_CALL
RETRY_S: Final = (0.05, 0.2, 1.0, 5.0)

log = structlog.get_logger(__name__)


class Mirror:
    """Accounts of one partition on their way to Redis. A failed write is tried again for ever."""

    def __init__(self, store: HealthStore) -> None:
        self._store = store
        self._waiting: dict[str, HealthRow] = {}
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, rows: Iterable[HealthRow]) -> None:
        """Take rows in log order; an account waiting already is replaced."""
        waiting = self._waiting
        before = len(waiting)
        waiting.update((row.account, row) for row in rows)
        metrics.REDIS_WAITING.inc(len(waiting) - before)
        if waiting:
            self._news.set()
            self._empty.clear()

    async def run(self) -> None:
        """Write until cancelled."""
        failures = 0
        try:
            while True:
                await self._news.wait()
                rows = list(islice(self._waiting.values(), ROWS_A_CALL))
                try:
                    await self._write(rows)
                except (RedisError, OSError, TimeoutError) as fault:
                    metrics.REDIS_FAILURES.inc()
                    if failures == 0:
                        log.warning("redis_write_failed", fault=repr(fault), waiting=len(self._waiting))
                    await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                    failures += 1
                else:
                    failures = 0
                    self._forget(rows)
        finally:
            metrics.REDIS_WAITING.dec(len(self._waiting))

    async def drained(self, timeout_s: float) -> None:
        """Return when nothing waits any more, or after the time-out: Redis holds up nobody."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()

    async def _write(self, rows: Sequence[HealthRow]) -> None:
        for offset, group in groupby(sorted(rows, key=_offset), key=_offset):
            began = time.perf_counter()
            results = await self._store.write(GENERATION, offset, [_stored(row) for row in group])
            metrics.REDIS_WRITE.observe(time.perf_counter() - began)
            for result in Written:
                metrics.REDIS_ROWS.labels(result.name.lower()).inc(results.count(result))

    def _forget(self, rows: Iterable[HealthRow]) -> None:
        done = 0
        for row in rows:
            if self._waiting.get(row.account) is row:
                del self._waiting[row.account]
                done += 1
        metrics.REDIS_WAITING.dec(done)
        if not self._waiting:
            self._news.clear()
            self._empty.set()


def _offset(row: HealthRow) -> int:
    return row.offset


def _stored(row: HealthRow) -> health_store.HealthRow:
    return health_store.HealthRow._make(row[:-1])  # all but the offset
