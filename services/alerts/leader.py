"""Be the active process, or stand by: a consumer group on a topic of one partition elects one of us."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from shared.kafka import METADATA_MAX_AGE_MS
from shared.tasks import cancel

SESSION_S: Final = 10.0
HEARTBEAT_S: Final = SESSION_S / 4
BEAT_S: Final = 0.5
LIMIT_S: Final = SESSION_S - HEARTBEAT_S - BEAT_S
"""A pause may begin just before a heartbeat is due: the group counts its session from the heartbeat before."""
POLL_MS: Final = 500


class Watch:
    """Notice that this process was suspended: a frozen process can't know that another was elected meanwhile."""

    def __init__(self, clock_s: Callable[[], float], *, limit_s: float = LIMIT_S) -> None:
        self._clock_s = clock_s
        self._limit_s = limit_s
        self._alive_at: float | None = None
        self._fenced = False

    def sure(self) -> bool:
        """Return whether the watch is kept and no pause in it was long enough for another process to be elected."""
        if self._alive_at is None:
            return False
        self._fenced = self._fenced or self._clock_s() - self._alive_at > self._limit_s
        return not self._fenced

    async def beat(self) -> None:
        """Keep the watch until cancelled. It begins now: however long a start takes, it suspends nobody."""
        self._alive_at = self._clock_s()
        while True:
            await asyncio.sleep(BEAT_S)
            if self.sure():
                self._alive_at = self._clock_s()


class Election(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka publishes no types
    """Run `work` whenever this process is elected; end it before another may be."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def stand(self, bootstrap: str, *, topic: str, group: str) -> None:
        """Stand for election until cancelled. Raises what `work` raises."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=int(SESSION_S * 1000),
            heartbeat_interval_ms=int(HEARTBEAT_S * 1000),
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )
        consumer.subscribe([topic], listener=self)
        await consumer.start()
        try:
            while True:
                await consumer.getmany(timeout_ms=POLL_MS)
                if self._task is not None and self._task.done():
                    self._task.result()
                    self._task = None
        finally:
            await self._end()
            await consumer.stop()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """End the work: the group waits for this before it elects."""
        if revoked:
            await self._end()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Start the work if we were elected."""
        if assigned and self._task is None:
            structlog.get_logger(__name__).info("elected")
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        await self._work()

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        # a failure of the work is raised by `stand`; here it only has to be over
        await cancel([task])
        if not task.cancelled() and (fault := task.exception()):
            structlog.get_logger(__name__).error("work_failed", exc_info=fault)
