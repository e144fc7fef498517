"""`churnwatch rebuild`: restore the scorer's checkpoint where it is damaged, lost or cut, from snapshots and events.

    events      |....deleted....|=========================================|
    snapshots                 x    [ snapshot ]          [ snapshot ]
    activity                       '- copied, what lay before is deleted; the scorer replays the rest by itself

Where the event log still begins at its first record nothing is copied: the scorer replays all of it.
"""

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import CorruptRecordException, KafkaError
from cyclopts import Parameter

from lab.snapshots import Span, oldest_snapshot, read_values, span_of
from lab.trouble import Trouble
from services.scorer.core import chunks
from services.scorer.core.cycles import Snapshot, checkpoint_of
from shared.contracts.topics import SCORER_GROUP
from shared.contracts.topology import Topology
from shared.kafka import producer, wait_ready
from shared.settings import ServiceSettings, load
from shared.topology import current_topology

PATIENCE_S = 15.0
"""A scorer that died is a member of its group for 10 s unless set otherwise."""
POLL_S = 0.5


class Way(StrEnum):
    """What is done about one partition."""

    KEEP = "keep"
    FROM_SNAPSHOT = "from_snapshot"
    FROM_START = "from_start"
    WITH_LOSS = "with_loss"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is known of one partition: why its checkpoint can't be used (None: it can), and what could restore it.

    `log` is where the event log begins and ends; `snapshot` the base of the oldest usable one; `is_first` whether the
    log's first record is the first ever: one of a later generation goes on from a state that was moved.
    """

    fault: str | None
    log: Span
    snapshot: int | None
    is_first: bool = True


async def rebuild(
    *, partition: Annotated[list[int] | None, Parameter(negative=())] = None, accept_loss: bool = False
) -> None:
    """Restore the scorer's state where `churn.activity.v1` is damaged, lost or cut. No scorer may run meanwhile.

    The scorer then scores the events since again; nobody is told anything twice.

    Parameters
    ----------
    partition
        Restore these partitions, usable or not; without it all that can't be used are restored.
    accept_loss
        Where neither snapshots nor events reach back far enough, begin anew with the events that are left.
    """
    settings = load(ServiceSettings)
    await wait_ready(settings.kafka, 5.0)
    topology = await current_topology(settings.kafka)
    count = topology.partitions
    if unknown := [number for number in partition or () if not 0 <= number < count]:
        raise Trouble(f"--partition {unknown[0]}: {topology.events} has the partitions 0 to {count - 1}")
    lost = []
    async with Rebuilder(settings.kafka, topology) as rebuilder:
        await rebuilder.until_alone(patience_s=PATIENCE_S)
        for number in partition or range(count):
            try:
                print(await rebuilder.restore(number, is_named=partition is not None, accept_loss=accept_loss))
            except Lost as problem:
                lost.append(str(problem))
    if lost:
        raise Trouble("\n".join(lost))
    print("start the scorers again")


class Lost(Trouble):
    """A partition that nothing restores."""


def way_of(found: Found, *, is_named: bool, accept_loss: bool) -> Way:
    """Return what to do: the log from its first record is worth more than a snapshot, which is worth more than loss."""
    if found.fault is None and not is_named:
        return Way.KEEP
    if found.log[0] == 0 and found.is_first:
        return Way.FROM_START
    if found.snapshot is not None:
        return Way.FROM_SNAPSHOT
    return Way.WITH_LOSS if accept_loss else Way.NONE


class Rebuilder:
    """Restores one partition after the other. Owns an admin client and a producer."""

    def __init__(self, kafka: str, topology: Topology) -> None:
        self._kafka = kafka
        self._topology = topology
        self._admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        self._producer: AIOKafkaProducer = producer(kafka, linger_ms=5)

    async def __aenter__(self) -> Self:
        await self._admin.start()
        await self._producer.start()
        return self

    async def __aexit__(self, *_fault: object) -> None:
        await self._producer.stop()
        await self._admin.close()

    async def restore(self, number: int, *, is_named: bool, accept_loss: bool) -> str:
        """Restore a partition if need be, and return what was done; raise Lost when nothing can."""
        await self.until_alone(patience_s=0.0)
        log = await span_of(self._kafka, self._topology.events, number)
        fault, is_first = await self._fault(number, log=log), self._topology.generation == 1
        snapshot = None
        if (log[0] > 0 or not is_first) and (is_named or fault):
            snapshot = await oldest_snapshot(self._kafka, number, topology=self._topology, span=log)
        found = Found(fault=fault, log=log, snapshot=snapshot.base if snapshot else None, is_first=is_first)
        way = way_of(found, is_named=is_named, accept_loss=accept_loss)
        if way is Way.NONE:
            raise Lost(_no_way(number, found, topology=self._topology))
        if way is Way.FROM_SNAPSHOT and snapshot:
            await self._copy(number, snapshot)
        if way in {Way.FROM_START, Way.WITH_LOSS}:
            await self._trim(number, before=-1)
        if way is Way.WITH_LOSS:
            await self._forget_commit(number)
        return f"{self._topology.activity}/{number}: {_said(way, found, events=self._topology.events)}"

    async def until_alone(self, *, patience_s: float) -> None:
        """Return when no scorer runs: one that was killed leaves its group after a while. Raises Trouble."""
        deadline = time.monotonic() + patience_s
        while members := await self._scorers():
            if time.monotonic() > deadline:
                raise Trouble(
                    f"{members} scorers run (members of the group {SCORER_GROUP!r}): stop them first; one that was"
                    " killed leaves the group after CHURNWATCH_SCORER_SESSION_S"
                )
            await asyncio.sleep(POLL_S)

    async def _scorers(self) -> int:
        (answer,) = await self._admin.describe_consumer_groups([SCORER_GROUP])
        ((_error, _group, _state, _kind, _protocol, members, *_rest),) = answer.groups
        return len(members)

    async def _fault(self, number: int, *, log: Span) -> str | None:
        """Return why the scorer can't go on from what the topic holds, None if it can."""
        try:
            records = await read_values(self._kafka, self._topology.activity, number)
            contents = checkpoint_of(records)
        except chunks.UnfitError as fault:
            raise Trouble(f"{self._topology.activity}/{number}: {fault}") from None
        except (chunks.CheckpointError, CorruptRecordException) as fault:
            return str(fault).partition(":")[0]
        if contents is not None:
            base = contents.marker.base
            return None if log[0] <= base <= log[1] else f"it goes on at {base}, the log holds {log[0]} to {log[1]}"
        is_whole = log[0] == 0 and self._topology.generation == 1
        is_first_start = is_whole or not (records or await self._was_used(number))
        return None if is_first_start else "it holds no checkpoint"

    async def _was_used(self, number: int) -> bool:
        tp = TopicPartition(self._topology.events, number)
        committed = (await self._admin.list_consumer_group_offsets(SCORER_GROUP, partitions=[tp])).get(tp)
        kept = (self._topology.activity, self._topology.snapshots)
        activity, snapshots = [await span_of(self._kafka, topic, number) for topic in kept]
        return activity[1] > 0 or snapshots[1] > 0 or (committed is not None and committed.offset > 0)

    async def _copy(self, number: int, snapshot: Snapshot) -> None:
        """Append a snapshot as a cycle, and delete what lies before it."""
        topic = self._topology.activity
        _, end = await span_of(self._kafka, topic, number)
        sent = [await self._producer.send(topic, value=value, partition=number) for value in snapshot.records]
        offsets = [record.offset for record in await asyncio.gather(*sent)]
        first = offsets[0] if offsets else end
        marker = msgspec.structs.replace(snapshot.contents.marker, first_record=first, previous=-1)
        await self._producer.send_and_wait(topic, value=chunks.seal(marker), partition=number)
        await self._trim(number, before=first)

    async def _trim(self, number: int, *, before: int) -> None:
        """Delete what lies before an offset; −1 is the end."""
        topic = self._topology.activity
        try:
            await self._admin.delete_records({TopicPartition(topic, number): RecordsToDelete(before)})
        except (KafkaError, OSError, TimeoutError) as fault:
            raise Trouble(f"{topic}/{number}: the broker did not delete its old records: {fault!r}; again") from fault

    async def _forget_commit(self, number: int) -> None:
        """Let the group begin at the log's first record: a commit beyond it would look like a lost checkpoint."""
        tp = TopicPartition(self._topology.events, number)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, group_id=SCORER_GROUP, enable_auto_commit=False)
        async with consumer:
            consumer.assign([tp])
            await consumer.commit({tp: 0})


def _said(way: Way, found: Found, *, events: str) -> str:
    why = f" ({found.fault})" if found.fault else ""
    begin, end = found.log
    match way:
        case Way.KEEP:
            return "can be used as it is"
        case Way.FROM_SNAPSHOT:
            return (
                f"restored from the snapshot at {found.snapshot}, {end - (found.snapshot or 0)} records to replay{why}"
            )
        case Way.FROM_START:
            return f"emptied, all {end} records of {events} to replay{why}"
        case _:
            return f"emptied, {end - begin} records of {events} left to replay, those before {begin} are lost{why}"


def _no_way(number: int, found: Found, *, topology: Topology) -> str:
    begin, end = found.log
    return (
        f"{topology.activity}/{number} can't be restored: {topology.events}/{number} holds {begin} to {end}, and"
        f" {topology.snapshots}/{number} no whole snapshot from which on it holds every event: bring one of these"
        " topics back from a copy, or begin anew with the events that are left:"
        f" `churnwatch rebuild --partition {number} --accept-loss`"
    )
