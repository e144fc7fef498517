"""Write the time into the log: ticks, appended by whoever owns a partition.

A tick is due when events came since the last one or a deadline passed, at most one a second; and once a minute
whatever happens. A scorer that is behind comes to one tick before it writes the next: each costs a judgement of all it
touched. Scoring reads no other clock.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer

from shared.contracts.events import tick_record

MOST_MS: Final = 60_000
POLL_S: Final = 0.05


class Ticked(Protocol):
    """What the ticker must know of a partition's state (times in epoch ms)."""

    @property
    def clock(self) -> int | None: ...

    @property
    def next_due(self) -> int | None: ...

    @property
    def pending(self) -> bool: ...


class Ticker:
    """Append ticks to the partitions that `owned` returns."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        *,
        topic: str,
        owned: Callable[[], Mapping[int, Ticked]],
        context: Callable[[], int],
        now_ms: Callable[[], int],
        fewest_ms: int,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._owned = owned
        self._context = context
        self._now_ms = now_ms
        self._fewest_ms = fewest_ms
        self._last: dict[int, int] = {}

    async def run(self) -> None:
        """Append until cancelled; raise what Kafka raises when a tick can't be written."""
        while True:
            await self.turn()
            await asyncio.sleep(POLL_S)

    async def turn(self) -> None:
        """Append every tick that is due now, and return when they are durable."""
        now = self._now_ms()
        owned = self._owned()
        due = [
            partition
            for partition, state in owned.items()
            if is_due(state, now=now, last=self._last.get(partition), fewest_ms=self._fewest_ms)
        ]
        self._last.update(dict.fromkeys(due, now))
        value = tick_record(now, context=self._context())
        sent = [await self._producer.send(self._topic, value=value, partition=partition) for partition in due]
        await asyncio.gather(*sent)


def is_due(state: Ticked, *, now: int, last: int | None, fewest_ms: int) -> bool:
    """Say whether a partition needs a tick now; `last` is T of the last one appended by us, epoch ms.

    T of the last tick        + fewest            + one minute
    |--------- never ---------|--- if needed -----|--- always --->
                              (never, while our last one lies unread)
    """
    latest = max((t for t in (last, state.clock) if t is not None), default=None)
    if latest is None:
        return True
    if now < latest + fewest_ms:
        return False
    if now >= latest + MOST_MS:
        return True
    is_unread = last is not None and (state.clock is None or state.clock < last)
    deadline_passed = state.next_due is not None and state.next_due <= now
    return not is_unread and (state.pending or deadline_passed)
