"""Cutting the log anew at any moment leads every account to what one uninterrupted run leads it to."""

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from services.scorer.core import pack
from services.scorer.core.partition import Partition
from services.scorer.core.regroup import SEEDS
from services.scorer.core.restore import restore
from services.scorer.core.step import last_healths
from shared.contracts.health import AccountHealth
from shared.contracts.partition import partition_of
from tests.support.generations import SEEDS_AT, follow, generation, moved, rest
from tests.support.histories import erased_lives, imported_lives, lives
from tests.support.log import SEED, Log, by_oracle, outcome_of


@pytest.fixture(scope="module", autouse=True)
def _small_chunks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "ACCOUNTS_A_CHUNK", 2)
        yield


@settings(
    max_examples=35,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    log=st.one_of(lives(), imported_lives(), erased_lives()),
    at=st.floats(0, 1),
    old=st.integers(1, 6),
    new=st.integers(1, 6),
)
def test_a_new_generation_goes_on_as_if_nothing_had_happened(log: Log, at: float, old: int, new: int) -> None:
    # old log: |------- records before the cut, in `old` partitions -------|
    # new log:                                              | seeds |------ the rest, in `new` partitions ------|
    cut = int(at * len(log.records))
    olds, before = generation(log, upto=cut, partitions=old)
    assume(not any(state.running for state in olds))  # a move is refused while an import has not ended (§12)
    states = moved(olds, new=new)
    after = [(state, follow(state, rest(log, cut, state), log.contexts)) for state in states]

    whole = by_oracle(log.partition(0, partitions=1), log.contexts)
    for account in {account for account in log.accounts if account is not None}:
        assume(all(is_so_in(log, account, partitions=count) == whole.of(account) for count in {old, new}))
        first = before[partition_of(account.encode(), partitions=old)]
        state, second = after[partition_of(account.encode(), partitions=new)]
        said = zip(outcome_of(olds[0], first).of(account), outcome_of(state, second).of(account), strict=True)
        assert tuple([*earlier, *map(of_first, later)] for earlier, later in said) == whole.of(account)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(log=lives(), old=st.integers(1, 4), new=st.integers(1, 6))
def test_what_is_published_anew_after_the_cut_over_is_what_was_published_before(log: Log, old: int, new: int) -> None:
    olds, _ = generation(log, upto=len(log.records), partitions=old)
    kept = [shown(chunked) for chunked in map(through_a_checkpoint, moved(olds, new=new))]
    assert {name: health for some in kept for name, health in some.items()} == {
        name: health for state in olds for name, health in shown(state).items()
    }


def is_so_in(log: Log, account: str, *, partitions: int) -> tuple[list[object], ...]:
    """Return what becomes of an account where nothing is moved.

    What else lies in its partition decides about rows out of order, and about an id that comes again a day later
    (docs/scoring.md §1, §12): there the cut itself makes a difference, whether or not anything is moved.
    """
    home = partition_of(account.encode(), partitions=partitions)
    mine = log.partition(home, partitions=partitions)
    return by_oracle(mine, log.contexts, partition=home, partitions=partitions).of(account)


def of_first(row: object) -> object:
    return msgspec.structs.replace(row, generation=1) if isinstance(row, AccountHealth) else row


def shown(state: Partition) -> dict[str, AccountHealth]:
    rows = [row for some in last_healths(state) for row in some]
    healths = [msgspec.json.decode(row.payload, type=AccountHealth) for row in rows]
    if state.generation > 1:
        assert {health.offset for health in healths} <= {state.position - 1}, "offsets of the old log mean nothing here"
    return {h.account: msgspec.structs.replace(h, offset=0, partition=0, generation=1) for h in healths}


def through_a_checkpoint(state: Partition) -> Partition:
    cycle, records = pack.begin(state), []
    while (chunk := cycle.next(state)) is not None:
        records += chunk
    records.append(cycle.marker(first_record=0))
    restored = restore(records, partition=state.partition, partitions=state.partitions, seed=SEED)
    assert restored is not None
    assert (restored.generation, restored.position) == (2, SEEDS_AT + SEEDS)
    return restored
