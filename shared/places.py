"""Know where events go: the topics of the generation in use, or why none may be written just now.

While a move to a new generation runs, nothing may be added to the old one; when somebody changed the number of
partitions in place, other producers already spread events wrongly. Both are answered 503 until they are over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Final

import msgspec
import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from shared.contracts.topics import CONTEXT, TOPICS
from shared.contracts.topology import FOLLOWING, Standing, Topology, difference
from shared.kafka import partition_counts
from shared.publish import NotDurable, Place, Record
from shared.topology import KEY, after_record, first_topology

LOOK_S: Final = 2.0


class Cut(StrEnum):
    """How the event log stands: open, being moved to a new generation, or changed in place."""

    CURRENT = "current"
    MOVING = "moving"
    MISMATCH = "mismatch"


class Closed(NotDurable):
    """Events can't be taken just now, whatever Kafka does."""

    retry_after_s = 5


class Places:
    """Where each record goes. `apply` takes records of the context topic; `watch` compares with the broker."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._standing: Standing | None = None
        self._mismatch: str | None = None

    def apply(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        """Take one record of the context topic."""
        before, self._standing = self._standing, after_record(self._standing, record)
        if before is not None and self._standing is not None and before.current != self._standing.current:
            self._mismatch = None

    @property
    def known(self) -> bool:
        """Whether it is known how the event log is cut."""
        return self._standing is not None

    def state(self) -> Cut:
        """Return how the event log stands."""
        if self._standing is not None and self._standing.moving is not None:
            return Cut.MOVING
        return Cut.MISMATCH if self._mismatch is not None else Cut.CURRENT

    def closed(self) -> str | None:
        """Return why no event may be written now, None if they may."""
        moving = None if self._standing is None else self._standing.moving
        if moving is not None:
            return f"the event log is being moved to {moving.partitions} partitions; send it again in a moment"
        return self._mismatch

    def place(self, topic: str, key: bytes) -> Place:
        """Return name and partition for a record of a topic; raises Closed for events that may not be written."""
        if topic not in FOLLOWING:
            return topic, _own(topic, key)
        if self._standing is None:
            raise Closed("how the event log is cut is still being read from kafka")
        said = self.closed()
        if said is not None:
            raise Closed(said)
        topology = self._standing.current
        return topology.name(topic), topology.home(topic, key)

    async def note_first(self, publish: Callable[[Sequence[Record]], Awaitable[None]]) -> None:
        """Note generation 1 if nobody has; call it when the context topic was read to its end."""
        if self._standing is None:
            value = msgspec.json.encode(await first_topology(self._bootstrap))
            await publish([Record(topic=CONTEXT, key=KEY, value=value)])

    async def watch(self) -> None:
        """Compare with the broker until cancelled."""
        while True:
            if self._standing is not None and self._standing.moving is None:
                await self._compare(self._standing.current)
            await asyncio.sleep(LOOK_S)

    async def _compare(self, topology: Topology) -> None:
        try:
            found = (await partition_counts(self._bootstrap, [topology.events]))[topology.events]
        except (KafkaError, OSError):  # nobody answers: what was true before still is
            return
        said = difference(topology, found=found) if found else None
        if said is not None and self._mismatch is None:
            structlog.get_logger(__name__).error("topology_mismatch", fault=said)
        self._mismatch = said


def _own(topic: str, key: bytes) -> int:
    return Topology(generation=1, partitions=TOPICS[topic].partitions).home(topic, key)
