"""One scorer process in a world: the real effect loop, and everything it talks to as far as it can tell.

Every change to the world is an effect: it takes the time its pace says, then it is durable, then the process learns of
it. `on_effect` is called in between, which is where a crash hurts most.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from aiokafka.errors import KafkaError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from lab.oracle_records import Record
from services.scorer.checkpoint import Records
from services.scorer.core.known import KnownAt
from services.scorer.cores import Core
from services.scorer.fence import Exit
from services.scorer.guard import Patience, Watch
from services.scorer.loop import Loop
from services.scorer.outputs import KafkaOutputs
from shared.contracts.topics import DEAD_LETTERS, EVENTS
from shared.dead_letters import source_of
from shared.health_store import HealthRow, Written
from tests.faults.sim.virtual import VirtualLoop
from tests.faults.sim.world import World

KEY = b"k" * 32
LONG_S = 1e9
PATIENCE = Patience(window_ms=60, after_ms=1000, catch_up_ms=300, fewest_accounts=0)


class Ended(BaseException):
    """The process ended itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take (virtual seconds), how many records a poll brings, and how often a cycle begins."""

    batch: int
    poll_s: float = 0.3
    output_s: float = 0.02
    told_s: float = 0.01
    redis_s: float = 0.02
    write_s: float = 0.02
    commit_s: float = 0.05
    cycle_s: float = 1.0
    after_s: float = 2.5
    """How long a process goes on after the end of the log."""
    refill: bool = False


class Process:
    """A process that owns some partitions, and goes on until all is done or it is told to stop."""

    numbers = itertools.count()

    def __init__(
        self,
        world: World,
        *,
        core: Core[Any],
        known_at: KnownAt,
        partitions: Sequence[int],
        pace: Pace,
        drains: bool = False,
    ) -> None:
        self.world = world
        self.pace = pace
        self.partitions = partitions
        self.clock = VirtualLoop()
        self.number = next(Process.numbers)
        self.effects = 0
        self.on_effect: Callable[[str], None] | None = None
        self.fail_at: int | None = None
        """Number of the send that fails."""
        self.sends = 0
        self.redis_is_down = False
        self.end: tuple[str, str] | None = None
        self.acked: dict[int, int] = {}
        self.fed = False
        self._drains = drains
        self._known_at = known_at
        self._committing = False
        self._landing = 0
        self._last = self.clock.call_later(LONG_S, self.stop)
        self.core = core
        for partition in partitions:
            world.owners[partition] = self.number
        self.loop = self._loop(Writer(core, f"w{self.number}"))

    def _loop(self, core: Core[Any]) -> Loop[Any]:
        producer = Producer(self)
        return Loop(
            core=core,
            cycle_s=self.pace.cycle_s,
            context=cast("Any", Contexts(self._known_at)),
            events=cast("Any", Events(self)),
            activity=ActivityTopic(self),
            outputs=KafkaOutputs(cast("Any", producer), dead_letter_key=KEY),
            store=cast("Any", Store(self)),
            now_ms=self.now_ms,
            stall_s=LONG_S,
            watch=Watch(PATIENCE),
            recents=cast("Any", Nobody()),
            bring_back=_nothing,
            end=self._ended,
        )

    def now_ms(self) -> int:
        return int(self.clock.now * 1000)

    # running

    def start(self) -> None:
        """Begin; nothing happens before `run`."""
        self._serving = self._task(self._serve())
        if self.pace.refill:
            self._task(self._refill())

    def run(self, *, until: float = LONG_S) -> bool:
        """Run until told to stop (True), or to a moment (False)."""
        self.clock.stopping = False
        with suppress(Ended):
            return self.clock.run(until=until)
        return True

    def stop(self) -> None:
        self.clock.stopping = True

    def give_up(self) -> bool:
        """Release the partitions as a rebalance does; True when that is done."""
        self._serving.cancel()
        self._last.cancel()
        self.fed = False
        self._task(self._release())
        return self.run(until=self.clock.now + 10)

    async def _release(self) -> None:
        await self.loop.release()
        self._commit()
        self.stop()

    def take_again(self) -> None:
        """Be assigned the same partitions once more."""
        for partition in self.partitions:
            self.world.owners[partition] = self.number
        self._serving = self._task(self._serve())

    def _task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = self.clock.create_task(work)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (fault := task.exception()) is not None and not isinstance(fault, Ended):
            self.loop.fail(fault)

    def _ended(self, code: Exit, **fields: object) -> NoReturn:
        self.end = self.end or (code.name, str(fields.get("fault")))
        self.stop()
        raise Ended

    def effect(self, name: str) -> None:
        """Note that something became durable."""
        self.effects += 1
        if self.on_effect is not None:
            self.on_effect(name)
        if self._drains and self.is_done():
            self.stop()

    def is_done(self) -> bool:
        """Whether everything in the log is acknowledged and Redis has it."""
        if not self.fed:
            return False
        world, owned = self.world, self.loop._owned
        for partition in self.partitions:
            end = len(world.events[partition])
            mine = owned.get(partition)
            if mine is None or mine.lane.durable != end or mine.mirror._waiting:
                return False
            if self.pace.refill and partition not in world.filled:
                return False
        return self._landing == 0

    # what Faust does

    async def _serve(self) -> None:
        self.loop.expect(self.partitions)
        positions = {partition: await self.loop.take(partition) for partition in self.partitions}
        await self.feed(positions)

    async def feed(self, positions: dict[int, int]) -> None:
        """Hand out batches, partition after partition, until all logs are at their ends."""
        while True:
            for partition in self.partitions:
                await self._hand_out(partition, positions)
            if all(positions[partition] == len(self.world.events[partition]) for partition in self.partitions):
                self.fed = True
                if await self._settle():
                    return
                self.fed = False
            elif not self._drains:
                await asyncio.sleep(self.pace.poll_s)

    async def _hand_out(self, partition: int, positions: dict[int, int]) -> None:
        uids = self.world.events[partition]
        position = positions[partition]
        size = self.pace.batch
        some = uids[position : position + size]
        if some:
            batch = self.world.logs.batch(some, partition=partition)
            positions[partition] = position + len(some)
            try:
                await self.loop.process(batch, acknowledge=lambda: self.acknowledge(partition, position + len(some)))
            except Exception as fault:  # noqa: BLE001  as the scorer does
                self.loop.fail(fault)

    async def _settle(self) -> bool:
        """Return True when the process may stop, False when more came."""
        ends = [len(self.world.events[partition]) for partition in self.partitions]
        for partition in self.partitions:
            owned = self.loop._owned.get(partition)
            if owned is not None:
                await owned.lane.until_durable(owned.state.position)
        while self._landing:  # noqa: ASYNC110  a few times at the end of the log, in no time
            await asyncio.sleep(self.pace.told_s)
        states = self.loop.states()
        if ends == [len(self.world.events[partition]) for partition in self.partitions]:
            for partition in self.partitions:
                if partition in states and states[partition].pending:
                    self.world.append_tick(partition)
                    self.effect("tick")
        if ends != [len(self.world.events[partition]) for partition in self.partitions]:
            return False
        if self._drains:
            if self.is_done():
                self.stop()
        else:
            self._last = self.clock.call_later(self.pace.after_s, self._rest)
        return True

    def _rest(self) -> None:
        if self.is_done() or self.redis_is_down:
            self.stop()
        else:
            self._last = self.clock.call_later(self.pace.poll_s, self._rest)

    def acknowledge(self, partition: int, position: int) -> None:
        """Take an acknowledgement, and commit a moment later."""
        self.acked[partition] = position
        self.check_durable(partition, position, "acknowledged")
        if not self._committing:
            self._committing = True
            self.clock.call_later(self.pace.commit_s, self._commit)

    def _commit(self) -> None:
        self._committing = False
        for partition, position in self.acked.items():
            if self.world.owners[partition] == self.number and self.world.commits[partition] < position:
                self.world.commits[partition] = position
                self.check_durable(partition, position, "committed")
                self.effect("commit")

    def check_durable(self, partition: int, position: int, what: str) -> None:
        """Do nothing, until somebody who knows what must be durable takes its place."""

    async def _refill(self) -> None:
        while True:
            with suppress(RedisError):
                await self.loop.refill()
            await asyncio.sleep(self.pace.poll_s)

    # landing

    def land(self, name: str, after_s: float, change: Callable[[], object], told: "asyncio.Future[Any]") -> None:
        """Make a change durable after a while, then tell."""
        self._landing += 1

        def now() -> None:
            self._landing -= 1
            result = change()
            self.clock.call_later(self.pace.told_s, _tell, told, result)
            self.effect(name)

        self.clock.call_later(after_s, now)


def _tell(told: "asyncio.Future[Any]", result: object) -> None:
    if not told.done():
        told.set_result(result)


async def _nothing(partition: int) -> None:
    """Bring no history back."""


class Nobody:
    """Takes what is told to people."""

    def look(self, batch: object, outputs: object) -> None:
        """Look away."""


class Writer:
    """A core that signs cycles with the name of its process."""

    def __init__(self, core: Core[Any], name: str) -> None:
        self.empty = core.empty
        self.step = core.step
        self.last_healths = core.last_healths
        self.marker_of = core.marker_of
        self.restore = core.restore
        self._begin = core.begin
        self._name = name

    def begin(self, state: Any, *, writer: str) -> Any:  # noqa: ARG002  all processes are in this one
        return self._begin(state, writer=self._name)


@dataclass(slots=True)
class Contexts:
    """The context topic, read to its end."""

    known_at: KnownAt

    async def reach(self, offset: int) -> None:
        """Everything is there."""

    def quarantined(self, topic: str, partition: int) -> tuple[()]:  # noqa: ARG002  nothing raises here
        return ()

    def crashes(self, topic: str, partition: int) -> tuple[()]:  # noqa: ARG002
        return ()


class Events:
    """Where the logs begin and end (as `EventLog`)."""

    def __init__(self, process: Process) -> None:
        self._world = process.world

    async def first_start(self, partition: int) -> int:
        begin = self._world.begins[partition]
        if begin > 0 and self._world.commits[partition] > 0:
            raise LookupError(f"partition {partition}: the checkpoint is gone and the log begins at {begin}")
        return begin

    async def check_position(self, partition: int, *, position: int) -> None:
        if not self._world.begins[partition] <= position <= len(self._world.events[partition]):
            raise LookupError(f"partition {partition}: the log does not hold {position}")

    async def check_not_lost(self, partition: int, *, position: int) -> None:
        if self._world.begins[partition] > position:
            raise LookupError(f"partition {partition}: {position} is gone")


class ActivityTopic:
    """The checkpoint's topic."""

    def __init__(self, process: Process) -> None:
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
        if marker is not None and self._world.owners[partition] == self._process.number:
            # retention as harsh as can be: what the owner's last cycle holds is not in the event log any more
            self._world.begins[partition] = max(self._world.begins[partition], marker.base)
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

    def __init__(self, process: Process) -> None:
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

    def __init__(self, process: Process) -> None:
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

    async def end_fill(self, generation: int, partition: int, *, fill: str) -> bool:
        told = self._process.clock.create_future()
        self._land("filled", lambda: self.mark(generation, partition, fill=fill), told)
        return cast("bool", await told)

    def mark(self, generation: int, partition: int, *, fill: str) -> bool:
        if self._world.filling.get(partition) != fill:
            return False
        del self._world.filling[partition]
        self._world.filled[partition] = generation
        return True

    def _land(self, name: str, change: Callable[[], object], told: "asyncio.Future[Any]") -> None:
        self._process.land(name, self._process.pace.redis_s, change, told)
