"""Pack a partition's state into chunks, one cycle of its rolling checkpoint after the other."""

from typing import Final

import msgspec
import numpy as np

from services.scorer.core.activity import NEVER, Activity
from services.scorer.core.chunks import SCHEMA_WRITTEN, Chunk, Ids, Marker, records_of, seal
from services.scorer.core.days import NO_DAY
from services.scorer.core.partition import Partition
from services.scorer.core.seen import Segment
from services.scorer.core.table import NONE, Columns, Ints

ACCOUNTS_A_CHUNK: Final = 512
IDS_A_CHUNK: Final = 32_768
_CHAINS: Final = frozenset({"first_signal", "first_user", "first_use", "first_source", "first_mark", "next"})
_DERIVED: Final = _CHAINS | {"patience_of", "patience", "segment", "stage", "stage_day", "fact_day"}


class Cycle:
    """One pass over the state; call `next` until it returns None, then `marker`."""

    def __init__(self, state: Partition, *, writer: str) -> None:
        state.seen.forget()
        self.base = state.position
        self.id = f"{self.base}-{writer}"
        self._ids = state.seen.table.entries()
        self._ids_done = 0
        self._accounts_done = 0
        self._accounts = state.accounts
        self._number = 0
        bundle = state.bundle
        self._at_base = Marker(
            schema=SCHEMA_WRITTEN,
            cycle=self.id,
            base=self.base,
            chunks=0,
            accounts=0,
            partition=state.partition,
            partitions=state.partitions,
            clock=state.clock,
            pending=state.pending,
            counts=dict(state.counts),
            hours=_hours(state.seen.segments),
            hour=state.seen.hour,
            segments=list(state.seen.segments),
            bundle=bundle.source if bundle else None,
            bundle_version=bundle.version if bundle else None,
            rules=list(state.episodes.rules),
            features=list(state.activity.signal_names),
            imports=state.imports.entries(),
            guards=sorted(state.guards),
            medians=dict(state.medians.days),
            generation=state.generation,
            first_record=-1,
            previous=-1,
        )

    def next(self, state: Partition) -> list[bytes] | None:
        """Return the records of the next chunk under `upto` = the last offset processed, None when all are written."""
        if self._ids_done < len(self._ids[0]):
            part = slice(self._ids_done, self._ids_done + IDS_A_CHUNK)
            self._ids_done += IDS_A_CHUNK
            keys, offsets = self._ids
            return self._records(Ids(keys=keys[part].tobytes(), offsets=offsets[part].tobytes()))
        if self._accounts_done >= max(self._accounts, state.accounts):
            return None
        rows = np.arange(self._accounts_done, min(state.accounts, self._accounts_done + ACCOUNTS_A_CHUNK))
        self._accounts_done += len(rows)
        return self._records(packed(state, rows))

    def marker(self, *, first_record: int, previous: int = -1, mirrored: bool = False) -> bytes:
        """Return the record that closes the cycle, once every chunk before it is durable."""
        marker = msgspec.structs.replace(
            self._at_base,
            chunks=self._number,
            accounts=self._accounts_done,
            first_record=first_record,
            previous=previous,
            mirrored=mirrored,
        )
        return seal(marker)

    def _records(self, content: Chunk | Ids) -> list[bytes]:
        number, self._number = self._number, self._number + 1
        return records_of(content, cycle=self.id, number=number)


def begin(state: Partition, *, writer: str = "") -> Cycle:
    """Begin a cycle at the state's position; `writer` tells apart cycles of different processes."""
    return Cycle(state, writer=writer)


def packed(state: Partition, rows: Ints) -> Chunk:
    """Return some accounts, ascending rows, as they are; what names a row names that of this state."""
    activity = state.activity
    signals = _linked(activity, activity.signals, head="first_signal", rows=rows)
    users = _linked(activity, activity.users, head="first_user", rows=rows)
    uses = _linked(activity, activity.uses, head="first_use", rows=rows)
    sources = _linked(activity, activity.sources, head="first_source", rows=rows)
    marks = _linked(activity, activity.marks, head="first_mark", rows=rows)
    signals = signals[activity.signals["front"][signals] != NO_DAY]
    users = users[activity.users["last_day"][users] != NO_DAY]
    uses = uses[activity.uses["last_day"][uses] != NO_DAY]
    sources = sources[activity.sources["last"][sources] != NONE]
    marks = marks[activity.marks["first"][marks] != NEVER]
    erased, erased_users = state.erasures.entries(rows.tolist())
    return Chunk(
        schema=SCHEMA_WRITTEN,
        upto=state.position - 1,
        first=int(rows[0]),
        names=[activity.names.text(row) for row in rows.tolist()],
        accounts=_columns(activity.accounts, rows),
        signals=_columns(activity.signals, signals),
        users=_columns(activity.users, users),
        uses=_columns(activity.uses, uses)
        | {"user": np.searchsorted(users, activity.uses["user"][uses]).astype(np.int32).tobytes()},
        rules=list(state.episodes.rules),
        episodes={name: values.T.tobytes() for name, values in state.episodes.of(rows).items()},
        features=list(activity.signal_names),
        facts={row: state.facts.fields[row] for row in rows.tolist() if row in state.facts.fields},
        sources=_columns(activity.sources, sources),
        source_names=list(activity.source_names),
        marks=_columns(activity.marks, marks),
        mark_names=activity.mark_names.texts,
        jobs=list(state.imports.names),
        erased=erased,
        erased_users=erased_users,
    )


def _linked(activity: Activity, columns: Columns, *, head: str, rows: Ints) -> Ints:
    links = [linked for _, linked in activity.chain(columns, head=head, accounts=rows)]
    return np.sort(np.concatenate(links)) if links else np.zeros(0, np.int64)


def _columns(columns: Columns, rows: Ints) -> dict[str, bytes]:
    return {name: columns[name][rows].tobytes() for name in columns.spec if name not in _DERIVED}


def _hours(segments: list[Segment]) -> list[tuple[int, int]]:
    return list({segment.hour: (segment.hour, segment.first) for segment in reversed(segments)}.values())[::-1]
