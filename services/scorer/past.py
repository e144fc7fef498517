"""Bring the history of accounts back into Redis from `churn.scores.v1`, after Redis lost it."""

from collections.abc import Callable
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contracts.health import Band
from shared.contracts.topics import EVENTS, SCORES
from shared.contracts.topology import Topology
from shared.health_store import HealthStore, Point
from shared.kafka import read_to_end

SHOWN_MS: Final = 91 * 86_400_000
POINTS_AT_ONCE: Final = 5_000


class _Published(msgspec.Struct):
    """What a point of the history needs of AccountHealth, or of a reconstructed day."""

    account: str
    at: int
    health: int | None
    band: Band
    reconstructed: bool = False


class Past:
    """The last 91 days of every account, as they were published."""

    def __init__(self, bootstrap: str, store: HealthStore, *, topology: Topology, now_ms: Callable[[], int]) -> None:
        self._bootstrap = bootstrap
        self._topology = topology
        self._store = store
        self._now_ms = now_ms

    async def bring_back(self, partition: int) -> None:
        """Write the history of a partition's accounts; what Redis holds already stays as it is. Raises RedisError."""
        for number in self._topology.sharing(SCORES, partition):
            await self._bring_back(partition, number)

    async def _bring_back(self, partition: int, number: int) -> None:
        """Write what one partition of the scores tells of the accounts of a partition of the event log."""
        since = self._now_ms() - SHOWN_MS
        points: dict[str, list[Point]] = {}
        held = 0
        async for record in read_to_end(self._bootstrap, SCORES, number, await self._first(number, since)):
            published = _DECODER.decode(record.value or b"")
            if published.at < since or self._topology.home(EVENTS, published.account.encode()) != partition:
                continue
            point = Point(published.at, published.health, published.band, published.reconstructed)
            points.setdefault(published.account, []).append(point)
            held += 1
            if held == POINTS_AT_ONCE:
                await self._store.put_history(points)
                points, held = {}, 0
        await self._store.put_history(points)

    async def _first(self, partition: int, since: int) -> int:
        """Return the first offset published at or after `since` (epoch ms), by the tick that published it."""
        tp = TopicPartition(SCORES, partition)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=None, enable_auto_commit=False)
        async with consumer:
            found = (await consumer.offsets_for_times({tp: since}))[tp]
            return int(found.offset) if found is not None else int((await consumer.end_offsets([tp]))[tp])


_DECODER: Final = msgspec.json.Decoder(_Published)
