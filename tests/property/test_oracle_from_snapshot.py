"""The oracle begun at a snapshot says of everything after it what the oracle from the first record says."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab import oracle
from lab.oracle_snapshot import begin_at, standing_of
from services.scorer.core import chunks, pack
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from shared.contracts.context import Guard, GuardState
from shared.contracts.events import source_of
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition
from tests.property.test_checkpoint_changes_nothing import checkpoint
from tests.support.histories import bundles, erased_lives, imported_lives, junk_logs, lives
from tests.support.log import HOUR, SEED, START, Configurations, Log, batches

Row = TypeVar("Row", AccountHealth, Transition)
LOGS = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module", autouse=True)
def _small_chunks() -> object:
    """Spread even small states over many chunks, each under its own `upto`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "ACCOUNTS_A_CHUNK", 1)
        patch.setattr(pack, "IDS_A_CHUNK", 3)
        patch.setattr(chunks, "MOST_BYTES", 700)
        yield


@settings(LOGS, max_examples=100)
@given(log=st.one_of(junk_logs(), lives(), imported_lives(), erased_lives()), seed=st.integers(0, 2**32))
def test_what_follows_a_snapshot_is_what_a_run_from_the_start_says(log: Log, seed: int) -> None:
    # batches:   |----|--base--|---chunk---|--chunk, chunk, marker--|---
    # compared:               '- fates -----------------------------------
    #                                      '- healths of one account .. '- and of another
    whole, after, contents = both(log, random.Random(seed))
    standing, base = standing_of(contents), contents.marker.base
    assert after.fates == whole.fates[len(whole.fates) - len(after.fates) :]
    assert rest(scored(whole), standing, base) == rest(scored(after), {}, base)
    assert rest(whole.scores, standing, base) == rest(after.scores, {}, base)
    assert rest(whole.transitions, standing, base) == rest(after.transitions, {}, base)


def both(log: Log, rng: random.Random) -> tuple[oracle.Result, oracle.Result, chunks.Contents]:
    """Return what the oracle says from the first record on, and from a snapshot taken on the way."""
    cuts = sorted(rng.sample(range(len(log.records)), min(len(log.records), rng.randrange(1, 12))))
    contents = chunks.contents_of(checkpoint(log, cuts, rng=rng)[0])
    assert contents is not None
    later = [record for record in log.records if record.offset >= contents.marker.base]
    begin = begin_at(contents, seed=SEED)
    return (
        oracle.run(log.records, partition=0, partitions=1, contexts=log.contexts),
        oracle.run(later, partition=0, partitions=1, contexts=log.contexts, begin=begin),
        contents,
    )


def scored(result: oracle.Result) -> Sequence[AccountHealth]:
    return [health for evaluation in result.evaluations for health in evaluation.healths.values()]


def rest(rows: Sequence[Row], standing: Mapping[str, int], base: int) -> Sequence[Row]:
    """Return what comes after the snapshot, in an order that doesn't depend on that of the accounts."""
    kept = [row for row in rows if row.offset > standing.get(row.account, base - 1)]
    return sorted(kept, key=lambda row: (row.offset, row.account))


def test_the_snapshots_drawn_hold_what_they_are_for() -> None:
    """Snapshots without open episodes, users who come again, or chunks ahead of their base would prove little."""
    seen: Counter[str] = Counter()

    @settings(LOGS, max_examples=80, database=None, derandomize=True)
    @given(log=st.one_of(lives(), imported_lives(), junk_logs()), seed=st.integers(0, 2**32))
    def look(log: Log, seed: int) -> None:
        whole, after, contents = both(log, random.Random(seed))
        base = contents.marker.base
        standing = standing_of(contents)
        ended = {step.episode for step in after.transitions if step.opened_at < (contents.marker.clock or 0)}
        seen["episodes open then that changed later"] += len(ended)
        seen["accounts ahead of the base"] += sum(upto >= base for upto in standing.values())
        seen["duplicates of ids from before"] += after.counts["duplicate"] > 0
        seen["users"] += sum(bool(chunk.users["hash"]) for chunk in contents.chunks)
        seen["imports"] += bool(contents.marker.imports)
        seen["later healths"] += len(after.healths) > 0
        assert len(whole.fates) >= len(after.fates)

    look()
    assert all(seen[name] > 0 for name in seen), seen
    assert len(seen) == 6


def assert_same_after(log: Log, *, base: int) -> oracle.Result:
    """Compare both runs of a log whose snapshot is taken before the row `base`, and return the whole one."""
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    known_at = Configurations(log.contexts)
    for batch in batches(log.records[:base], 0):
        step(state, batch, known_at=known_at)
    cycle, records = pack.begin(state), list[bytes]()
    while (chunk := cycle.next(state)) is not None:
        records += chunk
    contents = chunks.contents_of([*records, cycle.marker(first_record=0)])
    assert contents is not None
    whole = oracle.run(log.records, partition=0, partitions=1, contexts=log.contexts)
    begin = begin_at(contents, seed=SEED)
    after = oracle.run(log.records[base:], partition=0, partitions=1, contexts=log.contexts, begin=begin)
    assert after.fates == whole.fates[base:]
    assert rest(scored(whole), {}, base) == rest(scored(after), {}, base)
    return whole


def test_an_id_is_forgotten_after_its_own_hours_also_behind_a_snapshot() -> None:
    # hour:    0    10     20      24       25          34        35
    #          a     b   snapshot  a again  a (applied) b again   b (applied)
    log = Log()
    log.contexts.update(bundles())
    log.event("acme", "login", at=START, id="a")
    log.event("acme", "login", at=START + 10 * HOUR, id="b")
    log.tick(START + 20 * HOUR)
    for hour, name in ((24, "a"), (25, "a"), (34, "b"), (35, "b")):
        log.event("acme", "login", at=START + hour * HOUR, id=name)
    log.tick(START + 36 * HOUR)
    whole = assert_same_after(log, base=3)
    assert whole.fates[3:] == ["duplicate", "applied", "duplicate", "applied", "tick"]


def test_a_source_let_go_after_a_snapshot_brings_its_accounts_before_the_court() -> None:
    held = Guard(source=source_of("app"), partitions=[0], state=GuardState.HELD, at=START + HOUR)
    over = Guard(source=source_of("app"), partitions=[0], state=GuardState.OVER, at=START + 2 * HOUR)
    log = Log()
    log.contexts = {0: bundles()[0], 1: held, 2: over}
    log.event("acme", "login", at=START)
    log.tick(START + HOUR, context=1)
    log.tick(START + 2 * HOUR, context=2)
    whole = assert_same_after(log, base=2)
    assert [list(evaluation.healths) for evaluation in whole.evaluations] == [["acme"], ["acme"]]


def test_a_person_erased_before_a_snapshot_stays_forgotten_behind_it() -> None:
    # login of ann | erased | snapshot | what ann did before comes again under a new id | tick
    log = Log()
    log.contexts.update(bundles())
    log.event("acme", "login", at=START, data={"user": "ann"})
    log.event("acme", "login", at=START, data={"user": "bob"})
    log.event("acme", "erasure", at=START + HOUR, ts=START + HOUR, data={"user": "ann"})
    log.event("acme", "login", at=START + HOUR // 2, ts=START + 2 * HOUR, data={"user": "ann"})
    log.tick(START + 72 * HOUR, context=3)
    whole = assert_same_after(log, base=3)
    assert whole.fates[3] == "applied"
    assert [c.value for c in whole.healths["acme"].contributions if c.measure == "users_28"] == [1]
