"""Take a partition one batch further: fates, fold, and at ticks health and episodes. The heart of the scorer."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.scorer.core.activity import LOGIN, OUTCOME, TICKET, USAGE, Activity, Applied
from services.scorer.core.batch import Batch
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import DAY
from services.scorer.core.decode import Code, Decoded, Reason, decode
from services.scorer.core.facts import Facts, Told
from services.scorer.core.fates import TICK_LEAD, Dead, Fate, Moved, homes_of, sort_out
from services.scorer.core.features import MISSING, Flags, features_at
from services.scorer.core.publish import (
    Evaluation,
    HealthRow,
    Record,
    health_rows,
    to_publish,
)
from services.scorer.core.rules import Episodes, Step, judge
from services.scorer.core.scorecard import bands_of, health_of
from services.scorer.core.seen import Seen
from services.scorer.core.table import Hashes, Ints
from services.scorer.core.transitions import transitions

SLICE: Final = 2048
"""Accounts evaluated at once: keeps the working arrays of an evaluation to some tens of megabytes."""
_SIGNALS: Final = np.array([LOGIN, USAGE, OUTCOME, TICKET])


@dataclass(slots=True)
class Outputs:
    """What a batch leads to, in log order."""

    healths: list[HealthRow] = field(default_factory=list)
    scores: list[Record] = field(default_factory=list)
    transitions: list[Record] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)


class Partition:
    """The state of one partition: a function of its log before `position`."""

    def __init__(self, *, partition: int, partitions: int, seed: int) -> None:
        self.partition = partition
        self.partitions = partitions
        self.seed = seed
        self.position = 0
        self.clock: int | None = None
        self.bundle: CompiledBundle | None = None
        """The bundle of the last tick that had one."""
        self.next_due: int | None = None
        """No account is due before this moment (epoch ms)."""
        self.pending = False
        """Whether a record other than a tick came since the last tick."""
        self.counts: Counter[str] = Counter({fate.value: 0 for fate in Fate})
        self.activity = Activity()
        self.facts = Facts()
        self.episodes = Episodes()
        self.seen = Seen()

    @classmethod
    def empty(cls, *, partition: int, partitions: int, seed: int) -> "Partition":
        """Return the state before the first record."""
        return cls(partition=partition, partitions=partitions, seed=seed)

    @property
    def accounts(self) -> int:
        """How many accounts are known."""
        return self.activity.accounts.count


BundleAt = Callable[[int], CompiledBundle | None]
"""Return the bundle in force at an offset of `churn.context.v1`."""


def step(state: Partition, batch: Batch, *, bundle_at: BundleAt) -> Outputs:
    """Apply a batch to the state and return what it leads to. Records before `state.position` are passed over."""
    outputs = Outputs()
    first = int(np.searchsorted(batch.offsets, state.position))
    decoded = decode(batch.values(), seed=state.seed)
    hours = np.concatenate(
        [np.zeros(first, np.int64), state.seen.arrive(batch.offsets[first:], batch.timestamps[first:])]
    )
    ticks = np.flatnonzero(decoded.code == Code.TICK)
    for tick in [*ticks[ticks >= first].tolist(), len(batch)]:
        _fold(state, batch, decoded, rows=np.arange(first, tick), hours=hours, outputs=outputs)
        if tick < len(batch):
            _tick(state, batch, decoded, row=tick, bundle_at=bundle_at, outputs=outputs)
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
    state.counts[Fate.DEAD] += len(dead)
    state.counts[Fate.MOVED] += len(moved)
    repeats = state.seen.duplicates(
        decoded.id[rows[alive]], offsets=batch.offsets[rows[alive]], hours=hours[rows[alive]]
    )
    state.counts[Fate.DUPLICATE] += int(repeats.sum())
    applied = alive[~repeats]
    state.counts[Fate.APPLIED] += len(applied)
    new = applied[found[applied] < 0]
    found[new] = _new_accounts(state, [texts[where] for where in new.tolist()], hashes=hashes[new])
    fresh = applied[batch.offsets[rows[applied]] > state.activity.accounts["upto"][found[applied]]]
    _apply(state, decoded, rows=rows[fresh], accounts=found[fresh])


def _new_accounts(state: Partition, accounts: Sequence[str], *, hashes: Hashes) -> Ints:
    """Make rows for accounts not known before, in log order, and return the row of each event."""
    found, hashes = np.full(len(accounts), -1, np.int64), hashes.copy()
    while (missing := np.flatnonzero(found < 0)).size:
        _, first = np.unique(hashes[missing], return_index=True)
        new = np.sort(missing[first])
        state.activity.add_accounts([accounts[where] for where in new.tolist()], hashes=hashes[new])
        state.episodes.columns.add(len(new))
        found, hashes = state.activity.find(hashes, accounts=accounts)
    return found


def _apply(state: Partition, decoded: Decoded, *, rows: Ints, accounts: Ints) -> None:
    code = decoded.code[rows]
    signal = np.where(code <= Code.TICKET, _SIGNALS[np.minimum(code, Code.TICKET)], -1)
    key_features = state.bundle.scorecard.key_features if state.bundle else ()
    if key_features:
        signals = {name: state.activity.feature(name) for name in key_features}
        for where in np.flatnonzero(code == Code.USAGE).tolist():
            signal[where] = signals.get(decoded.envelopes[rows[where]].data.name, USAGE)
    state.activity.fold(
        Applied(account=accounts, at=decoded.at[rows], code=code, signal=signal, user=decoded.user[rows])
    )
    is_fact = np.flatnonzero(code == Code.FACT)
    facts = [
        Told(int(accounts[where]), int(decoded.at[row]), envelope.id, envelope.source, decoded.facts[row])
        for where, row in zip(is_fact, rows[is_fact].tolist(), strict=True)
        for envelope in (decoded.envelopes[row],)
    ]
    state.facts.apply(facts, activity=state.activity)


def _tick(state: Partition, batch: Batch, decoded: Decoded, *, row: int, bundle_at: BundleAt, outputs: Outputs) -> None:
    at, offset = int(decoded.at[row]), int(batch.offsets[row])
    if at > batch.timestamps[row] + TICK_LEAD:
        state.counts[Fate.DEAD] += 1
        outputs.dead.append(Dead(offset, Reason.TICK_AHEAD, "the tick is more than 5 s ahead of its arrival", row))
        return
    state.counts[Fate.TICK] += 1
    state.pending = False
    if state.clock is not None and at <= state.clock:
        return
    state.clock = at
    bundle = bundle_at(decoded.contexts[row])
    if bundle is not None:
        _evaluate(state, at=at, offset=offset, bundle=bundle, outputs=outputs)


def _evaluate(state: Partition, *, at: int, offset: int, bundle: CompiledBundle, outputs: Outputs) -> None:
    columns, count = state.activity.accounts, state.accounts
    is_new = state.bundle is None or state.bundle.version != bundle.version
    before = state.episodes
    if is_new:
        ahead = columns["upto"][:count] >= offset
        state.episodes = before.under(bundle.rule_names, ahead=ahead)
        state.bundle = bundle
    due = columns["touched"][:count].copy()
    if state.next_due is None or state.next_due <= at:
        due |= columns["due"][:count] <= at
    if is_new:
        due[:] = True
    due &= columns["upto"][:count] < offset
    rows = np.flatnonzero(due)
    for start in range(0, len(rows), SLICE):
        some = rows[start : start + SLICE]
        evaluation, steps = _judge(state, at=at, offset=offset, rows=some, bundle=bundle)
        healths = health_rows(evaluation)
        outputs.healths += healths
        outputs.scores += [
            Record(healths[where].account.encode(), healths[where].payload, at)
            for where in np.flatnonzero(to_publish(evaluation)).tolist()
        ]
        outputs.transitions += transitions(steps, evaluation=evaluation, before=before, standing=is_new)
    state.next_due = int(columns["due"][:count].min()) if count else None


def _judge(
    state: Partition, *, at: int, offset: int, rows: Ints, bundle: CompiledBundle
) -> tuple[Evaluation, list[Step]]:
    columns = state.activity.accounts
    columns["evaluated_at"][rows], columns["evaluated_offset"][rows] = at, offset
    evaluation = _evaluation(state, rows=rows, bundle=bundle)
    features = evaluation.features
    steps = judge(features, at=at, episodes=state.episodes, activity=state.activity, bundle=bundle)
    columns["band"][rows] = evaluation.bands
    columns["touched"][rows] = False
    tomorrow = (features.day + 1) * DAY + columns["roll"][rows]
    waits: Flags = (features.deadline != MISSING) & (features.deadline > at)
    columns["due"][rows] = np.where(waits, np.minimum(tomorrow, features.deadline), tomorrow)
    return evaluation, steps


def _evaluation(state: Partition, *, rows: Ints, bundle: CompiledBundle) -> Evaluation:
    activity, columns = state.activity, state.activity.accounts
    at = columns["evaluated_at"][rows]
    features = features_at(at, rows=rows, activity=activity, bundle=bundle)
    health = health_of(features, bundle=bundle)
    return Evaluation(
        at=at,
        offset=columns["evaluated_offset"][rows],
        partition=state.partition,
        features=features,
        health=health,
        bands=bands_of(health.health, before=columns["band"][rows], bundle=bundle),
        activity=activity,
        facts=state.facts,
        episodes=state.episodes,
        bundle=bundle,
    )
