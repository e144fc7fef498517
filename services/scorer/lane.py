"""Make the outputs of one partition durable, batch after batch, and acknowledge each when they are."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from services.scorer.core.batch import Batch
from services.scorer.core.publish import Record
from services.scorer.core.step import Outputs

MOST_WAITING: Final = 4
"""Batches folded whose outputs are not durable yet; more would only be replayed after a crash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A batch that is in the state, and what is left to do: `position` is the state's after it."""

    batch: Batch
    outputs: Outputs
    position: int
    acknowledge: Callable[[], object]
    listed: Iterator[Record] | None = None
    """The list of open episodes that goes out after the outputs, if one is due."""


class Lane:
    """The order of effects of one partition: outputs, then `durable` moves, then the acknowledgement.

    `perform` returns when the outputs are durable and raises when they can't be; then the process must end, for the
    state is already ahead of them.
    """

    def __init__(self, perform: Callable[[Decided], Awaitable[None]], *, position: int) -> None:
        self.durable = position
        self._perform = perform
        self._waiting: asyncio.Queue[Decided] = asyncio.Queue()
        self._open = 0
        self._began: float | None = None
        self._moved = asyncio.Condition()
        self._closed = False

    @property
    def oldest(self) -> float | None:
        """Monotonic time since when the oldest batch waits for its outputs, None if none does."""
        return self._began

    async def room(self) -> None:
        """Return when another batch may be folded, or when the lane was closed."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._open < MOST_WAITING or self._closed)

    async def close(self) -> None:
        """Let go whoever waits for room: the partition was given up."""
        self._closed = True
        async with self._moved:
            self._moved.notify_all()

    def put(self, decided: Decided) -> None:
        """Take a batch that was folded just now. Never waits: nothing may come between the two."""
        self._open += 1
        if self._began is None:
            self._began = time.monotonic()
        self._waiting.put_nowait(decided)

    async def until_durable(self, position: int) -> None:
        """Return when the outputs of everything before `position` are durable."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.durable >= position)

    async def run(self) -> None:
        """Work until cancelled; raise what `perform` raises."""
        while True:
            decided = await self._waiting.get()
            await self._perform(decided)
            self.durable = decided.position
            decided.acknowledge()
            self._open -= 1
            self._began = time.monotonic() if self._open else None
            async with self._moved:
                self._moved.notify_all()
