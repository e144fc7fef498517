"""Read the last events of the log for counting; partition by partition, nothing committed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from lab.sources.counts import Seen
from shared.contracts.events import Event, Kind, parse_time, source_of
from shared.kafka import partitions, read_to_end
from shared.topology import current_topology

MOST_EVENTS: Final = 2_000_000
_FACTS: Final = frozenset(f"churn.{kind}.v1" for kind in Kind) - {"churn.usage.v1"}
_PRESENCE: Final = frozenset({"churn.login.v1", "churn.outcome.v1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where reading a partition starts; `is_cut` if older events of the time asked for are left out."""

    topic: str
    partition: int
    offset: int
    is_cut: bool


class _Told(msgspec.Struct):
    user: str | None = None
    name: str | None = None


async def starts(kafka: str, *, since: int, most: int = MOST_EVENTS) -> list[Start]:
    """Return where the events since a time (epoch ms, of the broker) begin, at most so many altogether."""
    events = (await current_topology(kafka)).events
    numbers = await partitions(kafka, events)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        tps = [TopicPartition(events, number) for number in numbers]
        ends = await consumer.end_offsets(tps)
        firsts = await consumer.offsets_for_times(dict.fromkeys(tps, since))
    finally:
        await consumer.stop()
    allowed = most // len(tps)
    return [
        Start(
            topic=tp.topic,
            partition=tp.partition,
            offset=max(first.offset, ends[tp] - allowed),
            is_cut=first.offset < ends[tp] - allowed,
        )
        for tp, first in firsts.items()
        if first is not None
    ]


async def read_seen(kafka: str, start: Start, *, source: str | None) -> AsyncIterator[Seen]:
    """Yield what users did, of one source or of all; ticks, facts and what can't be read are passed over."""
    wanted = None if source is None else source_of(source)
    async for record in read_to_end(kafka, start.topic, start.partition, start.offset):
        if record.key is None or record.value is None:
            continue
        try:
            event = _EVENT.decode(record.value)
            seen = _seen(event) if wanted is None or event.source == wanted else None
        except msgspec.MsgspecError:
            continue
        if seen is not None:
            yield seen


def _seen(event: Event) -> Seen | None:
    at = parse_time(event.time)
    if at is None or (event.type in _FACTS and event.type not in _PRESENCE):
        return None
    told = _TOLD.decode(event.data)
    name = None if event.type in _PRESENCE else told.name or event.type.removeprefix("churn.").removesuffix(".v1")
    return Seen(account=event.subject, user=told.user or None, name=name, at=at)


_EVENT: Final = msgspec.json.Decoder(Event)
_TOLD: Final = msgspec.json.Decoder(_Told)
