"""Wait until the services have come past an offset: scorers by their checkpoints, the alert service by its group."""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from lab.trouble import Trouble
from services.scorer.core.chunks import CheckpointError, kind_of, read_marker
from shared.contracts.alerts import READERS, Alert
from shared.contracts.partition import partition_of
from shared.contracts.topics import ALERTS, PARTITIONS, RISK, TOPICS
from shared.kafka import read_to_end

POLL_S: Final = 0.5
POLL_MS: Final = 500
FETCH_BYTES: Final = 4 << 20


async def ends_of(kafka: str, topic: str, numbers: set[int]) -> dict[int, int]:
    """Return the log ends of some partitions of a topic."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka, group_id=None) as consumer:
        ends = await consumer.end_offsets([TopicPartition(topic, number) for number in numbers])
    return {tp.partition: int(end) for tp, end in ends.items()}


async def checkpointed(
    kafka: str, activity: str, wanted: Mapping[int, int], *, since: Mapping[int, int], patience_s: float
) -> None:
    """Return when each partition has a checkpoint whose base lies after the offset wanted: no replay comes before it.

    `since` is where to begin to look in `activity`, the topic of checkpoints. Raises Trouble when it takes longer than
    `patience_s`.
    """
    left = dict(wanted)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # what was trimmed meanwhile lies before a later checkpoint
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    async with consumer:
        consumer.assign([TopicPartition(activity, number) for number in left])
        for number, offset in since.items():
            consumer.seek(TopicPartition(activity, number), offset)
        try:
            async with asyncio.timeout(patience_s):
                while left:
                    for tp, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                        if any(_base(record.value) > left.get(tp.partition, _base(None)) for record in records):
                            left.pop(tp.partition, None)
        except TimeoutError:
            numbers = ", ".join(map(str, sorted(left)))
            raise Trouble(
                f"no scorer has written a checkpoint past the erasure within {patience_s:g} s (partitions {numbers}): "
                "is every scorer running? once they are, run the same command again"
            ) from None


async def alert_let_go(kafka: str, account: str, *, until: int, patience_s: float) -> None:
    """Return when `churn.alerts.v1` has no alert of an account that was opened until a moment (epoch ms).

    Raises Trouble when it takes longer than `patience_s`.
    """
    try:
        async with asyncio.timeout(patience_s):
            while True:
                alert = await alert_of(kafka, account)
                if alert is None or alert.opened_at > until:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise Trouble(
            f"the alert service has not let go of {account!r} within {patience_s:g} s: it does so by itself once its "
            "last message is delivered; run the same command again to see"
        ) from None


async def alert_of(kafka: str, account: str) -> Alert | None:
    """Return the alert of an account as the record has it."""
    number, found = partition_of(account.encode(), partitions=TOPICS[ALERTS].partitions), None
    async for record in read_to_end(kafka, ALERTS, number):
        if record.key == account.encode():
            found = record.value
    return None if found is None else msgspec.json.decode(found, type=Alert)


async def transitions_obeyed(kafka: str, account: str, *, patience_s: float) -> bool:
    """Return True when the alert service has taken every transition there is of an account's partition.

    Returns False where no alert service has ever read. Raises Trouble when it takes longer than `patience_s`.
    """
    number = partition_of(account.encode(), partitions=PARTITIONS)
    end = (await ends_of(kafka, RISK, {number}))[number]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        async with asyncio.timeout(patience_s):
            while committed := await admin.list_consumer_group_offsets(READERS):
                told = committed.get(TopicPartition(RISK, number))
                if end == 0 or (told is not None and told.offset >= end):
                    return True
                await asyncio.sleep(POLL_S)
            return False
    except TimeoutError:
        raise Trouble(
            f"the alert service has not read what the scorer said within {patience_s:g} s: is it running? "
            "once it is, run the same command again"
        ) from None
    finally:
        await admin.close()


def _base(value: bytes | None) -> int:
    if value is None or kind_of(value) != "marker":
        return -1
    try:
        return read_marker(value).base
    except CheckpointError as fault:
        raise Trouble(str(fault)) from None
