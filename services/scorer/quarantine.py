"""Keep a record on which the core raises from stopping its partition: after two exits it is found and set aside.

raises -> `crash` entry, exit -> raises -> `crash` entry, exit -> bisected on copies of the state at the third start
-> `quarantine` entry: dead as `bug` -> onwards.

Whatever lies before it was folded without it, and nothing after it was ever scored: a replay comes to the same.
Only that is set aside which made us exit: a copy that raises anything else is no proof against a record.
"""

import asyncio
import copy
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from services.scorer.core.batch import Batch
from services.scorer.core.known import Known, KnownAt
from services.scorer.cores import Core, S
from shared.contracts.context import Crash, Quarantine

EXITS: Final = 2
TELL_S: Final = 10.0

log = structlog.get_logger(__name__)


class Context(Protocol):
    """Where crashes and quarantines are kept."""

    def quarantined(self, topic: str, partition: int) -> Sequence[Quarantine]: ...

    def crashes(self, topic: str, partition: int) -> Sequence[Crash]: ...

    def known_at(self, offset: int, partition: int) -> Known: ...

    async def tell(self, entry: Crash | Quarantine) -> None: ...


async def readable(batch: Batch, *, core: Core[S], state: S, context: Context, now_ms: Callable[[], int]) -> Batch:
    """Return the batch without the records on which the core raised twice: set aside before, or found now."""
    topic, partition = batch.topic, batch.partition
    batch = batch.without(frozenset(entry.offset for entry in context.quarantined(topic, partition)))
    exits = _exits(batch, context=context)
    if len(exits) < EXITS:
        return batch
    while (found := await asyncio.to_thread(culprit, core, state, batch, known_at=context.known_at)) is not None:
        row, fault = found
        offset = int(batch.offsets[row])
        if sum(crash.first <= offset <= crash.last and crash.fault == fault for crash in exits) < EXITS:
            log.error("record_not_quarantined", partition=partition, offset=offset, fault=fault)
            return batch  # the fold decides: if it raises too, that exit is noted
        log.error("record_quarantined", partition=partition, offset=offset, fault=fault)
        await context.tell(Quarantine(topic=topic, partition=partition, offset=offset, fault=fault, at=now_ms()))
        batch = batch.without(frozenset(entry.offset for entry in context.quarantined(topic, partition)))
    return batch


async def note_crash(batch: Batch, fault: Exception, *, context: Context, now_ms: Callable[[], int]) -> None:
    """Write down on which records the core raised; the process ends anyway, so failing to is only logged."""
    entry = Crash(
        topic=batch.topic,
        partition=batch.partition,
        first=int(batch.offsets[0]),
        last=int(batch.offsets[-1]),
        fault=type(fault).__name__,
        at=now_ms(),
    )
    try:
        async with asyncio.timeout(TELL_S):
            await context.tell(entry)
    except Exception as unsaid:  # noqa: BLE001  the fault that brought us here is the one to report
        log.warning("crash_not_noted", fault=repr(unsaid))


def culprit(core: Core[S], state: S, batch: Batch, *, known_at: KnownAt) -> tuple[int, str] | None:
    """Return the first row on which the core raises, and the exception's type; None if it takes the whole batch.

    Each try runs on a copy of the state: log₂(n) + 1 copies for n rows.
    """
    fault = _fault(core, state, batch, known_at=known_at)
    if fault is None:
        return None
    passes, raises = 0, len(batch)  # the first `passes` rows are taken, the first `raises` are not
    while raises - passes > 1:
        middle = (passes + raises) // 2
        found = _fault(core, state, batch.head(middle), known_at=known_at)
        passes, raises, fault = (middle, raises, fault) if found is None else (passes, middle, found)
    return raises - 1, fault


def _fault(core: Core[S], state: S, batch: Batch, *, known_at: KnownAt) -> str | None:
    copied = copy.deepcopy(state)  # failing to copy is no record's fault
    try:
        core.step(copied, batch, known_at=known_at)
    except Exception as fault:  # noqa: BLE001  whatever it is, it is what we look for
        return type(fault).__name__
    return None


def _exits(batch: Batch, *, context: Context) -> Sequence[Crash]:
    first, last = int(batch.offsets[0]), int(batch.offsets[-1])
    crashes = context.crashes(batch.topic, batch.partition)
    return [crash for crash in crashes if crash.first <= last and first <= crash.last]
