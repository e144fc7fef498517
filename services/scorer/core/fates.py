"""Decide the fate of each record before it is folded: alive, dead for a reason, or moved (docs/scoring.md §1)."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from services.scorer.core.batch import Batch
from services.scorer.core.days import HORIZON
from services.scorer.core.decode import Code, Decoded, Reason
from services.scorer.core.table import Ints
from shared.contracts.events import MOVED_HEADER
from shared.contracts.partition import partition_of

TICK_LEAD: Final = 5_000
EVENT_LEAD: Final = 300_000
_AT_ANY_AGE: Final = (Code.FACT, Code.KEPT_AT_ANY_AGE, Code.OUTCOME, Code.ERASURE)


class Fate(StrEnum):
    """What became of a record; each has exactly one."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    DEAD = "dead"
    MOVED = "moved"
    TICK = "ticks"


FATES: Final = tuple(Fate)
"""Fates by the code in `Outputs.fates`."""


class Dead(NamedTuple):
    """A record that is dead-lettered: its row in the batch and why."""

    offset: int
    reason: Reason
    detail: str
    row: int


class Moved(NamedTuple):
    """A record that lay in the wrong partition: its row in the batch and where it belongs."""

    partition: int
    row: int


def sort_out(
    batch: Batch, decoded: Decoded, *, rows: Ints, homes: Ints, clock: int | None
) -> tuple[Ints, list[Dead], list[Moved]]:
    """Return the positions in `rows` of what may be applied, and what is dead and what is moved.

    `homes` (of `rows`) is the partition a record belongs to if it is another one, else −1; `clock` the partition's.
    """
    at, ts, code = decoded.at[rows], batch.timestamps[rows], decoded.code[rows]
    unreadable = code == Code.DEAD
    elsewhere = ~unreadable & (homes >= 0)
    here = ~unreadable & ~elsewhere
    in_future = here & (at > ts + EVENT_LEAD)
    too_late = here & ~in_future & ~decoded.imported[rows] & ~np.isin(code, _AT_ANY_AGE)
    too_late &= (at < clock - HORIZON) if clock is not None else False
    dead, moved = [], []
    for where in np.flatnonzero(~here | in_future | too_late).tolist():
        row = int(rows[where])
        if unreadable[where]:
            reason, detail = decoded.dead[row]
        elif elsewhere[where] and decoded.imported[row]:
            reason, detail = Reason.WRONG_PARTITION, "an imported row is not where its account belongs"
        elif elsewhere[where] and not _was_moved(batch, row):
            moved.append(Moved(int(homes[where]), row))
            continue
        elif elsewhere[where]:
            reason, detail = Reason.WRONG_PARTITION, "moved once and still not where its account belongs"
        elif in_future[where]:
            reason, detail = Reason.IN_FUTURE, "time is more than five minutes after the record's arrival"
        else:
            reason, detail = Reason.TOO_LATE, "time is more than 91 days before the partition's clock"
        dead.append(Dead(int(batch.offsets[row]), reason, detail, row))
    return np.flatnonzero(here & ~in_future & ~too_late), dead, moved


def homes_of(accounts: Sequence[str], *, unknown: Sequence[int], partition: int, partitions: int) -> Ints:
    """Return the partition each account belongs to if it is another one, else −1; only `unknown` positions may."""
    homes = np.full(len(accounts), -1, np.int64)
    for where in unknown:
        home = partition_of(accounts[where].encode(), partitions=partitions)
        homes[where] = home if home != partition else -1
    return homes


def _was_moved(batch: Batch, row: int) -> bool:
    return any(name == MOVED_HEADER for name, _ in batch.headers.get(row, ()))
