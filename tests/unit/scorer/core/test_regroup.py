"""What a partition of a new generation knows beside its accounts: ids, imports, guards, and where its log begins."""

from dataclasses import replace

import msgspec
import pytest

from services.scorer.core.partition import Partition
from services.scorer.core.regroup import SEEDS, homes_in, regroup, sources_of
from shared.contracts.context import Guard, GuardState
from shared.contracts.events import source_of
from shared.contracts.health import AccountHealth
from shared.contracts.journey import Progress
from shared.contracts.partition import partition_of
from tests.support.generations import SEEDS_AT, follow, generation, moved
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, MINUTE, SEED, START, Log

NOW = START + 60 * DAY
OLD, NEW = 4, 6


def cut() -> Log:
    """Return a log of eight accounts that arrived at NOW, with a tick behind it."""
    log = Log()
    log.contexts = {**bundles()}
    for number in range(8):
        log.event(f"a{number}", "login", at=NOW, id=f"e{number}")
    log.tick(NOW + MINUTE)
    return log


def after(states: list[Partition], late: Log) -> dict[str, int]:
    """Return the fates of what comes in the new generation, of all partitions together."""
    before = [dict(state.counts) for state in states]
    for state in states:
        mine = late.partition(state.partition, partitions=NEW)
        follow(state, [replace(record, offset=SEEDS_AT + SEEDS + n) for n, record in enumerate(mine)], bundles())
    return {
        fate: sum(state.counts[fate] - was[fate] for state, was in zip(states, before, strict=True))
        for fate in ("applied", "duplicate")
    }


# arrived         forgotten from here on
# |--- 24 h ------|--- this hour too ---|
@pytest.mark.parametrize(
    ("hours", "fates"),
    [(0, {"applied": 0, "duplicate": 8}), (24, {"applied": 0, "duplicate": 8}), (25, {"applied": 8, "duplicate": 0})],
)
def test_a_retry_over_the_cut_over_counts_once_as_long_as_its_id_is_remembered(
    hours: int, fates: dict[str, int]
) -> None:
    states = moved(generation(cut(), upto=9, partitions=OLD)[0], new=NEW)
    late = Log()
    for number in range(8):
        late.event(f"a{number}", "login", at=NOW, id=f"e{number}", ts=NOW + hours * HOUR)
    assert after(states, late) == fates


def test_ids_of_different_hours_are_forgotten_one_hour_after_the_other() -> None:
    log = cut()
    for number in range(8):
        log.event(f"a{number}", "login", at=NOW, id=f"later{number}", ts=NOW + 3 * HOUR)
    states = moved(generation(log, upto=len(log.records), partitions=OLD)[0], new=NEW)
    late = Log()
    for prefix in ("e", "later"):
        for number in range(8):
            late.event(f"a{number}", "login", at=NOW, id=f"{prefix}{number}", ts=NOW + 26 * HOUR)
    assert after(states, late) == {"applied": 8, "duplicate": 8}


def test_a_user_who_comes_again_after_the_cut_over_is_no_second_one_for_a_milestone() -> None:
    log = Log()
    log.contexts = {**bundles()}
    log.tick(NOW, context=3)
    for number in range(8):
        log.event(f"a{number}", "login", at=NOW, data={"user": "u1"})
    log.tick(NOW + MINUTE, context=3)
    states = moved(generation(log, upto=len(log.records), partitions=OLD)[0], new=NEW)
    late = Log()
    for number in range(8):
        late.event(f"a{number}", "login", at=NOW + HOUR, data={"user": "u1"})
    late.tick(NOW + HOUR, context=3)
    healths = []
    for state in states:
        mine = late.partition(state.partition, partitions=NEW)
        mine = [replace(record, offset=SEEDS_AT + SEEDS + n) for n, record in enumerate(mine)]
        healths += [row.payload for _, out in follow(state, mine, log.contexts) for row in out.healths]
    needed = [Progress(event="Signed In", users=2, so_far=1)]
    journeys = [msgspec.json.decode(payload, type=AccountHealth).journey for payload in healths]
    assert [journey and journey.milestones[0].all_of for journey in journeys] == [needed] * 8


def test_an_import_sent_again_changes_nothing() -> None:
    log = cut()
    for row in range(8):
        log.event(f"a{row}", "login", at=NOW - DAY, ts=NOW, imported=("i_1", row), id=f"i{row}")
    states = moved(generation(log, upto=len(log.records), partitions=OLD)[0], new=NEW)
    again = Log()
    for row in range(9):
        again.event(f"a{row}", "login", at=NOW - DAY, ts=NOW, imported=("i_1", row), id=f"i{row}")
    assert after(states, again) == {"applied": 1, "duplicate": 8}


def test_who_was_held_at_the_cut_over_is_judged_when_the_guard_is_over() -> None:
    log = cut()
    held = Guard(source=source_of("app"), partitions=list(range(12)), state=GuardState.HELD, at=NOW)
    log.contexts = {**bundles(), 7: held, 8: msgspec.structs.replace(held, state=GuardState.OVER)}
    log.tick(NOW + 2 * MINUTE, context=7)
    olds, _ = generation(log, upto=len(log.records), partitions=OLD)
    states = moved(olds, new=NEW)
    assert all(state.guards == {source_of("app")} for state in states)
    over = Log()
    over.tick(NOW + 3 * MINUTE, context=8)
    judged = []
    for state in states:
        mine = [replace(record, offset=SEEDS_AT + SEEDS) for record in over.records]
        judged += [row.account for _, out in follow(state, mine, log.contexts) for row in out.healths]
    assert sorted(judged) == [f"a{number}" for number in range(8)]


def test_everything_before_the_new_log_counts_as_ticks_so_that_fates_add_up_to_its_end() -> None:
    for state in moved(generation(cut(), upto=9, partitions=OLD)[0], new=NEW):
        assert sum(state.counts.values()) == state.position == SEEDS_AT + SEEDS


def test_partitions_that_did_not_judge_the_same_tick_are_refused() -> None:
    log = cut()
    states, _ = generation(log, upto=len(log.records), partitions=2)
    late = Log()
    late.tick(NOW + DAY)
    follow(states[1], [replace(record, offset=100) for record in late.records], bundles())
    empty = Partition.empty(partition=0, partitions=1, seed=SEED, generation=2)
    with pytest.raises(ValueError, match="same tick"):
        regroup([(state, homes_in(state, partitions=1)) for state in states], new=empty, seeds=0)


@pytest.mark.parametrize(("old", "new"), [(4, 6), (6, 4), (12, 24), (24, 12), (1, 5), (5, 1), (3, 3)])
def test_accounts_come_only_from_the_sources_named(old: int, new: int) -> None:
    for number in range(500):
        name = b"account-%d" % number
        was, now = partition_of(name, partitions=old), partition_of(name, partitions=new)
        assert was in sources_of(now, old=old, new=new)
