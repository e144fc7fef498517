"""The list of open episodes is what the oracle's transitions leave open, whatever the batches."""

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.scorer.core import open_list as open_list_module
from services.scorer.core.open_list import open_list
from services.scorer.core.partition import Partition
from services.scorer.core.step import Judged, step
from shared.contracts.risk import ENDS, OpenEpisodes, Transition, read_risk
from tests.support.histories import imported_lives, lives
from tests.support.log import SEED, Configurations, Log, batches, by_oracle


@pytest.fixture(scope="module", autouse=True)
def _small_parts() -> object:
    """Make even short lists of several parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_list_module, "MOST_EPISODES", 2)
        yield


@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(log=st.one_of(lives(), imported_lives()), cuts=st.lists(st.integers(1, 300), max_size=8))
def test_what_is_listed_is_what_the_transitions_left_open(log: Log, cuts: list[int]) -> None:
    transitions = by_oracle(log.records, log.contexts).transitions
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    for batch in batches(log.records, 0, cuts=cuts):
        judged = step(state, batch, known_at=Configurations(log.contexts)).judged
        if judged is not None:
            assert listed(state, judged) == left_open(transitions, upto=judged.offset)


def listed(state: Partition, judged: Judged) -> list[str]:
    parts = [read_risk(record.key, record.value) for record in open_list(state, judged)]
    assert parts
    for number, part in enumerate(parts):
        assert isinstance(part, OpenEpisodes)
        assert (part.part, part.parts, part.at, part.offset) == (number, len(parts), judged.at, judged.offset)
        assert len(part.episodes) <= 2
    return sorted(episode for part in parts if isinstance(part, OpenEpisodes) for episode in part.episodes)


def left_open(transitions: list[Transition], *, upto: int) -> list[str]:
    found: set[str] = set()
    for transition in sorted(transitions, key=lambda t: t.offset):
        if transition.offset <= upto:
            (found.discard if transition.change in ENDS else found.add)(transition.episode)
    return sorted(found)


def test_a_list_of_many_is_made_part_by_part_and_each_fits_a_record() -> None:
    full = OpenEpisodes(
        partition=11, partitions=12, offset=2**50, at=2**50, part=0, parts=99, episodes=["ep_" + "a" * 26] * 5_000
    )
    assert len(msgspec.json.encode(full)) < 1 << 18
