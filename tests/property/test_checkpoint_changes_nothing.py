"""A checkpoint taken at any moments, and a replay from its base, lead to what one uninterrupted run leads to."""

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.scorer.core import chunks, pack
from services.scorer.core.partition import Partition
from services.scorer.core.restore import restore
from services.scorer.core.step import step
from shared.contracts.events import tick_record
from tests.support.histories import erased_lives, imported_lives, junk_logs, lives
from tests.support.log import SEED, Configurations, Log, batches, by_columns, outcome_of


@pytest.fixture(scope="module", autouse=True)
def _small_chunks() -> object:
    """Spread even small states over many chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "ACCOUNTS_A_CHUNK", 1)
        patch.setattr(pack, "IDS_A_CHUNK", 3)
        patch.setattr(chunks, "MOST_BYTES", 700)
        yield


@settings(
    max_examples=50,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(log=st.one_of(junk_logs(), lives(), imported_lives(), erased_lives()), seed=st.integers(0, 2**32))
def test_a_restart_from_a_checkpoint_changes_nothing(log: Log, seed: int) -> None:
    # batches:   |----|--base--|---chunk---|--chunk, chunk, marker--|---crash
    #                     '........... replayed .............................|------ then on
    rng = random.Random(seed)
    log = with_everybody_judged(log)
    cuts = sorted(rng.sample(range(len(log.records)), min(len(log.records), rng.randrange(1, 12))))
    whole = by_columns(log.records, log.contexts, cuts=cuts)
    records, crash = checkpoint(log, cuts, rng=rng)

    restored = restore(records, partition=0, partitions=1, seed=SEED)
    assert restored is not None
    again = batches(log.records, 0, cuts=rng.sample(range(len(log.records)), min(len(log.records), 5)))
    outcome = outcome_of(
        restored, [(batch, step(restored, batch, known_at=Configurations(log.contexts))) for batch in again]
    )

    assert outcome.counts == whole.counts
    assert set(outcome.removed) <= set(whole.removed)
    assert [one for one in outcome.removed if one[0] >= crash] == [one for one in whole.removed if one[0] >= crash]
    assert [fact for fact in outcome.facts if fact not in whole.facts] == []
    assert [fact for fact in outcome.facts if fact[0] >= crash] == [fact for fact in whole.facts if fact[0] >= crash]
    for name in ("healths", "scores", "transitions"):
        before, after = getattr(whole, name), getattr(outcome, name)
        assert [row for row in after if row not in before] == []
        assert [row for row in after if row.offset >= crash] == [row for row in before if row.offset >= crash]


def with_everybody_judged(drawn: Log) -> Log:
    """Return the log with two more ticks under different configurations, so that every account is judged at the end."""
    log, at = drawn.copy(), 7_200_000_000_000
    for n, context in enumerate((0, 3)):
        log.append(tick_record(at + n, context=context), ts=at + n)
    return log


def checkpoint(log: Log, cuts: list[int], *, rng: random.Random) -> tuple[list[bytes], int]:
    """Process some batches, and return the records of a cycle begun on the way and the offset reached at its end."""
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    records: list[bytes] = []
    todo = batches(log.records, 0, cuts=cuts)
    for _ in range(rng.randrange(len(cuts))):
        step(state, next(todo), known_at=Configurations(log.contexts))
    cycle = pack.begin(state)
    while (chunk := cycle.next(state)) is not None:
        records += chunk
        batch = next(todo, None) if rng.random() < 0.5 else None
        if batch is not None:
            step(state, batch, known_at=Configurations(log.contexts))
    return [*records, cycle.marker(first_record=0)], state.position
