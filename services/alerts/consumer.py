"""Turn transitions and commands into alerts: read, decide, make durable, hand to the outbox, commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from services.alerts.core.alert import Position
from services.alerts.desk import Desk
from services.alerts.metrics import Metrics, Stage
from services.alerts.outbox import Outbox
from shared.contracts import topics
from shared.contracts.alerts import Command
from shared.contracts.risk import Transition
from shared.dead_letters import Cause, Source, dead_letter

POLL_MS: Final = 200
MOST_RECORDS: Final = 1000
STAGE: Final = "alerts"

Record: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The topics an alert service works on."""

    risk: str = topics.RISK
    commands: str = topics.COMMANDS
    alerts: str = topics.ALERTS
    notices: str = topics.NOTICES
    context: str = topics.CONTEXT
    dead_letters: str = topics.DEAD_LETTERS
    keys: str = topics.KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What reading needs: `group` keeps the offsets; dead letters are sealed with `dead_letter_key`."""

    bootstrap: str
    group: str
    names: Names
    producer: AIOKafkaProducer
    dead_letter_key: bytes
    metrics: Metrics


async def consume(intake: Intake, desk: Desk, outbox: Outbox) -> None:
    """Consume until cancelled. Replays are harmless: every alert knows which positions it contains."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=intake.bootstrap,
        group_id=intake.group,
        enable_auto_commit=False,
        auto_offset_reset="none",
    )
    await consumer.start()
    try:
        committed = await _assign(consumer, intake)
        while True:
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MOST_RECORDS)
            records = [record for batch in batches.values() for record in batch]
            if records:
                await _take(records, intake, desk=desk, outbox=outbox)
                await consumer.commit()
                committed |= {_key(tp): batch[-1].offset + 1 for tp, batch in batches.items()}
            await desk.let_go(committed)
    finally:
        await consumer.stop()


async def _take(records: Sequence[Record], intake: Intake, *, desk: Desk, outbox: Outbox) -> None:
    changed: dict[str, None] = {}
    for record in records:
        try:
            account = _decode(record, intake.names)(desk)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            await _bury(record, str(error), intake)
            continue
        if account is not None:
            changed[account] = None
    await desk.keep(changed)
    for account in changed:
        outbox.offer(account)


def _decode(record: Record, names: Names) -> Callable[[Desk], str | None]:
    position = Position(topic=record.topic, partition=record.partition, offset=record.offset)
    if record.topic == names.risk:
        transition = msgspec.json.decode(record.value or b"", type=Transition)
        return lambda desk: desk.hear(transition, position)
    command = msgspec.json.decode(record.value or b"", type=Command)
    return lambda desk: desk.obey(command, position)


async def _bury(record: Record, error: str, intake: Intake) -> None:
    stage = Stage.RISK if record.topic == intake.names.risk else Stage.COMMANDS
    intake.metrics.unreadable.labels(stage).inc()
    structlog.get_logger(__name__).error("unreadable", topic=stage, partition=record.partition, offset=record.offset)
    source = Source(topic=record.topic, partition=record.partition, offset=record.offset, timestamp=record.timestamp)
    letter = dead_letter(
        record.value, Cause(reason="schema", detail=error, stage=STAGE, source=source), key=intake.dead_letter_key
    )
    await intake.producer.send_and_wait(intake.names.dead_letters, letter.value, key=record.key, headers=letter.headers)


async def _assign(consumer: AIOKafkaConsumer, intake: Intake) -> dict[str, int]:
    """Take every partition, each from the committed offset, or from its beginning if that is gone or was never.

    Returns where reading begins, by `topic/partition`.
    """
    tps = [
        TopicPartition(name, number)
        for name in (intake.names.risk, intake.names.commands)
        for number in sorted(await intake.producer.partitions_for(name))
    ]
    beginnings = await consumer.beginning_offsets(tps)
    committed = {tp: await consumer.committed(tp) for tp in tps}
    starts = {tp: max(beginnings[tp], committed[tp] or 0) for tp in tps}
    consumer.assign(tps)
    for tp in tps:  # no await since assign: aiokafka would look for offsets by itself, find none and stand still
        consumer.seek(tp, starts[tp])
    return {_key(tp): start for tp, start in starts.items()}


def _key(tp: TopicPartition) -> str:
    return Position(topic=tp.topic, partition=tp.partition, offset=0).key
