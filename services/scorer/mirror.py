"""Carry health to Redis behind the log: the latest of each account wins; outputs and commits don't wait for it.

The checkpoint does, for a moment: a health that is in the state but not in Redis would not come again after a crash.
With Redis down it goes on, and what waits here is written when Redis is back.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

import msgspec
import structlog
from redis.exceptions import RedisError

from services.scorer import metrics
from services.scorer.core.publish import HealthRow
from shared import health_store
from shared.health_store import HealthStore, Written

ROWS_A_CALL: Final = health_store.ROWS_PER_CALL
RETRY_S: Final = (0.05, 0.2, 1.0, 5.0)

PATIENCE_S: Final = 5.0
IMPATIENCE_S: Final = 60.0
"""How long the checkpoint goes on without waiting once Redis took too long, unless it has everything before that."""

_FIELDS: Final = attrgetter(*health_store.HealthRow._fields)
"""What the store wants of a row: all but the offset."""

log = structlog.get_logger(__name__)


class _Put(msgspec.Struct, frozen=True, gc=False):
    """One putting of a row.

    Put again while it is being written, even the very same row must be written again: Redis may have lost what it held.
    """

    row: HealthRow


class Mirror:
    """Accounts of one partition on their way to Redis. A failed write is tried again for ever."""

    def __init__(self, store: HealthStore, *, generation: int) -> None:
        self._store = store
        self._generation = generation
        self._waiting: dict[str, _Put] = {}
        self._offsets: Counter[int] = Counter()
        self._news = asyncio.Event()
        self._written = asyncio.Condition()
        self._impatient_until = 0.0
        self._closed = False

    def put(self, rows: Iterable[HealthRow]) -> None:
        """Take rows; one of an account that is waiting already is replaced unless it is the later one."""
        if self._closed:
            return
        before = len(self._waiting)
        for row in rows:
            replaced = self._waiting.get(row.account)
            if replaced is not None:
                if replaced.row.offset > row.offset:
                    continue
                self._uncount(replaced.row)
            self._waiting[row.account] = _Put(row)
            self._offsets[row.offset] += 1
        metrics.REDIS_WAITING.inc(len(self._waiting) - before)
        if self._waiting:
            self._news.set()

    async def close(self) -> None:
        """Take no more: the partition was given up, and nobody writes what would come now."""
        metrics.REDIS_WAITING.dec(0 if self._closed else len(self._waiting))
        self._closed = True
        async with self._written:
            self._written.notify_all()

    def unwritten(self) -> Sequence[HealthRow]:
        """Return what Redis has not got yet."""
        return [put.row for put in self._waiting.values()]

    async def until_written(self, position: int, *, patience_s: float = PATIENCE_S) -> bool:
        """Return True when Redis has what was evaluated before an offset, False when it takes too long."""
        if self._closed or time.monotonic() < self._impatient_until:
            return False
        try:
            async with asyncio.timeout(patience_s), self._written:
                await self._written.wait_for(lambda: self._has_written(position))
        except TimeoutError:
            self._impatient_until = time.monotonic() + IMPATIENCE_S
            log.warning("redis_behind", waiting=len(self._waiting))
            return False
        return True

    async def all_written(self, position: int) -> bool:
        """Return True when Redis has it, however long that takes; False once the partition was given up."""
        async with self._written:
            await self._written.wait_for(lambda: self._closed or self._has_written(position))
        return not self._closed

    def _has_written(self, position: int) -> bool:
        return min(self._offsets, default=position) >= position

    async def run(self) -> None:
        """Write until cancelled."""
        failures = 0
        while True:
            await self._news.wait()
            puts = list(islice(self._waiting.values(), ROWS_A_CALL))
            try:
                await self._write([put.row for put in puts])
            except (RedisError, OSError, TimeoutError) as fault:
                metrics.REDIS_FAILURES.inc()
                if failures == 0:
                    log.warning("redis_write_failed", fault=repr(fault), waiting=len(self._waiting))
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
            else:
                failures = 0
                await self._forget(puts)

    async def _write(self, rows: Sequence[HealthRow]) -> None:
        for offset, group in groupby(sorted(rows, key=_offset), key=_offset):
            began = time.perf_counter()
            results = await self._store.write(self._generation, offset, [_stored(row) for row in group])
            metrics.REDIS_WRITE.observe(time.perf_counter() - began)
            for result in Written:
                metrics.REDIS_ROWS.labels(result.name.lower()).inc(results.count(result))

    async def _forget(self, puts: Iterable[_Put]) -> None:
        before = len(self._waiting)
        for put in puts:
            if self._waiting.get(put.row.account) is put:
                del self._waiting[put.row.account]
                self._uncount(put.row)
        metrics.REDIS_WAITING.dec(before - len(self._waiting))
        if not self._waiting:
            self._news.clear()
            self._impatient_until = 0.0
        async with self._written:
            self._written.notify_all()

    def _uncount(self, row: HealthRow) -> None:
        self._offsets[row.offset] -= 1
        if not self._offsets[row.offset]:
            del self._offsets[row.offset]


def _offset(row: HealthRow) -> int:
    return row.offset


def _stored(row: HealthRow) -> health_store.HealthRow:
    return health_store.HealthRow._make(_FIELDS(row))
