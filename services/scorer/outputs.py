"""Write what scoring decided to Kafka, and return only when all of it is durable.

| decided | topic | key | time |
|---|---|---|---|
| scores, transitions | churn.scores.v1, churn.risk.v1 | account | T of the tick |
| facts | churn.facts.v1 | account/kind/id | the broker's |
| lists of open episodes | churn.risk.v1, after the transitions | – | T of the tick |
| dead | churn.dlq.v1, sealed | the original key | now |
| moved | churn.events.v1, the account's partition, header `moved` | the original key | the broker's |

What is said of an account lies in one partition for ever, however many the event log has: topics with as many or fewer
take it from the event's partition, others from the account.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from services.scorer import metrics
from services.scorer.core.batch import Batch
from services.scorer.core.decode import Reason
from services.scorer.core.fates import Dead, Moved
from services.scorer.core.lasting import Fact
from services.scorer.core.publish import Record
from services.scorer.core.step import SLICE, Outputs
from shared.contracts.events import MOVED_HEADER
from shared.contracts.topics import DEAD_LETTERS, FACTS, RISK, SCORES
from shared.contracts.topology import Topology
from shared.dead_letters import Cause, Source, dead_letter

STAGE: Final = "scorer"
SEND_TIMEOUT_S: Final = 60.0
KEY_BYTES: Final = 4096
"""Of the key of a dead letter: the rest of a longer one would not fit beside the value."""
T = TypeVar("T")


class KafkaOutputs:
    """Sends of one process; the producer is started and stopped by who made it."""

    def __init__(self, producer: AIOKafkaProducer, *, dead_letter_key: bytes, topology: Topology) -> None:
        self._producer = producer
        self._key = dead_letter_key
        self._topology = topology

    async def send(self, batch: Batch, outputs: Outputs) -> None:
        """Return when Kafka has acknowledged every output of a batch; raise KafkaError or TimeoutError if not all."""
        async with asyncio.timeout(SEND_TIMEOUT_S):
            sent = [
                *await self._send_each(RISK, batch.partition, _keyed(outputs.transitions)),
                *[
                    one
                    for some in in_slices(outputs.scores)
                    for one in await self._send_each(SCORES, batch.partition, _keyed(some))
                ],
                *await self._send_each(FACTS, batch.partition, [_record(batch, fact) for fact in outputs.facts]),
                *[await self._send_dead(batch, dead) for dead in outputs.dead],
                *[await self._send_moved(batch, moved) for moved in outputs.moved],
            ]
            await asyncio.gather(*sent)
        metrics.TRANSITIONS.inc(len(outputs.transitions))

    async def send_list(self, partition: int, parts: Iterable[Record]) -> None:
        """Return when Kafka has acknowledged every part of a list of open episodes; other work runs between parts.

        A list goes wherever transitions of its accounts do, so that it is read after them.
        """
        for part in parts:
            for home in self._topology.sharing(RISK, partition):
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await asyncio.gather(*await self._send_all(RISK, home, [part]))

    async def _send_each(
        self, topic: str, partition: int, records: Sequence[tuple[bytes, Record]]
    ) -> Sequence[Awaitable[object]]:
        """Send records of accounts of a partition of the event log, each where its account lies in that topic.

        Others may run before.
        """
        await asyncio.sleep(0)
        sharing = self._topology.sharing(topic, partition)
        if len(sharing) == 1:
            return await self._send_all(topic, sharing[0], [record for _, record in records])
        homes: dict[int, list[Record]] = {}
        for account, record in records:
            homes.setdefault(self._topology.home(topic, account), []).append(record)
        return [one for home, some in homes.items() for one in await self._send_all(topic, home, some)]

    async def _send_all(self, topic: str, partition: int, records: Sequence[Record]) -> Sequence[Awaitable[object]]:
        """Pack records into whole batches: a quarter of the cost of sending each."""
        sent: list[Awaitable[object]] = []
        builder = None
        for record in records:
            builder = builder or self._producer.create_batch()
            if builder.append(key=record.key, value=record.value, timestamp=record.at) is None:
                sent.append(await self._producer.send_batch(builder, topic, partition=partition))
                builder = self._producer.create_batch()
                builder.append(key=record.key, value=record.value, timestamp=record.at)
        if builder is not None:
            builder.close()
            sent.append(await self._producer.send_batch(builder, topic, partition=partition))
        return sent

    async def _send_dead(self, batch: Batch, dead: Dead) -> Awaitable[object]:
        metrics.DEAD_LETTERS.labels(dead.reason).inc()
        source = Source(
            topic=batch.topic,
            partition=batch.partition,
            offset=dead.offset,
            timestamp=int(batch.timestamps[dead.row]),
        )
        cause = Cause(reason=dead.reason, detail=dead.detail, stage=STAGE, source=source)
        letter = dead_letter(batch.value(dead.row), cause, key=self._key)
        key = batch.key(dead.row)
        if key is None and letter.value is None:
            key = b""  # aiokafka sends no record without key and value
        sent: Awaitable[object] = await self._producer.send(
            DEAD_LETTERS,
            value=letter.value,
            key=key and key[:KEY_BYTES],
            partition=batch.partition % self._topology.count(DEAD_LETTERS),
            headers=letter.headers,
        )
        return sent

    async def _send_moved(self, batch: Batch, moved: Moved) -> Awaitable[object]:
        headers = [*batch.headers.get(moved.row, ()), (MOVED_HEADER, b"1")]
        try:
            sent: Awaitable[object] = await self._producer.send(
                self._topology.events,
                value=batch.value(moved.row),
                key=batch.key(moved.row),
                partition=moved.partition,
                headers=headers,
            )
        except MessageSizeTooLargeError:
            sent = await self._send_dead(
                batch,
                Dead(
                    offset=int(batch.offsets[moved.row]),
                    reason=Reason.WRONG_PARTITION,
                    detail="too large to be forwarded",
                    row=moved.row,
                ),
            )
        return sent


def in_slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield some at a time, so that others may run in between."""
    return (values[start : start + SLICE] for start in range(0, len(values), SLICE))


def _keyed(records: Sequence[Record]) -> list[tuple[bytes, Record]]:
    return [(record.key or b"", record) for record in records]


def _record(batch: Batch, fact: Fact) -> tuple[bytes, Record]:
    return fact.account, Record(fact.key, batch.value(fact.row) or b"", int(batch.timestamps[fact.row]))
