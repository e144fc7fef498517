"""Carry batches through the core and its effects outside, in the order that survives any crash.

    fold in the state  ->  outputs durable in Kafka  ->  acknowledgement
                                                     ->  Redis  ->  checkpoint (waits for it only a moment)

The only place that acknowledges, and the owner of the state of the partitions assigned to this process. Whatever
nobody planned for ends the process: after a fold there is no way back but a restart.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, NoReturn

import structlog

from services.scorer import metrics
from services.scorer.checkpoint import ActivityLog, Cycles, Loaded, load
from services.scorer.context import Context, named_context
from services.scorer.core.batch import Batch
from services.scorer.core.fates import Fate
from services.scorer.core.guard import Watch
from services.scorer.core.publish import HealthRow
from services.scorer.core.step import Outputs
from services.scorer.cores import Core, S
from services.scorer.eventlog import EventLog
from services.scorer.fence import Exit, Fence, end_process
from services.scorer.lane import Decided, Lane
from services.scorer.listing import Listing
from services.scorer.mirror import Mirror
from services.scorer.outputs import KafkaOutputs, in_slices
from services.scorer.quarantine import note_crash, readable
from services.scorer.recent import Recents
from services.scorer.snapshots import SnapshotLog, Snapshots
from shared.contracts.topology import Topology
from shared.health_store import HealthStore
from shared.tasks import cancel

RELEASE_TIMEOUT_S: Final = 5.0
MIRROR_TIMEOUT_S: Final = 1.0
IDLE_LOOKS: Final = 90
"""Of the lag, one a second: more than the minute in which a tick comes even where nothing else does."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned(Generic[S]):
    """A partition that is ours: its state, and the tasks that serve it."""

    state: S
    lane: Lane
    cycles: Cycles[S]
    mirror: Mirror
    tasks: list[asyncio.Task[None]]
    reported: dict[str, int]
    whole: asyncio.Lock
    """Held while a step is on its way: until it is in the lane, the state must neither be kept nor written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Generic[S]):
    """The state of a partition and where it came from; what is kept is usable while nobody else wrote a checkpoint.

    `unwritten` is what Redis had not got when the state was given up.
    """

    source: Literal["kept", "checkpoint", "log"]
    state: S
    loaded: Loaded[S]
    unwritten: Sequence[HealthRow] = ()


@dataclass(kw_only=True)
class Loop(Generic[S]):
    """The effect loop of one process."""

    core: Core[S]
    topology: Topology
    cycle_s: float
    context: Context
    events: EventLog
    activity: ActivityLog
    outputs: KafkaOutputs
    store: HealthStore
    now_ms: Callable[[], int]
    stall_s: float
    watch: Watch
    recents: Recents
    bring_back: Callable[[int], Awaitable[None]]
    """Write the history of a partition's accounts into Redis again."""
    listing: Listing[S] = field(default_factory=Listing)
    snapshots: SnapshotLog | None = None
    """Where a cycle is kept every 30 days; None keeps none."""
    end: Callable[..., NoReturn] = end_process
    fence: Fence = field(init=False)
    _owned: dict[int, Owned[S]] = field(default_factory=dict)
    _kept: dict[int, Ready[S]] = field(default_factory=dict)
    _loading: dict[int, float] = field(default_factory=dict)
    _expected: frozenset[int] | None = None
    _looks: dict[int, tuple[int, int]] = field(default_factory=dict)
    _unsure: set[int] = field(default_factory=set)
    """Partitions whose checkpoint holds more than Redis had when it was closed, until Redis has it."""

    def __post_init__(self) -> None:
        self.fence = Fence(
            stall_s=self.stall_s,
            oldest_unacked=self._oldest_unacked,
            oldest_recovery=self._oldest_recovery,
            end=self.end,
        )

    @property
    def ready(self) -> bool:
        """Whether the state of every partition assigned is there."""
        return self._expected is not None and self._expected <= self._owned.keys()

    def states(self) -> Mapping[int, S]:
        """Return the state of every partition that is ours, by number."""
        return {partition: owned.state for partition, owned in self._owned.items()}

    async def process(self, batch: Batch, *, acknowledge: Callable[[], object]) -> None:
        """Fold a batch and hand its outputs on. A batch of a partition that is not ours any more is left alone."""
        owned = self._owned.get(batch.partition)
        if owned is None:
            return
        await owned.lane.room()
        await self.context.reach(named_context(batch))
        if int(batch.offsets[0]) > owned.state.position:
            await self.events.check_not_lost(batch.partition, position=owned.state.position)
        batch = await readable(batch, core=self.core, state=owned.state, context=self.context, now_ms=self.now_ms)
        async with owned.whole:
            if self._owned.get(batch.partition) is owned:
                await self._step(owned, batch, acknowledge=acknowledge)

    async def _step(self, owned: Owned[S], batch: Batch, *, acknowledge: Callable[[], object]) -> None:
        """Fold a batch and put it into the lane. Others run between its slices; none gives up or keeps the state."""
        _check_handed_out(batch, position=owned.state.position)
        self.fence.check()
        began = time.perf_counter()
        ticks = owned.state.counts[Fate.TICK]
        try:
            outputs = await in_turns(self.core.step_in_slices(owned.state, batch, known_at=self.context.known_at))
        except Exception as fault:
            self._abandon(owned)
            await note_crash(batch, fault, context=self.context, now_ms=self.now_ms)
            raise
        phase = "tick" if owned.state.counts[Fate.TICK] > ticks else "fold"
        metrics.STEP.labels(phase).observe(time.perf_counter() - began)
        self._report(owned)
        self.watch.note(outputs.arrived)
        self.recents.look(batch, outputs)
        owned.lane.put(
            Decided(
                batch=batch,
                outputs=outputs,
                position=owned.state.position,
                acknowledge=acknowledge,
                listed=self.listing.due(owned.state, outputs.judged),
            )
        )

    def expect(self, partitions: Collection[int]) -> Collection[int]:
        """Note which partitions are assigned and will be taken; return those whose state we kept."""
        self._expected = frozenset(partitions)
        return self._expected & self._kept.keys()

    async def take(self, partition: int) -> int:
        """Make the state of an assigned partition ready: kept, from the checkpoint, or new. Return where to go on."""
        began = time.monotonic()
        self._progress(partition)
        metrics.RECOVERY_ACTIVE.set(len(self._loading))
        try:
            found = await self._take_kept(partition) or await self._load(partition)
            state = found.state
            end = await self.events.check_position(partition, position=state.position)
        finally:
            self._loading.pop(partition, None)
            metrics.RECOVERY_ACTIVE.set(len(self._loading))
        metrics.RECOVERY.observe(time.monotonic() - began)
        self._own(partition, found)
        if found.source == "checkpoint" and not found.loaded.mirrored:
            self._unsure.add(partition)
        self.listing.taken(partition, end=end)
        log.info(
            "partition_taken",
            partition=partition,
            position=state.position,
            accounts=state.accounts,
            source=found.source,
        )
        return state.position

    async def release(self) -> None:
        """Finish what is in hand and give every partition up; what isn't durable in five seconds is forgotten."""
        released, self._owned = self._owned, {}
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                for owned in released.values():
                    async with owned.whole:
                        await owned.lane.until_durable(owned.state.position)
        except TimeoutError:
            log.warning("release_unfinished", partitions=sorted(released))
        await asyncio.gather(
            *(
                owned.mirror.until_written(owned.state.position, patience_s=MIRROR_TIMEOUT_S)
                for owned in released.values()
            )
        )
        for partition, owned in released.items():
            await cancel(owned.tasks)
            await owned.mirror.close()
            await owned.lane.close()
            if owned.lane.durable >= owned.state.position and not owned.whole.locked():
                loaded = Loaded(state=owned.state, end=owned.cycles.end, first=owned.cycles.first)
                self._kept[partition] = Ready(
                    source="kept", state=owned.state, loaded=loaded, unwritten=owned.mirror.unwritten()
                )
            metrics.LAG.remove(str(partition))
        self._looks.clear()
        metrics.OWNED.set(0)

    def fail(self, fault: BaseException) -> None:
        """End the process: nobody planned for this."""
        log.error("unplanned", exc_info=fault)
        self.end(Exit.UNPLANNED, fault=repr(fault))

    def _abandon(self, owned: Owned[S]) -> None:
        """Let nothing more of a half-changed state leave."""
        self._owned.pop(owned.state.partition, None)
        for task in owned.tasks:
            task.cancel()

    async def refill(self) -> None:
        """Write every account of partitions again of which Redis may lack some (promise 6 of the design).

        It lost them, or never had them; or whoever owned a partition before us ended before Redis had what the
        checkpoint holds. Not before a replay has come to where its accounts are: until then some can't be written, nor
        will be by a tick. Nor while partitions are still being loaded, which comes first.
        """
        if self._expected is not None and not self.ready:
            return
        filled = await self.store.filled()
        for partition, owned in list(self._owned.items()):
            is_filled = filled.get(partition) == self.topology.generation
            if (is_filled and partition not in self._unsure) or owned.state.is_replaying:
                continue
            is_whole = await (self._write_all(owned) if is_filled else self._fill(partition, owned))
            if is_whole and self._owned.get(partition) is owned:
                self._unsure.discard(partition)

    async def _fill(self, partition: int, owned: Owned[S]) -> bool:
        fill = await self.store.begin_fill(partition)
        if not await self._write_all(owned):
            return False
        await self.bring_back(partition)
        self.fence.check()
        if await self.store.end_fill(self.topology, partition, fill=fill):
            log.info("redis_filled", partition=partition, accounts=owned.state.accounts)
            return True
        log.warning("redis_lost_while_filled", partition=partition)
        return False

    def report_lag(self, ends: Mapping[int, int]) -> None:
        """Set the gauges that follow from the log ends of our partitions."""
        for partition, owned in self._owned.items():
            if partition in ends:
                metrics.LAG.labels(str(partition)).set(max(0, ends[partition] - owned.state.position))
                self._watch_progress(partition, position=owned.state.position, end=ends[partition])
        metrics.SEEN_HORIZON.set(min((owned.state.horizon_hours for owned in self._owned.values()), default=0))
        running = {job for owned in self._owned.values() for job, _ in owned.state.running}
        metrics.IMPORTS_RUNNING.set(len(running))
        metrics.ACCOUNTS.set(sum(owned.state.accounts for owned in self._owned.values()))
        for fate in metrics.FATES:
            metrics.LOG.labels(fate).set(sum(owned.state.counts[fate] for owned in self._owned.values()))

    def _watch_progress(self, partition: int, *, position: int, end: int) -> None:
        """End the process when a partition's position stays where it is although more lies there, look after look.

        Nothing moves before all partitions are loaded: how long that takes is watched by itself.
        """
        before, looks = self._looks.get(partition, (position, 0))
        looks = looks + 1 if position == before and position < end and self.ready else 0
        self._looks[partition] = (position, looks)
        if looks >= IDLE_LOOKS:
            self.end(Exit.NO_PROGRESS, partition=partition, position=position, log_end=end)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a task whose failure ends the process."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.fail(fault)

    async def _write_all(self, owned: Owned[S]) -> bool:
        healths = self.core.last_healths(owned.state)
        while (rows := await _next_of(healths, owned.whole)) is not None:
            owned.mirror.put(rows)
            if not await owned.mirror.all_written(owned.state.position):
                return False
        return True

    async def _take_kept(self, partition: int) -> Ready[S] | None:
        kept = self._kept.pop(partition, None)
        if kept is None or await self.activity.end(partition) != kept.loaded.end:
            return None
        return kept

    async def _load(self, partition: int) -> Ready[S]:
        loaded = await load(self.activity, self.core, partition=partition, progress=lambda: self._progress(partition))
        if loaded.state is not None:
            return Ready(source="checkpoint", state=loaded.state, loaded=loaded)
        state = self.core.empty(partition)
        state.position = await self.events.first_start(partition)
        return Ready(source="log", state=state, loaded=loaded)

    def _own(self, partition: int, found: Ready[S]) -> None:
        state, mirror, whole = found.state, Mirror(self.store, generation=self.topology.generation), asyncio.Lock()
        mirror.put(found.unwritten)
        lane = Lane(lambda decided: self._perform(decided, mirror), position=state.position)

        async def durable(position: int) -> bool:
            await lane.until_durable(position)
            return await mirror.until_written(position) and state.partition not in self._unsure

        cycles = Cycles(
            self.activity,
            self.core,
            state,
            whole=whole,
            loaded=found.loaded,
            durable=durable,
            cycle_s=self.cycle_s,
            snapshots=Snapshots(self.snapshots, partition) if self.snapshots else None,
        )
        tasks = [
            self.start(work, f"{name}-{partition}")
            for name, work in (("lane", lane.run()), ("cycles", cycles.run()), ("mirror", mirror.run()))
        ]
        reported = dict(state.counts)
        self._owned[partition] = Owned(
            state=state, lane=lane, cycles=cycles, mirror=mirror, tasks=tasks, reported=reported, whole=whole
        )
        metrics.OWNED.set(len(self._owned))

    async def _perform(self, decided: Decided, mirror: Mirror) -> None:
        outputs: Outputs = decided.outputs
        self.fence.check()
        await self.outputs.send(decided.batch, outputs)
        if decided.listed is not None:
            await self.outputs.send_list(decided.batch.partition, decided.listed)
        for some in in_slices(outputs.healths):
            mirror.put(some)
            await asyncio.sleep(0)
        age_ms = self.now_ms() - int(decided.batch.timestamps[0])
        metrics.EVENT_AGE.observe(max(0, age_ms) / 1000)

    def _report(self, owned: Owned[S]) -> None:
        for fate, count in owned.state.counts.items():
            metrics.RECORDS.labels(fate).inc(count - owned.reported.get(fate, 0))
            owned.reported[fate] = count
        metrics.IMPORTS_LAPSED.inc(owned.state.lapsed - owned.reported.get("lapsed", 0))
        owned.reported["lapsed"] = owned.state.lapsed

    def _progress(self, partition: int) -> None:
        self._loading[partition] = time.monotonic()

    def _oldest_unacked(self) -> float | None:
        waiting = [owned.lane.oldest for owned in list(self._owned.values())]
        return min((began for began in waiting if began is not None), default=None)

    def _oldest_recovery(self) -> float | None:
        return min(list(self._loading.values()), default=None)


async def in_turns(slices: Generator[None, None, Outputs]) -> Outputs:
    """Take a step slice by slice and let others run in between. Who is cancelled meanwhile takes the rest at once.

    Half a step is no state; the cancellation reaches whoever waits next.
    """
    is_cancelled = False
    while True:
        try:
            next(slices)
        except StopIteration as done:
            outputs: Outputs = done.value
            break
        if not is_cancelled:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                is_cancelled = True
    if is_cancelled and (task := asyncio.current_task()) is not None:
        task.cancel()
    return outputs


async def _next_of(healths: Iterator[list[HealthRow]], whole: asyncio.Lock) -> list[HealthRow] | None:
    async with whole:
        return next(healths, None)


def _check_handed_out(batch: Batch, *, position: int) -> None:
    """Raise when records handed out before a batch never came here; the restart reads them again."""
    if batch.since > position:
        span = f"{position} to {batch.since - 1}"
        raise LookupError(f"records {span} of partition {batch.partition} were handed out and never came")
