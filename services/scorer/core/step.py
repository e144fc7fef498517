"""Take a partition one batch further: fates, fold, and at ticks health and episodes. The heart of the scorer."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.scorer.core.apply import apply
from services.scorer.core.batch import Batch
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import DAY
from services.scorer.core.decode import Code, Decoded, Reason, decode
from services.scorer.core.erasure import NEVER
from services.scorer.core.expected import Used, used_in
from services.scorer.core.fates import FATES, TICK_LEAD, Dead, Fate, Moved, homes_of, sort_out
from services.scorer.core.features import Features
from services.scorer.core.imports import NO_JOB
from services.scorer.core.known import Known, KnownAt
from services.scorer.core.lasting import Fact, facts_of
from services.scorer.core.partition import Partition
from services.scorer.core.publish import (
    Evaluation,
    HealthRow,
    Record,
    health_rows,
    removal,
    to_publish,
)
from services.scorer.core.quiet import PROMPT_MS
from services.scorer.core.rules import Court, Step, judge
from services.scorer.core.scorecard import bands_of, health_of
from services.scorer.core.table import Flags, Hashes, Ints
from services.scorer.core.transitions import expiries, transitions
from services.scorer.core.view import MISSING
from shared.contracts.context import LONGEST_HOLD, GuardState, source_in

SLICE: Final = 4096
"""Accounts evaluated at once: keeps the working arrays of an evaluation to some tens of megabytes."""
_CODE_OF: Final = {fate: code for code, fate in enumerate(FATES)}


class Arrival(NamedTuple):
    """Live presence that came through a source: how many events were applied, and the last one's broker timestamp.

    `used` says which accounts used which names: of all accounts, or of a fair sample of many. `prompt` is how many of
    the events came within ten minutes.
    """

    events: int
    last: int
    used: frozenset[Used] = frozenset()
    prompt: int = 0


class Judged(NamedTuple):
    """A tick at which accounts were judged: its T (epoch ms) and its offset."""

    at: int
    offset: int


@dataclass(slots=True)
class Outputs:
    """What a batch leads to, in log order; `fates` are codes of FATES for the rows from `first` on.

    `judged` is the last tick of the batch that judged; episodes are now as they were after it.
    """

    first: int = 0
    fates: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    arrived: dict[str, Arrival] = field(default_factory=dict)
    healths: list[HealthRow] = field(default_factory=list)
    scores: list[Record] = field(default_factory=list)
    transitions: list[Record] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    judged: Judged | None = None
    facts: list[Fact] = field(default_factory=list)


def step(state: Partition, batch: Batch, *, known_at: KnownAt) -> Outputs:
    """Apply a batch to the state and return what it leads to. Records before `state.position` are passed over."""
    slices = step_in_slices(state, batch, known_at=known_at)
    while True:
        try:
            next(slices)
        except StopIteration as done:
            outputs: Outputs = done.value
            return outputs


def step_in_slices(state: Partition, batch: Batch, *, known_at: KnownAt) -> Generator[None, None, Outputs]:
    """Do the same with a pause after every SLICE accounts judged, some tens of milliseconds.

    In a pause the state is no state: nobody may keep it, nor read what evaluation writes.
    """
    first = int(np.searchsorted(batch.offsets, state.position))
    outputs = Outputs(first=first, fates=np.zeros(len(batch) - first, np.int8))
    decoded = decode(batch.values(), seed=state.seed, quarantined=batch.quarantined)
    hours = np.concatenate([np.zeros(first, np.int64), state.seen.arrive(batch.timestamps[first:])])
    ticks = np.flatnonzero(decoded.code == Code.TICK)
    for tick in [*ticks[ticks >= first].tolist(), len(batch)]:
        _fold(state, batch, decoded, rows=np.arange(first, tick), hours=hours, outputs=outputs)
        if tick < len(batch):
            yield from _tick(state, batch, decoded, row=tick, known_at=known_at, outputs=outputs)
        first = tick + 1
    if len(batch):
        state.position = max(state.position, int(batch.offsets[-1]) + 1)
    return outputs


def last_healths(state: Partition) -> Iterator[list[HealthRow]]:
    """Yield every account's health as last published, some thousands at a time, byte for byte.

    Accounts touched since their last tick are left out, for their next one publishes them, and so are accounts
    restored from a later moment than the one being replayed. The state may move on between two yields; what is yielded
    then is what was published meanwhile.
    """
    for start in range(0, state.accounts, SLICE):
        rows = np.arange(start, min(start + SLICE, state.accounts))
        columns = state.activity.accounts
        is_current = ~columns["touched"][rows] & (columns["upto"][rows] < state.position)
        rows = rows[is_current & (columns["evaluated_offset"][rows] >= 0)]
        if state.bundle is not None and rows.size:
            yield health_rows(_evaluation(state, rows=rows, bundle=state.bundle))
    yield _removals(state)


def _removals(state: Partition) -> list[HealthRow]:
    """Return what keeps accounts that are gone out of Redis, as last published."""
    return [
        removal(state.activity.names.text(row).decode(), at=erased.tick, offset=erased.offset)
        for row, erased in state.erasures.accounts.items()
        if erased.gone
        and not erased.pending
        and erased.tick != NEVER
        and state.activity.accounts["upto"][row] < state.position
    ]


def _fold(state: Partition, batch: Batch, decoded: Decoded, *, rows: Ints, hours: Ints, outputs: Outputs) -> None:
    if not rows.size:
        return
    state.pending = True
    texts = [decoded.envelopes[row].subject for row in rows.tolist()]
    found, hashes = state.activity.find(decoded.account[rows], accounts=texts)
    unknown = np.flatnonzero((found < 0) & (decoded.code[rows] != Code.DEAD)).tolist()
    homes = homes_of(texts, unknown=unknown, partition=state.partition, partitions=state.partitions)
    alive, dead, moved = sort_out(batch, decoded, rows=rows, homes=homes, clock=state.clock)
    outputs.dead += dead
    outputs.moved += moved
    repeats, jobs = _repeats(state, batch, decoded, rows=rows[alive], hours=hours)
    _note(state, outputs, Fate.DEAD, rows=[row for *_, row in dead])
    _note(state, outputs, Fate.MOVED, rows=[row for _, row in moved])
    _note(state, outputs, Fate.DUPLICATE, rows=rows[alive[repeats]])
    applied, jobs = alive[~repeats], jobs[~repeats]
    _note(state, outputs, Fate.APPLIED, rows=rows[applied])
    new = applied[found[applied] < 0]
    found[new] = _new_accounts(state, [texts[where] for where in new.tolist()], hashes=hashes[new])
    is_fresh = batch.offsets[rows[applied]] > state.activity.accounts["upto"][found[applied]]
    fresh = applied[is_fresh]
    lasting = apply(state, decoded, rows=rows[fresh], accounts=found[fresh], jobs=jobs[is_fresh])
    outputs.facts += facts_of(batch, decoded, rows=lasting)
    _arrive(state, batch, decoded, rows=rows[applied[jobs == NO_JOB]], outputs=outputs)


def _repeats(
    state: Partition, batch: Batch, decoded: Decoded, *, rows: Ints, hours: Ints
) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Say which rows repeat one applied before, by id or by job and row, and return the job of each (NO_JOB: live)."""
    repeats, jobs = np.zeros(len(rows), bool), np.full(len(rows), NO_JOB)
    imported = decoded.imported[rows]
    live = np.flatnonzero(~imported)
    ids, offsets = decoded.id[rows[live]], batch.offsets[rows[live]]
    repeats[live] = state.seen.duplicates(ids, offsets=offsets, hours=hours[rows[live]])
    where = np.flatnonzero(imported)
    if where.size:
        envelopes = [decoded.envelopes[row] for row in rows[where].tolist()]
        jobs[where], repeats[where] = state.imports.take(
            [envelope.importjob or "" for envelope in envelopes],
            rows=np.array([envelope.importrow for envelope in envelopes], np.int64),
            timestamps=batch.timestamps[rows[where]],
        )
    return repeats, jobs


def _note(state: Partition, outputs: Outputs, fate: Fate, *, rows: Ints | Sequence[int]) -> None:
    state.counts[fate] += len(rows)
    outputs.fates[np.asarray(rows, np.int64) - outputs.first] = _CODE_OF[fate]


def _arrive(state: Partition, batch: Batch, decoded: Decoded, *, rows: Ints, outputs: Outputs) -> None:
    present = rows[decoded.code[rows] <= Code.OUTCOME]
    sources = Counter(decoded.envelopes[row].source for row in present.tolist())
    late = present[batch.timestamps[present] - decoded.at[present] > PROMPT_MS]
    lates = Counter(decoded.envelopes[row].source for row in late.tolist())
    used = used_in(decoded, rows=present, accounts=state.accounts)
    for source, count in sources.items():
        before = outputs.arrived.get(source, Arrival(0, 0))
        # records of one partition arrive in order: the batch's last stands for each of its sources
        last = max(before.last, int(batch.timestamps[present].max()))
        outputs.arrived[source] = Arrival(
            before.events + count,
            last,
            before.used.union(used.get(source, ())),
            prompt=before.prompt + count - lates[source],
        )


def _new_accounts(state: Partition, accounts: Sequence[str], *, hashes: Hashes) -> Ints:
    """Make rows for accounts not known before, in log order, and return the row of each event."""
    found, hashes = np.full(len(accounts), -1, np.int64), hashes.copy()
    while (missing := np.flatnonzero(found < 0)).size:
        _, first = np.unique(hashes[missing], return_index=True)
        new = np.sort(missing[first])
        state.activity.add_accounts([accounts[where] for where in new.tolist()], hashes=hashes[new])
        state.episodes.add(len(new))
        found, hashes = state.activity.find(hashes, accounts=accounts)
    return found


def _tick(
    state: Partition, batch: Batch, decoded: Decoded, *, row: int, known_at: KnownAt, outputs: Outputs
) -> Iterator[None]:
    at, offset = int(decoded.at[row]), int(batch.offsets[row])
    if at > batch.timestamps[row] + TICK_LEAD:
        _note(state, outputs, Fate.DEAD, rows=[row])
        outputs.dead.append(Dead(offset, Reason.TICK_AHEAD, "the tick is more than 5 s ahead of its arrival", row))
        return
    _note(state, outputs, Fate.TICK, rows=[row])
    state.pending = False
    if state.clock is not None and at <= state.clock:
        return
    state.clock = at
    known = known_at(decoded.contexts[row], state.partition)
    if known.bundle is not None:
        yield from _evaluate(state, at=at, offset=offset, bundle=known.bundle, known=known, outputs=outputs)
        outputs.judged = Judged(at, offset)


def _evaluate(
    state: Partition, *, at: int, offset: int, bundle: CompiledBundle, known: Known, outputs: Outputs
) -> Iterator[None]:
    columns, count = state.activity.accounts, state.accounts
    state.medians.begin(at // DAY, known.summaries)
    is_new = state.bundle is None or state.bundle.version != bundle.version
    erased = _end_erased(state, at=at, offset=offset, bundle=bundle, outputs=outputs)
    before = state.episodes
    if is_new:
        ahead = columns["upto"][:count] >= offset
        state.episodes = before.under(bundle.rule_names, ahead=ahead)
        state.bundle = bundle
    due = columns["touched"][:count].copy()
    if state.next_due is None or state.next_due <= at:
        due |= columns["due"][:count] <= at
    importing, imported = _importing(state, known, at=at)
    held, missed = _guard(state, known, at=at, due=due)
    due = (due | imported) & ~importing
    if is_new:
        due[:] = True
    due[state.erasures.gone()] = False
    due &= columns["upto"][:count] < offset
    # who is judged right now has a health again; whose import still runs has none
    names = (state.activity.names.text(row).decode() for row in erased if not due[row])
    outputs.healths += [removal(name, at=at, offset=offset) for name in names]
    rows = np.flatnonzero(due)
    for start in range(0, len(rows), SLICE):
        if start:
            yield
        some = rows[start : start + SLICE]
        standing = imported[some] | is_new
        evaluation, steps = _judge(
            state, at=at, offset=offset, rows=some, bundle=bundle, held=held[some], standing=standing
        )
        healths = health_rows(evaluation)
        outputs.healths += healths
        outputs.scores += [
            Record(healths[where].account.encode(), healths[where].payload, at)
            for where in np.flatnonzero(to_publish(evaluation)).tolist()
        ]
        outputs.transitions += transitions(steps, evaluation=evaluation, before=before, missed=missed[some])
    columns["job"][rows[imported[rows]]] = NO_JOB
    state.next_due = int(columns["due"][:count].min()) if count else None


def _end_erased(state: Partition, *, at: int, offset: int, bundle: CompiledBundle, outputs: Outputs) -> Sequence[int]:
    """End the episodes of accounts erased since the last tick, and return their rows."""
    rows = [row for row in state.erasures.pending() if state.activity.accounts["upto"][row] < offset]
    for row in rows:
        state.erasures.removed(row, at=at, offset=offset)
        account = state.activity.names.text(row)
        outputs.transitions += expiries(
            account, state.episodes.end(row), at=at, place=(state.partition, offset), bundle=bundle
        )
    return rows


def _importing(state: Partition, known: Known, *, at: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Say of every account whether its import runs, and whether it is over just now."""
    jobs = state.activity.accounts["job"][: state.accounts]
    if not state.imports.names or not (has_job := jobs != NO_JOB).any():
        state.running = ()
        return np.zeros(len(jobs), bool), np.zeros(len(jobs), bool)
    runs = state.imports.running(known.imports, at=at)
    entries = state.imports.entries()
    state.running = tuple((entries[number][0], entries[number][2]) for number in np.flatnonzero(runs).tolist())
    given_up = np.flatnonzero(state.imports.said_running(known.imports) & ~runs)
    state.lapsed += int(np.isin(given_up, jobs).sum())
    importing = has_job & runs[jobs]
    return importing, has_job & ~importing


def _guard(state: Partition, known: Known, *, at: int, due: Flags) -> tuple[Flags, Ints]:
    """Say of every account whether a guarded source feeds it; those whose guard is over now become due.

    With it comes since when (epoch ms) a source that feeds the account is missed though its hold is over, 0: none is.
    """
    before, activity = state.guards, state.activity
    since = {key: guard.at for key, guard in known.guards.items() if guard.state is GuardState.HELD}
    state.guards = frozenset(key for key, began in since.items() if at < began + LONGEST_HOLD)
    for key in before - state.guards:
        due |= activity.fed_by(source_in(key))
    held, missed = np.zeros(state.accounts, bool), np.zeros(state.accounts, np.int64)
    for key in state.guards:
        held |= activity.fed_by(source_in(key))
    for key in sorted(since.keys() - state.guards, key=lambda key: -since[key]):
        missed[activity.fed_by(source_in(key))] = since[key]
    return held, missed


def _judge(  # noqa: PLR0913  a tick, its accounts, and two facts of each
    state: Partition, *, at: int, offset: int, rows: Ints, bundle: CompiledBundle, held: Flags, standing: Flags
) -> tuple[Evaluation, list[Step]]:
    columns = state.activity.accounts
    columns["evaluated_at"][rows], columns["evaluated_offset"][rows] = at, offset
    evaluation = _evaluation(state, rows=rows, bundle=bundle)
    features = evaluation.features
    court = Court(episodes=state.episodes, activity=state.activity, bundle=bundle, held=held, standing=standing)
    steps = judge(features, at=at, court=court)
    columns["band"][rows] = evaluation.bands
    columns["touched"][rows] = False
    tomorrow = (features.day + 1) * DAY + columns["roll"][rows]
    waits: Flags = (features.deadline != MISSING) & (features.deadline > at)
    columns["due"][rows] = np.where(waits, np.minimum(tomorrow, features.deadline), tomorrow)
    return evaluation, steps


def _evaluation(state: Partition, *, rows: Ints, bundle: CompiledBundle) -> Evaluation:
    activity, columns = state.activity, state.activity.accounts
    at = columns["evaluated_at"][rows]
    features = Features(at, rows=rows, activity=activity, bundle=bundle, medians=state.medians)
    health = health_of(features, bundle=bundle)
    bands = bands_of(health.health, before=columns["band"][rows], bundle=bundle)
    features.judged = {"health": health.health, "band": np.where(bands > 0, bands.astype(np.int64), MISSING)}
    return Evaluation(
        at=at,
        offset=columns["evaluated_offset"][rows],
        partition=state.partition,
        generation=state.generation,
        features=features,
        health=health,
        bands=bands,
        activity=activity,
        facts=state.facts,
        episodes=state.episodes,
        erasures=state.erasures,
        bundle=bundle,
    )
