"""Keep the last fates of each source's events in Redis, for people who plug a product in: never the record of anything.

    churn:recent:<source>:<stage>    list of Fated as JSON, newest first, at most 100, gone after a week

No user and no property is kept: id, kind, event name, account and what became of it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Iterable
from typing import Final, cast

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.contracts.recent import Fated, Stage

KEPT: Final = 100
KEPT_S: Final = 7 * 86_400
FLUSH_S: Final = 0.25
QUIET_S: Final = 60.0
"""Between two log lines that Redis is down: this is a convenience, not worth more."""


class RecentFates:
    """The last fates by source. `note` never waits and never fails; `run` carries them to Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: dict[tuple[str, Stage], deque[Fated]] = {}
        self._quiet_until = 0.0

    def note(self, source: str, fates: Iterable[Fated]) -> None:
        """Take fates, oldest first; of many only the last 100 of a source and stage are kept."""
        for fated in fates:
            self._waiting.setdefault((source, fated.stage), deque(maxlen=KEPT)).append(fated)

    async def run(self) -> None:
        """Write until cancelled, at most four times a second."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; while Redis is away the last 100 of each source and stage go on waiting."""
        for source, stage in list(self._waiting):
            fates, key = self._waiting.pop((source, stage)), f"churn:recent:{source}:{stage}"
            try:
                pipe = self._redis.pipeline(transaction=True)
                pipe.lpush(key, *(msgspec.json.encode(fated) for fated in fates))
                pipe.ltrim(key, 0, KEPT - 1)
                pipe.expire(key, KEPT_S)
                await pipe.execute()
            except (RedisError, OSError, TimeoutError) as fault:
                fates.extend(self._waiting.get((source, stage), ()))
                self._waiting[source, stage] = fates
                self._complain(fault)
                return

    async def last(self, source: str) -> list[Fated]:
        """Return the last events of a source, newest first, each with the latest that was said of it.

        Raises what redis-py raises.
        """
        said = [fated for stage in Stage for fated in await self._read(source, stage)]
        by_id: dict[str, Fated] = {}
        for fated in sorted(said, key=lambda one: (one.stage is Stage.SCORER, one.at)):
            by_id[fated.id] = _merged(by_id.get(fated.id), fated)
        return sorted(by_id.values(), key=lambda one: one.at, reverse=True)[:KEPT]

    async def _read(self, source: str, stage: Stage) -> list[Fated]:
        raw = await cast("Awaitable[list[bytes]]", self._redis.lrange(f"churn:recent:{source}:{stage}", 0, -1))
        return [msgspec.json.decode(one, type=Fated) for one in raw]

    def _complain(self, fault: Exception) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_S
            structlog.get_logger(__name__).warning("recent_fates_not_kept", fault=repr(fault))


def _merged(before: Fated | None, now: Fated) -> Fated:
    """Return what was said last, with what only the earlier one told."""
    if before is None:
        return now
    return msgspec.structs.replace(
        now, kind=now.kind or before.kind, name=now.name or before.name, account=now.account or before.account
    )
