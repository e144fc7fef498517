"""Give the accounts of some partitions to the partitions of a new generation, which cuts the event log otherwise.

    old log      … events … tick T | end          every old partition stands at its end and has judged the same tick T
    new log      seeds | events …                 every new one begins behind its seeds

Nothing is computed here: each account goes over as it is, so that its health and the ids of its episodes stay what they
are. What belongs to a partition as a whole is that of all partitions its accounts come from. Offsets of the old log
mean nothing in the new one: the ids seen are remembered at the new log's *seeds*, one offset for each segment of ids
that are not forgotten yet (docs/scoring.md §12).
"""

from collections.abc import Iterable, Sequence
from math import gcd
from typing import Final

import msgspec
import numpy as np

from services.scorer.core import pack
from services.scorer.core.activity import rekeyed
from services.scorer.core.episodes import Episodes
from services.scorer.core.fates import Fate
from services.scorer.core.medians import Medians
from services.scorer.core.partition import Partition
from services.scorer.core.restore import unpack
from services.scorer.core.seen import KEPT_HOURS, MOST_IDS, SEGMENT_IDS, Seen, Segment
from services.scorer.core.table import Hashes, Ints
from shared.contracts.partition import partition_of

SEEDS: Final = KEPT_HOURS + 1 + MOST_IDS // SEGMENT_IDS
"""Offsets a new log must begin with: as many as there can be segments, of hours and of ids."""


def sources_of(partition: int, *, old: int, new: int) -> range:
    """Return the old partitions (of `old`) that accounts of a new one (of `new`) can come from."""
    step = gcd(old, new)
    return range(partition % step, old, step)


def homes_in(state: Partition, *, partitions: int) -> Ints:
    """Return the new partition of every account of a state, by row."""
    names = state.activity.names.texts(np.arange(state.accounts))
    return np.fromiter((partition_of(name, partitions=partitions) for name in names), np.int64, state.accounts)


def regroup(olds: Sequence[tuple[Partition, Ints]], *, new: Partition, seeds: int) -> Partition:
    """Fill the empty state of a new partition from old ones, each with what `homes_in` says; return it.

    `olds` are those of `sources_of`, all at the end of their log and at the same tick; `seeds` is the offset of the new
    log's first seed, of SEEDS. Raises ValueError when they have not judged the same tick.
    """
    states = [state for state, _ in olds]
    if len({(state.clock, state.bundle and state.bundle.version) for state in states}) > 1:
        raise ValueError("the partitions do not stand at the same tick")
    _take_over(states, new=new, seeds=seeds)
    for state, homes in olds:
        rows = np.flatnonzero(homes == new.partition)
        for start in range(0, len(rows), pack.ACCOUNTS_A_CHUNK):
            _move(state, rows[start : start + pack.ACCOUNTS_A_CHUNK], new=new)
    columns, count = new.activity.accounts, new.accounts
    judged = columns["evaluated_offset"][:count] >= 0
    columns["evaluated_offset"][:count][judged] = new.position - 1
    new.next_due = int(columns["due"][:count].min()) if count else None
    return new


def _take_over(states: Sequence[Partition], *, new: Partition, seeds: int) -> None:
    """Set what belongs to the partition as a whole."""
    first = states[0]
    new.position = seeds + SEEDS
    new.counts[Fate.TICK] = new.position
    new.clock, new.bundle = first.clock, first.bundle
    new.pending = any(state.pending for state in states)
    new.medians = Medians(first.medians.days)
    new.guards = frozenset().union(*(state.guards for state in states))
    new.episodes = Episodes(list(dict.fromkeys(rule for state in states for rule in state.episodes.rules)))
    new.imports.restore(_furthest(entry for state in states for entry in state.imports.entries()))
    _remember([state.seen for state in states], new=new.seen, seeds=seeds)


def _furthest(entries: Iterable[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for job, row, heard in entries:
        before = found.get(job, (row, heard))
        found[job] = max(row, before[0]), max(heard, before[1])
    return [(job, row, heard) for job, (row, heard) in found.items()]


def _remember(seens: Sequence[Seen], *, new: Seen, seeds: int) -> None:
    """Remember every id that is not forgotten, at the seed of its segment; the latest hour of one counts.

    Segments are those of hours, cut at SEGMENT_IDS; the oldest go where there are more than MOST_IDS.
    """
    ids, hours = (np.concatenate(parts) for parts in zip(*map(_remembered, seens), strict=True))
    order = np.lexsort((hours, ids))
    ids, hours = ids[order], hours[order]
    is_last = np.append(ids[1:] != ids[:-1], True)[: len(ids)]
    ids, hours = ids[is_last], hours[is_last]
    new.hour = max(seen.hour for seen in seens)
    pieces: list[tuple[int, Hashes]] = []
    for hour in np.unique(hours[hours >= new.hour - KEPT_HOURS]).tolist():
        some = ids[hours == hour]
        pieces += [(hour, some[start : start + SEGMENT_IDS]) for start in range(0, len(some), SEGMENT_IDS)]
    while sum(len(piece) for _, piece in pieces) > MOST_IDS:
        del pieces[0]
    for number, (hour, piece) in enumerate(pieces):
        new.table.put(piece, np.full(len(piece), seeds + number))
        new.segments.append(Segment(hour, seeds + number, len(piece)))


def _remembered(seen: Seen) -> tuple[Hashes, Ints]:
    """Return ids and the hour in which each arrived; without those of segments gone by."""
    ids, offsets = seen.table.entries()
    firsts = np.array([segment.first for segment in seen.segments], np.int64)
    hours = np.array([segment.hour for segment in seen.segments], np.int64)
    place = np.searchsorted(firsts, offsets, side="right") - 1
    return ids[place >= 0], hours[place[place >= 0]]


def _move(old: Partition, rows: Ints, *, new: Partition) -> None:
    """Append accounts of one state to another."""
    chunk = pack.packed(old, rows)
    first = new.accounts
    numbers = {row: first + place for place, row in enumerate(rows.tolist())}
    moved = msgspec.structs.replace(
        chunk,
        upto=new.position - 1,
        first=first,
        signals=_renumbered(chunk.signals, rows, first=first),
        users=_renumbered(chunk.users, rows, first=first) | _rekeyed(chunk.users, "hash", rows, first=first),
        marks=_renumbered(chunk.marks, rows, first=first) | _rekeyed(chunk.marks, "user", rows, first=first),
        sources=_renumbered(chunk.sources, rows, first=first),
        facts={numbers[row]: dict(fields) for row, fields in chunk.facts.items()},
        erased={numbers[row]: (*entry[:-1], new.position - 1) for row, entry in chunk.erased.items()},
        erased_users={numbers[row]: dict(users) for row, users in chunk.erased_users.items()},
    )
    unpack(moved, new)


def _renumbered(columns: dict[str, bytes], rows: Ints, *, first: int) -> dict[str, bytes]:
    accounts = np.frombuffer(columns["account"], np.int32)
    return columns | {"account": (first + np.searchsorted(rows, accounts)).astype(np.int32).tobytes()}


def _rekeyed(columns: dict[str, bytes], name: str, rows: Ints, *, first: int) -> dict[str, bytes]:
    """Return the column of users' hashes as it is for the new rows; 0 is nobody's in both."""
    hashes, was = np.frombuffer(columns[name], np.uint64), np.frombuffer(columns["account"], np.int32).astype(np.int64)
    now = rekeyed(hashes, was=was, now=first + np.searchsorted(rows, was))
    return {name: np.where(hashes == 0, np.uint64(0), now).tobytes()}
