"""Tell how far the services are behind the log, by what they committed."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.contracts.topics import EVENTS, PARTITIONS, RISK

ASK_S: Final = 5.0
POLL_S: Final = 0.2
READ_BY: Final = {EVENTS: "churn-scorer", RISK: "churn-alerts"}

Offsets = Mapping[str, Mapping[int, int]]
"""By topic and partition."""


class NoAnswer(Exception):
    """The broker does not answer now."""


@dataclass(kw_only=True)
class Progress:
    """Asks the broker directly. `readers` names the group that must have read each topic."""

    bootstrap: str
    readers: Mapping[str, str] = field(default_factory=lambda: READ_BY)
    _consumer: AIOKafkaConsumer | None = None
    _admin: AIOKafkaAdminClient | None = None

    async def ends(self) -> Offsets:
        """Return the log ends. Raises NoAnswer."""

        async def ask() -> Offsets:
            consumer, _ = await self._clients()
            found = await consumer.end_offsets([tp for topic in self.readers for tp in _tps(topic)])
            return {topic: {tp.partition: int(found[tp]) for tp in _tps(topic)} for topic in self.readers}

        return await self._asked(ask())

    async def committed(self) -> Offsets:
        """Return what each topic's group committed, 0 where it never did. Raises NoAnswer."""

        async def ask() -> Offsets:
            _, admin = await self._clients()
            return {topic: await _committed(admin, group, topic) for topic, group in self.readers.items()}

        return await self._asked(ask())

    async def until_reached(self, *, within_s: float) -> float | None:
        """Return the seconds until all that is in the log now was read, None if that takes too long."""
        began, goal = time.monotonic(), None
        while time.monotonic() - began < within_s:
            try:
                goal = goal or await self.ends()
                if reached(await self.committed(), goal):
                    return time.monotonic() - began
            except NoAnswer:
                pass
            await asyncio.sleep(POLL_S)
        return None

    async def close(self) -> None:
        """Close what was opened."""
        consumer, admin, self._consumer, self._admin = self._consumer, self._admin, None, None
        for closing in (consumer and consumer.stop(), admin and admin.close()):
            if closing is not None:
                try:
                    async with asyncio.timeout(ASK_S):
                        await closing
                except (KafkaError, OSError, TimeoutError):
                    continue

    async def _clients(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        if self._consumer is None or self._admin is None:
            self._consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, enable_auto_commit=False)
            self._admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await self._consumer.start()
            await self._admin.start()
        return self._consumer, self._admin

    async def _asked(self, asking: Awaitable[Offsets]) -> Offsets:
        try:
            async with asyncio.timeout(ASK_S):
                return await asking
        except (KafkaError, OSError, TimeoutError) as fault:
            await self.close()
            raise NoAnswer(repr(fault)) from fault


def reached(committed: Offsets, goal: Offsets) -> bool:
    """Return whether everything before the goal is committed."""
    return all(committed[topic][number] >= end for topic, ends in goal.items() for number, end in ends.items())


async def _committed(admin: AIOKafkaAdminClient, group: str, topic: str) -> Mapping[int, int]:
    found = await admin.list_consumer_group_offsets(group, partitions=_tps(topic))
    offsets = {tp.partition: int(at.offset) for tp, at in found.items()}
    return {number: max(0, offsets.get(number, 0)) for number in range(PARTITIONS)}


def _tps(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(PARTITIONS)]
