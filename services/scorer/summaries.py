"""Write a summary of each partition's segments once a day, beside the batches and in small steps."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import numpy as np
import structlog

from services.scorer.core.known import KnownAt
from services.scorer.core.partition import Partition
from services.scorer.core.summary import Tally, day_to_summarize, named_segments, segments_of
from shared.contracts.context import Summary

SLICE: Final = 2048
"""Accounts counted before others have their turn: some tens of milliseconds."""
POLL_S: Final = 10.0

log = structlog.get_logger(__name__)


class Summarist:
    """Summarizes the partitions that `caught_up` returns; what was written before is in `known_at` its last offset."""

    def __init__(
        self,
        *,
        caught_up: Callable[[], Mapping[int, Partition]],
        known_at: KnownAt,
        last_offset: Callable[[], int],
        tell: Callable[[Summary], Awaitable[None]],
    ) -> None:
        self._caught_up = caught_up
        self._known_at = known_at
        self._last_offset = last_offset
        self._tell = tell

    async def run(self) -> None:
        """Write what is due until cancelled; raise what Kafka raises."""
        while True:
            await self.turn()
            await asyncio.sleep(POLL_S)

    async def turn(self) -> None:
        """Write every summary that is due now, one partition after the other."""
        for partition, state in self._caught_up().items():
            day = self._due(partition, state)
            summary = None if day is None else await summarize(state, day=day)
            if summary is not None and self._caught_up().get(partition) is state:
                await self._tell(summary)
                log.info("segments_summarized", partition=partition, day=day, segments=len(summary.segments))

    def _due(self, partition: int, state: Partition) -> int | None:
        if state.clock is None or not state.accounts:
            return None
        day = day_to_summarize(state.clock)
        last = self._known_at(self._last_offset(), partition).summaries.get(partition)
        return day if last is None or last.day < day else None


async def summarize(state: Partition, *, day: int) -> Summary | None:
    """Return a partition's summary of a day, None without a configuration; others run between slices of accounts."""
    bundle, clock, count = state.bundle, state.clock, state.accounts
    if bundle is None or clock is None:
        return None
    slices = [np.arange(start, min(start + SLICE, count)) for start in range(0, count, SLICE)]
    accounts: Counter[str] = Counter()
    for rows in slices:
        accounts.update(segments_of(state.facts, rows))
        await asyncio.sleep(0)
    tally = Tally(named_segments(accounts))
    for rows in slices:
        tally.add(rows, day=day, activity=state.activity, facts=state.facts, bundle=bundle)
        await asyncio.sleep(0)
    return Summary(partition=state.partition, partitions=state.partitions, day=day, at=clock, segments=tally.segments())
