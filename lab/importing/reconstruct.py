"""Replay a history through the live core, a tick a day: what each account's health would have been."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from lab.importing.mapping import Row
from lab.importing.records import Held, Lines
from lab.lines import batch_of_lines
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.publish import HealthRow
from services.scorer.core.step import Outputs, step
from shared.contracts.events import tick_record
from shared.contracts.health import Band
from shared.contracts.risk import Transition

DAY: Final = 86_400_000
SHOWN_DAYS: Final = 91
NEEDED_DAYS: Final = 2 * SHOWN_DAYS
"""Older rows change nothing of the days shown but since when an account is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One tick of a replay, at the end of a day (epoch ms): what was judged, and what opened or ended."""

    at: int
    healths: Sequence[HealthRow]
    transitions: Sequence[Transition]


def replay(rows: Iterable[Row], *, bundle: CompiledBundle) -> Iterator[Day]:
    """Yield each day from the first event to the end of the last one's day, judged as it would have been at its end."""
    held = Held()
    for row in rows:
        held.take(row)
    columns = held.rows()
    if not len(columns):
        return
    order = np.argsort(columns[:, 0], kind="stable")
    at = columns[order, 0]
    state = Partition.empty(partition=0, partitions=1, seed=0)
    lines = Lines(held, columns)
    for midnight in range((int(at[0]) // DAY + 1) * DAY, (int(at[-1]) // DAY + 2) * DAY, DAY):
        first, last = np.searchsorted(at, [midnight - DAY, midnight])
        records = [lines.of(row) for row in order[first:last].tolist()]
        outputs = _fold(state, [*records, tick_record(midnight, context=0)], at=midnight, bundle=bundle)
        transitions = [msgspec.json.decode(record.value, type=Transition) for record in outputs.transitions]
        yield Day(at=midnight, healths=outputs.healths, transitions=transitions)


def points(days: Iterable[Day], *, bundle: str, until: int) -> list[Sequence[object]]:
    """Return the days to show as the ingest takes them: account, at, health, band, bundle; none after `until`."""
    found = [
        (row.account, row.at, row.health, Band(row.band), bundle)
        for day in days
        if until - SHOWN_DAYS * DAY <= day.at <= until
        for row in day.healths
    ]
    return list(found)


def _fold(state: Partition, records: Sequence[bytes], *, at: int, bundle: CompiledBundle) -> Outputs:
    batch = batch_of_lines(records, first=state.position, times=np.full(len(records), at, np.int64))
    return step(state, batch, known_at=lambda _offset, _partition: Known(bundle=bundle))
