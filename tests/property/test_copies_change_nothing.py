"""A deep copy of a partition's state goes on as the state itself does, and leaves it alone."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from tests.property.test_columns_equal_oracle import CUTS, LOGS, assert_equal
from tests.support.histories import imported_lives, junk_logs, lives
from tests.support.log import SEED, Configurations, Log, batches, by_oracle, outcome_of


@settings(LOGS, max_examples=40)
@given(log=st.one_of(junk_logs(), lives(), imported_lives()), cuts=CUTS)
def test_a_copy_takes_every_batch_as_the_state_does(log: Log, cuts: list[int]) -> None:
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    known_at = Configurations(log.contexts)
    steps = []
    for batch in batches(log.records, 0, cuts=cuts):
        other = copy.deepcopy(state)
        tried = step(other, batch, known_at=known_at)
        steps.append((batch, step(state, batch, known_at=known_at)))
        assert outcome_of(other, [(batch, tried)]) == outcome_of(state, steps[-1:])
    assert_equal(outcome_of(state, steps), by_oracle(log.records, log.contexts))
