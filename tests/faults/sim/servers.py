"""What a scorer process talks to: Kafka and Redis as far as it can tell; each change of theirs is an effect."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from aiokafka.errors import KafkaError
from redis.exceptions import ConnectionError as RedisConnectionError

from lab.oracle_records import Record
from services.scorer.checkpoint import Records
from services.scorer.core.known import KnownAt
from shared.contracts.context import Crash, Quarantine
from shared.contracts.topics import ACTIVITY, DEAD_LETTERS, EVENTS
from shared.contracts.topology import Topology
from shared.dead_letters import source_of
from shared.health_store import HealthRow, Written

if TYPE_CHECKING:
    from tests.faults.sim.process import Process


class Contexts:
    """The context topic, read to its end."""

    def __init__(self, process: "Process", known_at: KnownAt) -> None:
        self._process = process
        self._told = process.world.told
        self.known_at = known_at

    async def reach(self, offset: int) -> None:
        """Everything is there."""

    def quarantined(self, topic: str, partition: int) -> list[Quarantine]:  # noqa: ARG002  there is one
        return [entry for entry in self._told if isinstance(entry, Quarantine) and entry.partition == partition]

    def crashes(self, topic: str, partition: int) -> list[Crash]:  # noqa: ARG002  there is one
        return [entry for entry in self._told if isinstance(entry, Crash) and entry.partition == partition]

    async def tell(self, entry: Crash | Quarantine) -> None:
        told = self._process.clock.create_future()
        self._process.land("context", self._process.pace.output_s, lambda: self._told.append(entry), told)
        await told


class Events:
    """Where the logs begin and end (as `EventLog`)."""

    def __init__(self, process: "Process") -> None:
        self._world = process.world

    async def first_start(self, partition: int) -> int:
        begin = self._world.begins[partition]
        if begin > 0 and self._world.commits[partition] > 0:
            raise LookupError(f"partition {partition}: the checkpoint is gone and the log begins at {begin}")
        return begin

    async def check_position(self, partition: int, *, position: int) -> int:
        end = len(self._world.events[partition])
        if not self._world.begins[partition] <= position <= end:
            raise LookupError(f"partition {partition}: the log does not hold {position}")
        return end

    async def check_not_lost(self, partition: int, *, position: int) -> None:
        if self._world.begins[partition] > position:
            raise LookupError(f"partition {partition}: {position} is gone")


class ActivityTopic:
    """The checkpoint's topic."""

    topic = ACTIVITY

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world

    async def end(self, partition: int) -> int:
        return self._world.activity_end(partition)

    async def read(self, partition: int, *, progress: Callable[[], None]) -> tuple[Records, int]:
        while True:
            progress()
            start, end = self._world.activity_start[partition], self._world.activity_end(partition)
            await asyncio.sleep(self._process.pace.write_s)
            if self._world.activity_start[partition] == start:
                values = self._world.activity[partition][: end - start]
                return list(zip(range(start, end), values, strict=True)), end

    async def write(self, partition: int, value: bytes) -> int:
        told = self._process.clock.create_future()
        self._process.land("write", self._process.pace.write_s, lambda: self._write(partition, value), told)
        return cast("int", await told)

    def _write(self, partition: int, value: bytes) -> int:
        self._world.activity[partition].append(value)
        marker = self._process.core.marker_of(value)
        owned = self._process.loop._owned.get(partition)
        if marker is not None and owned is not None and self._world.owners[partition] == self._process.number:
            # retention as harsh as can be: what the owner's last cycle holds is not in the event log any more
            begin = min(marker.base, owned.state.position)
            self._world.begins[partition] = max(self._world.begins[partition], begin)
        return self._world.activity_end(partition) - 1

    async def trim(self, partition: int, *, before: int) -> None:
        told = self._process.clock.create_future()
        self._process.land("trim", self._process.pace.write_s, lambda: self._world.trim(partition, before), told)
        await told


class Builder:
    """A record batch being filled."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []

    def append(self, *, key: bytes, value: bytes, timestamp: int) -> object:  # noqa: ARG002
        self.records.append((key, value))
        return self.records

    def close(self) -> None:
        """Nothing more comes."""


class Producer:
    """Kafka's producer: records become durable one after the other, and the future tells when the last one is."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> "asyncio.Future[None]":  # noqa: ARG002
        told = self._process.clock.create_future()
        if not self._fails(told):
            self._next(topic, builder.records, 0, told)
        return told

    def _next(self, topic: str, records: Sequence[tuple[bytes, bytes]], row: int, told: "asyncio.Future[None]") -> None:
        process = self._process

        def change() -> None:
            self._world.published.add((topic, records[row][1]))
            if row + 1 < len(records):
                self._next(topic, records, row + 1, told)

        last = row + 1 == len(records)
        process.land("output", process.pace.output_s, change, told if last else process.clock.create_future())

    async def send(
        self,
        topic: str,
        *,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        headers: Sequence[tuple[str, bytes]],
    ) -> "asyncio.Future[None]":
        told = self._process.clock.create_future()

        def change() -> None:
            if topic == DEAD_LETTERS:
                source, reason = source_of(headers), dict(headers)["dlq-reason"].decode()
                assert source is not None
                self._world.dead.add((source.partition, source.offset, reason))
            else:
                assert topic == EVENTS
                ts = max(self._world.logs.records[uid].ts for uid in self._world.events[partition])
                self._world.append_event(
                    partition, Record(offset=-1, ts=ts, key=key, value=value, headers=tuple(headers))
                )

        if not self._fails(told):
            self._process.land("output", self._process.pace.output_s, change, told)
        return told

    def _fails(self, told: "asyncio.Future[None]") -> bool:
        self._process.sends += 1
        if self._process.fail_at != self._process.sends:
            return False
        self._process.clock.call_later(self._process.pace.output_s, told.set_exception, KafkaError("planned"))
        return True


class Store:
    """Redis, with the rule of the real script: an older position changes nothing."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world
        self._fills = itertools.count()

    async def write(self, generation: int, offset: int, rows: Sequence[HealthRow]) -> list[int]:
        if self._process.redis_is_down:
            await asyncio.sleep(self._process.pace.redis_s)
            raise RedisConnectionError("planned")
        told = self._process.clock.create_future()
        self._land("redis", lambda: [self._put(row.account, (generation, offset, row.payload)) for row in rows], told)
        return cast("list[int]", await told)

    def _put(self, account: str, row: tuple[int, int, bytes]) -> int:
        before = self._world.redis.get(account)
        result = self.put(account, row)
        if before is not None and self._world.redis[account][:2] < before[:2]:
            self._world.faults.append(f"redis: {account} went back from {before[1]} to {row[1]}")
        return result

    def put(self, account: str, row: tuple[int, int, bytes]) -> int:
        held = self._world.redis.get(account)
        if held is not None and row[:2] <= held[:2]:
            if row[:2] < held[:2]:
                return Written.OLDER
            if held != row:
                self._world.faults.append(f"redis: {account} has two healths at {row[1]}")
            return Written.SAME
        self._world.redis[account] = row
        return Written.WRITTEN

    async def filled(self) -> Mapping[int, int]:
        if self._process.redis_is_down:
            raise RedisConnectionError("planned")
        await asyncio.sleep(self._process.pace.redis_s)
        return dict(self._world.filled)

    async def begin_fill(self, partition: int) -> str:
        told = self._process.clock.create_future()
        fill = f"{self._process.number}-{next(self._fills)}"
        self._land("filling", lambda: self._world.filling.update({partition: fill}), told)
        await told
        return fill

    async def end_fill(self, topology: Topology, partition: int, *, fill: str) -> bool:
        told = self._process.clock.create_future()
        self._land("filled", lambda: self.mark(topology.generation, partition, fill=fill), told)
        return cast("bool", await told)

    def mark(self, generation: int, partition: int, *, fill: str) -> bool:
        if self._world.filling.get(partition) != fill:
            return False
        del self._world.filling[partition]
        self._world.filled[partition] = generation
        return True

    def _land(self, name: str, change: Callable[[], object], told: "asyncio.Future[Any]") -> None:
        self._process.land(name, self._process.pace.redis_s, change, told)
