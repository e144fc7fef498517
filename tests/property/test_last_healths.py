"""What Redis holds can be written again from the state alone, byte for byte, at any moment."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scorer.core.partition import Partition
from services.scorer.core.publish import HealthRow
from services.scorer.core.step import last_healths, step
from shared.contracts.health import AccountHealth
from tests.support.histories import erased_lives, imported_lives, junk_logs, lives
from tests.support.log import SEED, Configurations, Log, batches

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(
    log=st.one_of(junk_logs(), lives(), imported_lives(), erased_lives()),
    cuts=st.lists(st.integers(1, 300), max_size=6),
)
def test_what_was_published_last_is_in_the_state(log: Log, cuts: list[int]) -> None:
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    published: dict[str, HealthRow] = {}
    for batch in batches(log.records, 0, cuts=cuts):
        outputs = step(state, batch, known_at=Configurations(log.contexts))
        published |= {row.account: row for row in outputs.healths}
        again = {row.account: row for rows in last_healths(state) for row in rows}
        assert again == {account: row for account, row in published.items() if account in again}
        touched = int(state.activity.accounts["touched"][: state.accounts].sum())
        assert len(published) - len(again) <= touched + len(state.erasures.pending())


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(log=lives())
def test_the_bytes_are_those_of_the_contract(log: Log) -> None:
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    for batch in batches(log.records, 0, cuts=[]):
        for row in step(state, batch, known_at=Configurations(log.contexts)).healths:
            assert msgspec.json.encode(msgspec.json.decode(row.payload, type=AccountHealth)) == row.payload
