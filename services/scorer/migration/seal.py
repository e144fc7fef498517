"""Close the event log to every writer, whoever it is: no record fits any more, and a late writer gets an error."""

import asyncio
import time
from collections.abc import Mapping

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError, for_code

from shared.contracts.topics import MAX_MESSAGE_BYTES
from shared.kafka import KafkaProblem

LIMIT = "max.message.bytes"
CLOSED = "1"
_TOPIC_CONFIG = 1
"""Kafka's number for a setting made for this topic, not inherited."""
TAKES_S = 30.0


async def seal(admin: AIOKafkaAdminClient, bootstrap: str, topic: str, *, probe: bytes, partitions: int) -> None:
    """Close a topic and return when each of its partitions refuses `probe`, a record that changes nothing."""
    await _set(admin, topic, {**await settings_of(admin, topic), LIMIT: CLOSED})
    await _until(bootstrap, topic, probe, partitions=partitions, refused=True)


async def unseal(admin: AIOKafkaAdminClient, bootstrap: str, topic: str, *, probe: bytes, partitions: int) -> None:
    """Open a topic if it was closed, and return when each of its partitions has taken `probe`."""
    found = await settings_of(admin, topic)
    if found.get(LIMIT) == CLOSED:
        await _set(admin, topic, {**found, LIMIT: str(MAX_MESSAGE_BYTES + 4096)})
        await _until(bootstrap, topic, probe, partitions=partitions, refused=False)


async def settings_of(admin: AIOKafkaAdminClient, topic: str) -> Mapping[str, str]:
    """Return the settings made for a topic."""
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    found: dict[str, str] = {}
    for answer in answers:
        for code, message, _, _, entries in answer.resources:
            if code:
                raise KafkaProblem(f"{topic}: {for_code(code).__name__} {message}")
            found |= {name: value for name, value, _, source, *_ in entries if source == _TOPIC_CONFIG}
    return found


async def _set(admin: AIOKafkaAdminClient, topic: str, settings: Mapping[str, str]) -> None:
    # this call replaces all settings of the topic: those not named would be lost
    answers = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict(settings))])
    for answer in answers:
        for code, message, *_ in answer.resources:
            if code:
                raise KafkaProblem(f"{topic} can't be closed: {for_code(code).__name__} {message}")


async def _until(bootstrap: str, topic: str, probe: bytes, *, partitions: int, refused: bool) -> None:
    """Return when every partition refuses the probe, or takes it: a broker follows a setting a little later."""
    deadline = time.monotonic() + TAKES_S
    # no idempotent producer: a refusal would break its sequence
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as prober:
        for partition in range(partitions):
            while await _is_refused(prober, topic, partition, probe) is not refused:
                if time.monotonic() > deadline:
                    raise KafkaProblem(f"{topic}/{partition} does not follow its setting {LIMIT} for {TAKES_S:g} s")
                await asyncio.sleep(0.05)


async def _is_refused(prober: AIOKafkaProducer, topic: str, partition: int, probe: bytes) -> bool:
    try:
        await prober.send_and_wait(topic, value=probe, partition=partition)
    except MessageSizeTooLargeError:
        return True
    return False
