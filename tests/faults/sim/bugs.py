"""Bugs, each a class or function that stands in for the right one (see planted.py)."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from services.scorer import checkpoint
from services.scorer.checkpoint import NO_CYCLE, Cycles, Records
from services.scorer.core.batch import Batch
from services.scorer.core.fates import Dead
from services.scorer.core.known import KnownAt
from services.scorer.core.publish import Record as Published
from services.scorer.core.step import Outputs
from services.scorer.cores import Core, Marker
from services.scorer.lane import Decided, Lane
from services.scorer.loop import Loop
from services.scorer.outputs import KafkaOutputs
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition
from shared.contracts.topics import RISK, SCORES
from tests.faults.sim.oracle_core import OracleCore
from tests.faults.sim.oracle_cycle import Chunks, OracleChunk, OracleMarker
from tests.faults.sim.oracle_state import Account, Ids, OracleState
from tests.faults.sim.servers import Store
from tests.faults.sim.world import Payload


class EagerLane(Lane):
    """Acknowledges what was folded."""

    def put(self, decided: Decided) -> None:
        super().put(replace(decided, acknowledge=lambda: None))
        decided.acknowledge()


class HastyCycles(Cycles[Any]):
    """Writes chunks without waiting for the outputs they contain."""

    def __init__(self, *args: Any, durable: Callable[[int], Any], **options: Any) -> None:  # noqa: ARG002
        super().__init__(*args, durable=_at_once, **options)


class MarkerFirst(Cycles[Any]):
    """Closes a cycle before its chunks are written."""

    async def _cycle(self) -> None:
        cycle = self._core.begin(self._state, writer="")
        chunks: list[bytes] = []
        while (records := cycle.next(self._state)) is not None:
            chunks += records
        await self._durable(self._state.position)
        first = self.end + 1
        await self._write(cycle.marker(first_record=first, previous=self.first, mirrored=True))
        for record in chunks:
            await self._write(record)
        await self._close(first)

    async def _close(self, first: int) -> None:
        before, self.first = self.first, first
        self._known = (self._state.position, checkpoint._events(self._state))
        self._closed_at = asyncio.get_running_loop().time()
        if before != NO_CYCLE:
            await self._activity.trim(self._partition, before=before)


class TrimFirst(MarkerFirst):
    """Deletes what lies before a cycle that is not closed yet."""

    async def _cycle(self) -> None:
        cycle = self._core.begin(self._state, writer="")
        first = self.end
        while (records := cycle.next(self._state)) is not None:
            await self._durable(self._state.position)
            for record in records:
                await self._write(record)
        await self._activity.trim(self._partition, before=first)
        await self._write(cycle.marker(first_record=first, previous=self.first, mirrored=True))
        await self._close(first)


class CommitLoop(Loop[Any]):
    """Goes on where the group's commit says."""

    async def take(self, partition: int) -> int:
        position = await super().take(partition)
        committed: int = self.events._world.commits[partition]  # type: ignore[attr-defined]
        return max(position, committed)


class ForgetfulLoop(Loop[Any]):
    """Does not look whether Redis has lost anything."""

    async def refill(self) -> None:
        for partition in self._owned:
            await self.store.end_fill(self.topology, partition, fill=await self.store.begin_fill(partition))


class CarelessRedis(Loop[Any]):
    """Lets the checkpoint run ahead of Redis."""

    says = False

    def _own(self, partition: int, found: Any) -> None:
        super()._own(partition, found)
        owned = self._owned[partition]

        async def durable(position: int) -> bool:
            await owned.lane.until_durable(position)
            return self.says

        owned.cycles._durable = durable


class BoastfulRedis(CarelessRedis):
    """And says that Redis has everything."""

    says = True


class Unfenced(OracleCore):
    """Applies to an account what it contains already."""

    def is_fenced(self, account: Account | None, offset: int) -> bool:  # noqa: ARG002
        return False


class LastOffset(OracleCore):
    """Remembers where an id came last."""

    def remember(self, seen: Ids, identity: Any, at: tuple[int, int], *, fate: str, fenced: bool) -> Ids:  # noqa: ARG002
        return {**seen, identity: at} if fate in {"applied", "duplicate"} else seen


class NotReentered(OracleCore):
    """Forgets the id of an event that its account contains already."""

    def remember(self, seen: Ids, identity: Any, at: tuple[int, int], *, fate: str, fenced: bool) -> Ids:
        return seen if fenced else super().remember(seen, identity, at, fate=fate, fenced=fenced)


class LastWritten(OracleCore):
    """Restores the cycle that was closed last."""

    def best_of(self, markers: Sequence[OracleMarker]) -> OracleMarker:
        return markers[-1]


class StaleChunk(OracleCore):
    """Restores the chunk written last, whoever wrote it."""

    def chunks_of(self, marker: OracleMarker, chunks: Chunks) -> Mapping[int, OracleChunk]:
        last: dict[int, OracleChunk] = {}
        for cycle in chunks.values():
            last |= {number: chunk for number, chunk in cycle.items() if number < marker.chunks}
        return last


class WithoutIds(OracleCore):
    """Leaves the ids seen out of what it restores."""

    def _restored(self, marker: OracleMarker, chunks: Mapping[int, OracleChunk], *, partition: int) -> OracleState:
        state = super()._restored(marker, chunks, partition=partition)
        state.node = self._node(state.node.whole, {}, state.node.accounts)
        return state


class WallClock(OracleCore):
    """Says of health when it was worked out."""

    def step(self, state: OracleState, batch: Batch, *, known_at: KnownAt) -> Outputs:
        outputs = super().step(state, batch, known_at=known_at)
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        outputs.healths = [
            msgspec.structs.replace(row, payload=_changed(row.payload, AccountHealth, at=row.at + now_ms))
            for row in outputs.healths
        ]
        return outputs


class RandomId(OracleCore):
    """Names episodes at random."""

    def step(self, state: OracleState, batch: Batch, *, known_at: KnownAt) -> Outputs:
        outputs = super().step(state, batch, known_at=known_at)
        outputs.transitions = [
            Published(row.key, _changed(row.value, Transition, episode=f"ep_{uuid.uuid4().hex}"), row.at)
            for row in outputs.transitions
        ]
        return outputs


class FloatState(OracleState):
    """A state with a sum of floats."""

    __slots__ = ("total",)

    total: float

    def whole(self) -> object:
        return (self.node.whole, self.total)


class FloatSum(OracleCore):
    """Adds floats batch by batch; health shows it where the sum is not that of batches of two, as uninterrupted."""

    def empty(self, partition: int) -> OracleState:
        return self._with_total(super().empty(partition), 0.0)

    def step(self, state: OracleState, batch: Batch, *, known_at: KnownAt) -> Outputs:
        assert isinstance(state, FloatState)
        before, outputs = state.position, super().step(state, batch, known_at=known_at)
        state.total += sum(0.1 * offset for offset in range(before, state.position))
        if state.total != _in_pairs(state.position):
            outputs.healths = [msgspec.structs.replace(row, payload=row.payload + b" ") for row in outputs.healths]
        return outputs

    def _restored(self, marker: OracleMarker, chunks: Mapping[int, OracleChunk], *, partition: int) -> OracleState:
        (whole, total), counts = self._kept[marker.kept]
        plain = self.keep((whole, counts))
        return self._with_total(super()._restored(marker._replace(kept=plain), chunks, partition=partition), total)

    def _with_total(self, plain: OracleState, total: float) -> OracleState:
        state = FloatState(plain.partition, plain.node, position=plain.position, counts=plain.counts)
        state.total = total
        return state


def _in_pairs(position: int) -> float:
    total = 0.0
    for start in range(0, position, 2):
        total += sum(0.1 * offset for offset in range(start, min(start + 2, position)))
    return total


def last_cycle_written(records: Records, core: Core[Any]) -> Marker | None:
    """Return the marker of the cycle that was closed last."""
    markers = [marker for _, value in records if (marker := core.marker_of(value)) is not None]
    return markers[-1] if markers else None


def plain_set(store: Store, account: str, row: Payload) -> int:
    """Write whatever comes."""
    store._world.redis[account] = row
    return 1


def mark_anyway(store: Store, generation: int, partition: int, *, fill: str) -> bool:  # noqa: ARG001
    """Mark a partition as written although Redis was lost meanwhile."""
    store._world.filled[partition] = generation
    return True


async def nobody_ahead(cycles: Cycles[Any], *, base: int) -> bool:  # noqa: ARG001
    """Take it that nobody else wrote a later cycle."""
    return True


async def send_and_hope(outputs: KafkaOutputs, batch: Batch, given: Outputs) -> None:
    """Go on when Kafka refuses."""
    with suppress(Exception):
        await SEND(outputs, batch, given)


async def send_once(outputs: KafkaOutputs, batch: Batch, given: Outputs) -> None:
    """Send nothing of a batch of which something was sent before."""
    published = outputs._producer._world.published
    rows = [(RISK, row.value) for row in given.transitions] + [(SCORES, row.value) for row in given.scores]
    if not any(row in published for row in rows):
        await SEND(outputs, batch, given)


async def drop_dead(outputs: KafkaOutputs, batch: Batch, dead: Dead) -> Any:  # noqa: ARG001
    """Lose a dead letter."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


async def take_kept(loop: Loop[Any], partition: int) -> Any:
    """Use the state kept, whatever was written since."""
    return loop._kept.pop(partition, None)


async def _at_once(position: int) -> bool:  # noqa: ARG001
    """Wait for nothing."""
    return True


def _changed(value: bytes, kind: type[msgspec.Struct], **fields: object) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(msgspec.json.decode(value, type=kind), **fields))


SEND = KafkaOutputs.send
