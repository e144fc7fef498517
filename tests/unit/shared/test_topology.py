"""Which generation is in use follows from the entries of the context topic; names and homes follow from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.partition import partition_of
from shared.contracts.topics import ACTIVITY, DEAD_LETTERS, EVENTS, RISK, SCORES, SNAPSHOTS, TOPICS
from shared.contracts.topology import Standing, Topology, TopologyState, after, agreed_topics, difference

FIRST = Topology(generation=1, partitions=4)
MOVING = Topology(generation=2, partitions=6, state=TopologyState.MOVING)
SECOND = Topology(generation=2, partitions=6)


def standing(*entries: Topology) -> Standing | None:
    """Return how things stand after entries at the offsets 0, 10, 20 and so on."""
    found: Standing | None = None
    for number, entry in enumerate(entries):
        found = after(found, entry, offset=10 * number)
    return found


def test_the_first_entry_of_a_generation_decides() -> None:
    found = standing(FIRST, Topology(generation=1, partitions=9))
    assert found is not None
    assert (found.current, found.moving) == (FIRST, None)


def test_a_move_is_seen_until_the_cut_over() -> None:
    moving, moved = standing(FIRST, MOVING), standing(FIRST, MOVING, SECOND)
    assert moving is not None
    assert moved is not None
    assert (moving.current, moving.moving) == (FIRST, MOVING)
    assert (moved.current, moved.moving) == (SECOND, None)


def test_a_move_that_was_given_up_leaves_everything_as_it_was_but_its_number_is_used() -> None:
    given_up = Topology(generation=2, partitions=6, state=TopologyState.GIVEN_UP)
    found = standing(FIRST, MOVING, given_up)
    assert found is not None
    assert (found.current, found.moving, found.highest) == (FIRST, None, 2)


def test_entries_of_a_past_generation_that_come_late_or_again_change_nothing() -> None:
    assert standing(FIRST, MOVING, SECOND) == standing(FIRST, MOVING, SECOND, FIRST, MOVING)


# entries at    0 first   10 moving   20 second
# guards of     |--- 1 ---|------- 2 ----------
@pytest.mark.parametrize(("offset", "first", "second"), [(5, True, False), (15, False, True), (25, False, True)])
def test_a_guard_names_partitions_of_the_generation_it_was_told_in(offset: int, first: bool, second: bool) -> None:  # noqa: FBT001
    moving, moved = standing(FIRST, MOVING), standing(FIRST, MOVING, SECOND)
    assert moving is not None
    assert moved is not None
    assert (moving.holds(offset), moved.holds(offset)) == (first, second)


def test_what_is_cut_like_the_log_is_named_by_its_generation_and_nothing_else_is() -> None:
    names = {topic.name: topic.partitions for topic in agreed_topics(standing(FIRST, MOVING, SECOND))}
    assert {f"{name}.g2": 6 for name in (EVENTS, ACTIVITY, SNAPSHOTS)}.items() <= names.items()
    assert names[RISK] == TOPICS[RISK].partitions
    assert len(names) == len(TOPICS)
    assert {topic.name for topic in agreed_topics(None)} == set(TOPICS)


@given(account=st.text(min_size=1, max_size=40).map(str.encode), partitions=st.integers(1, 40))
def test_an_account_lies_where_its_partition_of_the_log_says_it_may(account: bytes, partitions: int) -> None:
    topology = Topology(generation=3, partitions=partitions)
    at = topology.home(EVENTS, account)
    assert at == partition_of(account, partitions=partitions)
    for topic in (RISK, SCORES, DEAD_LETTERS):
        assert topology.home(topic, account) in topology.sharing(topic, at)
        assert topology.home(topic, account) == FIRST.home(topic, account), "and stays there over generations"


def test_as_many_partitions_as_the_log_means_one_each() -> None:
    topology = Topology(generation=1, partitions=TOPICS[SCORES].partitions)
    assert [list(topology.sharing(SCORES, number)) for number in (0, 5)] == [[0], [5]]


def test_a_difference_names_the_command_that_mends_it() -> None:
    said = difference(FIRST, found=6)
    assert said is not None
    assert "`churnwatch migrate --partitions 6`" in said
    assert difference(FIRST, found=4) is None
