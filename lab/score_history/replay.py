"""Take a history through the live core, a tick a day, and score accounts at their cut-offs (docs/scoring.md §13)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.importing.records import Held, Lines
from lab.lines import batch_of_lines
from lab.score_history.cutoffs import Cutoff
from lab.trouble import Trouble
from services.scorer.core.bundle import BANDS, CompiledBundle
from services.scorer.core.days import DAY
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.score import Scores, score
from services.scorer.core.step import step
from services.scorer.core.view import MISSING
from shared.contracts.events import tick_record, wire_time
from shared.contracts.health import Band

IN_FORCE: Final = 0
NONE_NAMED: Final = -1
"""What ticks name of the context topic: the first the configuration, the others nothing, so that they only collect."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """An account at its cut-off: `health` in milli-points, None where there is nothing to judge by."""

    health: int | None
    band: Band
    evidence_days: int


UNHEARD: Final = Score(health=None, band=Band.UNKNOWN, evidence_days=0)
"""Of an account nothing was heard of before its cut-off."""


def scores_at(
    cutoffs: Sequence[Cutoff], *, history: Held, bundle: CompiledBundle, tell: Callable[[int], None]
) -> Iterator[tuple[Cutoff, Score]]:
    """Yield the score of every cut-off, by time; `tell` is called at each tick with its moment. Raises Trouble."""
    columns = history.rows()
    order = np.argsort(columns[:, 0], kind="stable")
    at, lines = columns[order, 0], Lines(history, columns)
    past = _Past(cutoffs, bundle=bundle)
    moments = _moments(at, cutoffs)
    past.go_on([], to=moments[0], context=IN_FORCE)
    for before, moment in pairwise(moments):
        first, last = np.searchsorted(at, [before, moment])
        past.go_on([lines.of(row) for row in order[first:last].tolist()], to=moment, context=NONE_NAMED)
        tell(moment)
        yield from past.scores()


def _moments(at: Ints, cutoffs: Sequence[Cutoff]) -> list[int]:
    """Return every 00:00 UTC from the first event or cut-off to the last cut-off, and every cut-off (epoch ms)."""
    asked = {cutoff.at for cutoff in cutoffs}
    first = min([*asked, *at[:1].tolist()]) // DAY * DAY
    # one more before the first, so that even the first cut-off ends a day
    return sorted({*asked, *range(first - DAY, max(asked), DAY)})


class _Past:
    """One partition with all accounts, and who is still to be scored."""

    def __init__(self, cutoffs: Sequence[Cutoff], *, bundle: CompiledBundle) -> None:
        self._state = Partition.empty(partition=0, partitions=1, seed=0)
        self._bundle = bundle
        self._asked: dict[int, list[Cutoff]] = {}
        self._until: dict[str, int] = {}
        for cutoff in cutoffs:
            self._asked.setdefault(cutoff.at, []).append(cutoff)
            self._until[cutoff.account] = max(cutoff.at, self._until.get(cutoff.account, cutoff.at))
        self._row: dict[str, int] = {}
        self._last: list[int] = []
        """By account row: its last cut-off (epoch ms)."""

    def go_on(self, records: Sequence[bytes], *, to: int, context: int) -> None:
        """Apply records and a tick; raises Trouble for what the scorer would refuse."""
        state, lines = self._state, [*records, tick_record(to, context=context)]
        batch = batch_of_lines(lines, first=state.position, times=np.full(len(lines), to, np.int64))
        outputs = step(state, batch, known_at=self._known_at)
        for dead in outputs.dead:
            event = lines[dead.row].decode()
            raise Trouble(f"the scorer refuses an event before {wire_time(to)}: {dead.reason}: {dead.detail}: {event}")
        for row in range(len(self._last), state.accounts):
            account = state.activity.names.text(row).decode()
            self._row[account] = row
            self._last.append(self._until.get(account, -1))

    def scores(self) -> Iterator[tuple[Cutoff, Score]]:
        """Judge all who have a cut-off now or later, for bands depend on the days before; yield those of now."""
        now = self._state.clock or 0
        rows = np.flatnonzero(np.array(self._last, np.int64) >= now)
        found = score(self._state, rows=rows, bundle=self._bundle)
        for cutoff in self._asked.get(now, ()):
            row = self._row.get(cutoff.account)
            yield cutoff, UNHEARD if row is None else _score(found, int(np.searchsorted(rows, row)))

    def _known_at(self, context: int, _partition: int) -> Known:
        return Known(bundle=self._bundle if context == IN_FORCE else None)


def _score(found: Scores, place: int) -> Score:
    health = int(found.health[place])
    return Score(
        health=None if health == MISSING else health,
        band=BANDS[found.bands[place]],
        evidence_days=int(found.evidence_days[place]),
    )
