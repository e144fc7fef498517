"""Turn transitions, lists and commands into alerts: read, decide, make durable, hand to the outbox, commit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from services.alerts.core.alert import Position
from services.alerts.core.open_list import Gathered, OpenList, gather
from services.alerts.desk import Desk
from services.alerts.metrics import Metrics, Stage
from services.alerts.outbox import Outbox
from shared.contracts import topics
from shared.contracts.alerts import Command
from shared.contracts.risk import OpenEpisodes, Transition, read_risk
from shared.dead_letters import Cause, Source, dead_letter

POLL_MS: Final = 200
MOST_RECORDS: Final = 1000
STAGE: Final = "alerts"

ACCOUNTS_A_TURN: Final = 1000

Record: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"
Lists: TypeAlias = dict[TopicPartition, Gathered]
"""What came of the newest list of open episodes of each partition."""


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
        lists: Lists = {}
        while True:
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MOST_RECORDS)
            records = [record for batch in batches.values() for record in batch]
            if records:
                await _take(records, intake, desk=desk, outbox=outbox, lists=lists)
                upto = {tp: _read_upto(batch, lists.get(tp)) for tp, batch in batches.items()}
                await consumer.commit(upto)
                committed |= {_key(tp): offset for tp, offset in upto.items()}
            await desk.let_go(committed)
    finally:
        await consumer.stop()


def _read_upto(batch: Sequence[Record], list_begun: Gathered | None) -> int:
    """Return where a restart goes on: a list of which parts are missing must be read again from its first."""
    return batch[-1].offset + 1 if list_begun is None or list_begun.is_whole else list_begun.first


async def _take(records: Sequence[Record], intake: Intake, *, desk: Desk, outbox: Outbox, lists: Lists) -> None:
    changed: dict[str, None] = {}
    for record in records:
        try:
            said = _decode(record, intake.names)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            await _bury(record, str(error), intake)
            continue
        position = Position(topic=record.topic, partition=record.partition, offset=record.offset)
        match said:
            case OpenEpisodes():
                tp = TopicPartition(record.topic, record.partition)
                lists[tp], listed = gather(lists.get(tp), said, lies_at=record.offset)
                found = await _correct(desk, listed, intake.metrics) if listed else []
            case Transition():
                found = [desk.hear(said, position)]
            case Command():
                found = [desk.obey(said, position)]
        changed |= dict.fromkeys(account for account in found if account is not None)
    await desk.keep(changed)
    for account in changed:
        outbox.offer(account)


async def _correct(desk: Desk, listed: OpenList, metrics: Metrics) -> Sequence[str | None]:
    """Hold every alert against a list of open episodes, and let others work in between."""
    found, heard = [], 0
    for number, account in enumerate(desk.accounts()):
        if number % ACCOUNTS_A_TURN == 0:
            await asyncio.sleep(0)
        known, changed = desk.correct(account, listed)
        found.append(changed)
        heard += known
    metrics.unheard.inc(len(listed.episodes) - heard)
    return found


def _decode(record: Record, names: Names) -> Transition | OpenEpisodes | Command:
    if record.topic == names.risk:
        return read_risk(record.key, record.value or b"")
    return msgspec.json.decode(record.value or b"", type=Command)


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
