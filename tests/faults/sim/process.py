"""One scorer process in a world: the real effect loop, driven as Faust drives it.

Every change to the world is an effect: it takes the time its pace says, then it is durable, then the process learns of
it. `on_effect` is called in between, which is where a crash hurts most.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from redis.exceptions import RedisError

from services.scorer.core.batch import Batch
from services.scorer.core.guard import Patience, Watch
from services.scorer.core.known import KnownAt
from services.scorer.core.step import Outputs
from services.scorer.cores import Core
from services.scorer.fence import Exit
from services.scorer.loop import Loop
from services.scorer.outputs import KafkaOutputs
from shared.contracts.topology import Topology
from tests.faults.sim.oracle_state import SimBatch
from tests.faults.sim.servers import ActivityTopic, Contexts, Events, Producer, Store
from tests.faults.sim.virtual import VirtualLoop
from tests.faults.sim.world import World

KEY = b"k" * 32
TOPOLOGY = Topology(generation=1, partitions=2)
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
    refill_s: float = 0.05


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
        poison: int | None = None,
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
        self._positions: dict[int, int] = {}
        self._drains = drains
        self._known_at = known_at
        self._committing = False
        self._has_rested = False
        self._landing = 0
        self._last = self.clock.call_later(LONG_S, self.stop)
        self.core = core
        for partition in partitions:
            world.owners[partition] = self.number
        self.loop = self._loop(Writer(core, f"w{self.number}", poison=poison))

    def _loop(self, core: Core[Any]) -> Loop[Any]:
        producer = Producer(self)
        return Loop(
            core=core,
            topology=TOPOLOGY,
            cycle_s=self.pace.cycle_s,
            context=cast("Any", Contexts(self, self._known_at)),
            events=cast("Any", Events(self)),
            activity=ActivityTopic(self),
            outputs=KafkaOutputs(cast("Any", producer), dead_letter_key=KEY, topology=TOPOLOGY),
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
        if self._has_rested and self._has_fed_all():
            return True
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
        self.fed = self._has_rested = False
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
        """Whether everything in the log is judged and acknowledged, and Redis has it."""
        if not self.fed:
            return False
        world, owned = self.world, self.loop._owned
        for partition in self.partitions:
            end = len(world.events[partition])
            mine = owned.get(partition)
            if mine is None or mine.state.pending or mine.lane.durable != end or mine.mirror._waiting:
                return False
            if self.pace.refill and (partition not in world.filled or partition in self.loop._unsure):
                return False
        return self._landing == 0

    # what Faust does

    async def _serve(self) -> None:
        self.loop.expect(self.partitions)
        self._positions = {partition: await self.loop.take(partition) for partition in self.partitions}
        await asyncio.sleep(self.pace.poll_s)
        await self._feed()

    async def _feed(self) -> None:
        """Hand out batches, partition after partition, until all logs are at their ends."""
        while True:
            for partition in self.partitions:
                await self._hand_out(partition)
            if self._has_fed_all():
                self.fed = True
                if await self._settle():
                    return
                self.fed = False
            elif not self._drains:
                await asyncio.sleep(self.pace.poll_s)

    def _has_fed_all(self) -> bool:
        ends = self.world.events
        return all(self._positions[partition] == len(ends[partition]) for partition in self.partitions)

    async def _hand_out(self, partition: int) -> None:
        uids = self.world.events[partition]
        position = self._positions[partition]
        size = self.pace.batch
        some = uids[position : position + size]
        if some:
            batch = self.world.logs.batch(some, partition=partition)
            self._positions[partition] = position + len(some)
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
        self._last = self.clock.call_later(0 if self._drains else self.pace.after_s, self._rest)
        return True

    def _rest(self) -> None:
        self._has_rested = self.is_done() or self.redis_is_down
        if self._has_rested:
            self.stop()
            self._last = self.clock.call_later(self.pace.poll_s, self._rest)
        elif self.fed and not self._has_fed_all():
            self.fed = False
            self._serving = self._task(self._feed())
        else:
            self._last = self.clock.call_later(self.pace.told_s if self._drains else self.pace.poll_s, self._rest)

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
            await asyncio.sleep(self.pace.refill_s)

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
    """A core that signs cycles with the name of its process, and raises half way in a batch with a poisoned record."""

    def __init__(self, core: Core[Any], name: str, *, poison: int | None) -> None:
        self.empty = core.empty
        self.step = core.step if poison is None else self._raising
        self._step = core.step
        self._poison = poison
        self.last_healths = core.last_healths
        self.marker_of = core.marker_of
        self.base_of = core.base_of
        self.restore = core.restore
        self._begin = core.begin
        self._name = name

    def begin(self, state: Any, *, writer: str) -> Any:  # noqa: ARG002  all processes are in this one
        return self._begin(state, writer=self._name)

    def step_in_slices(self, state: Any, batch: Batch, *, known_at: KnownAt) -> Generator[None, None, Outputs]:
        outputs = self.step(state, batch, known_at=known_at)
        yield
        return outputs

    def _raising(self, state: Any, batch: Batch, *, known_at: KnownAt) -> Outputs:
        assert isinstance(batch, SimBatch)
        row = batch.uids.index(self._poison) if self._poison in batch.uids else None
        if row is None or row in batch.quarantined or batch.records[row].offset < state.position:
            return self._step(state, batch, known_at=known_at)
        if row:
            self._step(state, batch.head(row), known_at=known_at)
        raise ArithmeticError("planned")
