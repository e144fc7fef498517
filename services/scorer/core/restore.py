"""Restore a partition's state from the chunks of one complete cycle."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec
import numpy as np

from services.scorer.core.activity import Activity, pairs_of
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.chunks import REMEDY, CheckpointError, Chunk, Contents, Marker, UnfitError, contents_of
from services.scorer.core.compile import compile_bundle
from services.scorer.core.episodes import Episodes
from services.scorer.core.imports import NO_JOB
from services.scorer.core.medians import Medians
from services.scorer.core.partition import Partition
from services.scorer.core.seen import Segment
from services.scorer.core.signals import FIRST_NAMED
from services.scorer.core.table import Columns, HashTable, Ints
from shared.contracts.topology import remedy


def restore(records: Iterable[bytes], *, partition: int, partitions: int, seed: int) -> Partition | None:
    """Restore the state of the complete cycle with the highest base among `records`, in log order; None without one.

    Raises CheckpointError when a record is damaged, a chunk is missing, or the cycle is of another topology.
    """
    found = contents_of(records)
    if found is None:
        return None
    marker = found.marker
    if (marker.partition, marker.partitions) != (partition, partitions):
        raise UnfitError(
            f"the checkpoint is of partition {marker.partition} of {marker.partitions}, not {partition} of"
            f" {partitions}: the number of partitions must not be changed in place; {remedy(partitions)}"
        )
    return restored(found, seed=seed)


def restored(found: Contents, *, seed: int) -> Partition:
    """Return the state that a complete cycle holds."""
    marker, chunks = found.marker, found.chunks
    state = Partition.empty(
        partition=marker.partition, partitions=marker.partitions, seed=seed, generation=marker.generation
    )
    state.position, state.clock, state.pending = marker.base, marker.clock, marker.pending
    state.counts.update(marker.counts)
    state.imports.restore(marker.imports)
    state.guards = frozenset(marker.guards)
    state.medians = Medians(marker.medians)
    if marker.bundle is not None:
        state.bundle = _bundle(marker)
    for name in marker.features:
        state.activity.signal(name)
    rules = list(dict.fromkeys([*marker.rules, *(rule for chunk in chunks for rule in chunk.rules)]))
    state.episodes = Episodes(rules)
    for ids in found.ids:
        state.seen.table.put(np.frombuffer(ids.keys, np.uint64), np.frombuffer(ids.offsets, np.int64))
    state.seen.hour = max([marker.hour, *(hour for hour, _ in marker.hours)])
    state.seen.segments = list(marker.segments) or _segments(marker, state.seen.table)
    for chunk in sorted(chunks, key=lambda chunk: chunk.first):
        unpack(chunk, state)
    count = state.accounts
    state.next_due = int(state.activity.accounts["due"][:count].min()) if count else None
    return state


def unpack(chunk: Chunk, state: Partition) -> None:
    """Append the accounts of a chunk, whose rows must be the next ones of the state."""
    activity, accounts = state.activity, state.activity.accounts
    if chunk.first != accounts.count:
        raise CheckpointError(f"accounts from {accounts.count} are missing: {REMEDY}")
    rows = accounts.add(len(chunk.names))
    state.episodes.add(len(rows))
    activity.names.append(chunk.names)
    _fill(accounts, chunk.accounts, rows)
    accounts["upto"][rows] = chunk.upto
    activity.account_rows.put(accounts["hash"][rows], rows)
    # numbers are of the state that was packed; −1 (no job) stays what it is, as the last of the list
    accounts["job"][rows] = np.array([*(state.imports.number(job) for job in chunk.jobs), NO_JOB])[
        accounts["job"][rows]
    ]
    _unpack_signals(chunk, activity)
    users = _unpack_users(chunk, activity)
    if chunk.uses:
        _unpack_uses(chunk, activity, users=users)
    if chunk.sources:
        _unpack_sources(chunk, activity)
    if chunk.marks:
        _unpack_marks(chunk, activity)
    _unpack_episodes(chunk, state, rows)
    state.erasures.restore(chunk.erased, chunk.erased_users)
    for row, fields in chunk.facts.items():
        state.facts.fields[row] = fields
        state.facts.mirror(row, activity=activity)


def _unpack_signals(chunk: Chunk, activity: Activity) -> None:
    signals = activity.signals
    rows = signals.add(len(chunk.signals["account"]) // signals["account"].itemsize)
    _fill(signals, chunk.signals, rows)
    signals["signal"][rows] = _numbers(chunk, activity)[signals["signal"][rows]]
    account, signal = signals["account"][rows].astype(np.int64), signals["signal"][rows].astype(np.int64)
    activity.link(signals, head="first_signal", rows=rows, accounts=account)
    activity.signal_rows.put(pairs_of(account, signals=signal), rows)


def _numbers(chunk: Chunk, activity: Activity) -> Ints:
    """Return the number here of every signal of a chunk."""
    return np.array([*range(FIRST_NAMED), *(activity.signal(name) for name in chunk.features)], np.int64)


def _unpack_users(chunk: Chunk, activity: Activity) -> Ints:
    users = activity.users
    rows = users.add(len(chunk.users["account"]) // users["account"].itemsize)
    _fill(users, chunk.users, rows)
    if "days" not in chunk.users:  # of a version that kept the latest day alone
        users["days"][rows] = 1
    activity.link(users, head="first_user", rows=rows, accounts=users["account"][rows].astype(np.int64))
    activity.user_rows.put(users["hash"][rows], rows)
    return rows


def _unpack_uses(chunk: Chunk, activity: Activity, *, users: Ints) -> None:
    uses = activity.uses
    rows = uses.add(len(chunk.uses["user"]) // uses["user"].itemsize)
    _fill(uses, chunk.uses, rows)
    whose, signals = users[uses["user"][rows]], _numbers(chunk, activity)[uses["signal"][rows]]
    activity.add_uses(rows, users=whose, signals=signals)


def _unpack_sources(chunk: Chunk, activity: Activity) -> None:
    sources = activity.sources
    rows = sources.add(len(chunk.sources["account"]) // sources["account"].itemsize)
    _fill(sources, chunk.sources, rows)
    numbers = np.array([activity.source(name) for name in chunk.source_names], np.int64)
    sources["source"][rows] = numbers[sources["source"][rows]]
    account, source = sources["account"][rows].astype(np.int64), sources["source"][rows].astype(np.int64)
    activity.link(sources, head="first_source", rows=rows, accounts=account)
    activity.source_rows.put(pairs_of(account, signals=source), rows)


def _unpack_marks(chunk: Chunk, activity: Activity) -> None:
    marks = activity.marks
    rows = marks.add(len(chunk.marks["account"]) // marks["account"].itemsize)
    _fill(marks, chunk.marks, rows)
    numbers = np.array([activity.mark_names.number(name) for name in chunk.mark_names], np.int64)
    account, user = marks["account"][rows].astype(np.int64), marks["user"][rows]
    activity.add_marks(rows, accounts=account, events=numbers[marks["event"][rows]], users=user)


def _unpack_episodes(chunk: Chunk, state: Partition, rows: Ints) -> None:
    episodes = state.episodes
    known = episodes.of(rows)
    for name, values in known.items():
        if name in chunk.episodes:
            held = np.frombuffer(chunk.episodes[name], values.dtype).reshape(len(rows), -1)
            for k, rule in enumerate(chunk.rules):
                values[episodes.rules.index(rule)] = held[:, k]
    episodes.keep(rows, known)


def _fill(columns: Columns, held: Mapping[str, bytes], rows: Ints) -> None:
    for name, (dtype, width, _) in columns.spec.items():
        if name in held:
            values = np.frombuffer(held[name], dtype)
            columns[name][rows] = values if width is None else values.reshape(len(rows), width)


def _segments(marker: Marker, table: HashTable) -> list[Segment]:
    """Return the segments that the checkpoint of a version without any amounts to."""
    _, offsets = table.entries()
    bounds = [*(offset for _, offset in marker.hours), marker.base]
    counts = [int(((offsets >= start) & (offsets < end)).sum()) for start, end in pairwise(bounds)]
    return [Segment(hour, offset, ids) for (hour, offset), ids in zip(marker.hours, counts, strict=True)]


def _bundle(marker: Marker) -> CompiledBundle:
    return compile_bundle(marker.bundle_version or "", msgspec.json.decode(marker.bundle or b"{}"))
