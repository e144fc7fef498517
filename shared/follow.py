"""Follow a topic for ever: read it from its start, say when its end was reached, then keep reading."""

import asyncio
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from shared.kafka import KafkaProblem, partitions

POLL_MS = 500
RETRY_S = 1.0

Apply = Callable[[ConsumerRecord[bytes | None, bytes | None]], None]


class Follower:
    """Hand every record of a topic to `apply`, all partitions, each in its order, again from the start after a fault.

    So `apply` must not mind to see a record twice. Whoever owns the follower runs and awaits `run`.
    """

    def __init__(self, bootstrap: str, topic: str, apply: Apply) -> None:
        self.loaded = asyncio.Event()
        self._bootstrap = bootstrap
        self._topic = topic
        self._apply = apply

    async def run(self) -> None:
        """Follow until cancelled; `loaded` is set when what the topic held at the start has been applied."""
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=POLL_MS,
            )
            try:
                await consumer.start()
                await self._follow(consumer)
            except (KafkaError, KafkaProblem) as fault:
                structlog.get_logger(__name__).warning("follower_restarts", topic=self._topic, fault=repr(fault))
            finally:
                await consumer.stop()
            await asyncio.sleep(RETRY_S)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        numbers = await partitions(self._bootstrap, self._topic)
        tps = [TopicPartition(self._topic, number) for number in numbers]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        unread = await consumer.end_offsets(tps)
        while True:
            if not self.loaded.is_set():
                unread = {tp: end for tp, end in unread.items() if await consumer.position(tp) < end}
                if not unread:
                    self.loaded.set()
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    self._apply(record)
