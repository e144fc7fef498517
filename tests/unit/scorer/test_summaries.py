"""A partition's segments are summarized once a day, beside the batches, and by the owner who is caught up."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from services.scorer import summaries as summaries_module
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from services.scorer.core.summary import KEPT_DAYS, Summaries, day_to_summarize, named_segments
from services.scorer.listing import Listing
from services.scorer.summaries import Summarist
from shared.contracts.context import Summary
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, SEED, START, Configurations, Log, batches

DAY_0 = START // DAY


def state_of(*, accounts: int = 5, clock: int = START + 20 * DAY + 2 * HOUR) -> Partition:
    """Return a partition whose accounts were active for twenty days."""
    log = Log()
    log.contexts = {0: bundles()[3]}
    for day in range(20):
        for number in range(accounts):
            log.event(f"a{number}", "login", at=START + day * DAY + number, data={"user": "u"})
    log.tick(clock)
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    for batch in batches(log.records, 0):
        step(state, batch, known_at=Configurations(log.contexts))
    return state


class Desk:
    """The partitions of a process, and the summaries it told."""

    def __init__(self, states: Mapping[int, Partition]) -> None:
        self.states = states
        self.told: list[Summary] = []
        self.known = Summaries()
        self.summarist = Summarist(
            caught_up=lambda: self.states,
            known_at=lambda offset, _partition: Known(summaries=self.known.at(offset)),
            last_offset=lambda: len(self.told) - 1,
            tell=self.tell,
        )

    async def tell(self, summary: Summary) -> None:
        self.known.add(len(self.told), summary)
        self.told.append(summary)


@pytest.fixture(autouse=True)
def _small_slices() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries_module, "SLICE", 2)
        yield


def test_a_day_is_over_for_everybody_two_hours_after_midnight() -> None:
    at = int(datetime(2026, 3, 5, 2, tzinfo=UTC).timestamp() * 1000)
    assert day_to_summarize(at) == datetime(2026, 3, 4, tzinfo=UTC).timestamp() * 1000 // DAY
    assert day_to_summarize(at - 1) == day_to_summarize(at) - 1


async def test_each_day_is_summarized_once_and_not_before_it_is_over() -> None:
    state = state_of()
    desk = Desk({0: state})
    for clock, days in [
        (20 * DAY + 2 * HOUR, [19]),
        (20 * DAY + 3 * HOUR, [19]),
        (21 * DAY + 2 * HOUR - 1, [19]),
        (21 * DAY + 2 * HOUR, [19, 20]),
        (25 * DAY, [19, 20, 23]),  # nobody ran for days
    ]:
        state.clock = START + clock
        await desk.summarist.turn()
        await desk.summarist.turn()
        assert [summary.day - DAY_0 for summary in desk.told] == days
    assert [(one.segment, one.accounts) for one in desk.told[0].segments] == [("", 5)]
    assert desk.told[0].segments[0].histograms["active_days_28"] == [*([0] * 20), 5]


async def test_after_a_restart_the_topic_says_what_was_written() -> None:
    desk = Desk({0: state_of()})
    await desk.summarist.turn()
    again = Desk({0: state_of()})
    await again.tell(desk.told[0])
    await again.summarist.turn()
    assert len(again.told) == 1


async def test_others_run_between_slices_of_accounts() -> None:
    desk, turns = Desk({0: state_of(accounts=10)}), 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    await desk.summarist.turn()
    running.cancel()
    assert turns >= 2 * 10 // 2


async def test_a_partition_given_up_meanwhile_or_not_caught_up_is_left_to_its_owner() -> None:
    state = state_of()
    desk = Desk({0: state})
    writing = asyncio.create_task(desk.summarist.turn())
    await asyncio.sleep(0)
    desk.states = {}
    await writing
    assert desk.told == []
    listing = Listing[Partition](lambda _state, _judged: iter(()))
    listing.taken(0, end=4)
    assert listing.caught_up({0: state, 1: state}) == {1: state}


async def test_a_partition_without_accounts_or_time_says_nothing() -> None:
    empty = Partition.empty(partition=0, partitions=1, seed=SEED)
    desk = Desk({0: empty})
    await desk.summarist.turn()
    empty.clock = START
    await desk.summarist.turn()
    assert desk.told == []


def test_the_last_summary_of_each_partition_is_known_at_an_offset_for_as_long_as_ticks_may_name_it() -> None:
    summaries = Summaries()
    told = [Summary(partition=n % 2, partitions=2, day=n // 2, at=n, segments=[]) for n in range(4)]
    for offset, summary in enumerate(told):
        summaries.add(10 * offset, summary)
    assert summaries.at(9) == {0: told[0]}
    assert summaries.at(10) == {0: told[0], 1: told[1]}
    assert summaries.at(99) == {0: told[2], 1: told[3]}
    for day in range(KEPT_DAYS):
        summaries.add(100 + day, Summary(partition=0, partitions=2, day=9, at=day, segments=[]))
    assert summaries.at(99) == {1: told[3]}


def test_of_many_segments_the_largest_keep_their_names() -> None:
    many = Counter({f"s{number:03}": 1 + (number == 99) for number in range(100)} | {"x" * 129: 50})
    assert named_segments(many) == ["s099", *(f"s{number:03}" for number in range(63))]
