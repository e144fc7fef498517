"""The columnar core equals the oracle exactly, and keeps its promises whatever the order or split."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab.oracle_records import Record
from shared.contracts.partition import partition_of
from tests.support.histories import ACCOUNTS, erased_lives, imported_lives, junk_logs, lives
from tests.support.log import DAY, START, Log, Outcome, by_columns, by_oracle

settings.register_profile(  # a smaller seed is no simpler log: shrinking would only take time
    "logs",
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LOGS = settings.get_profile("logs")
CUTS = st.lists(st.integers(1, 300), max_size=12)


@settings(LOGS, max_examples=80)
@given(log=junk_logs(), cuts=CUTS)
def test_any_log_in_any_batches_is_scored_as_the_oracle_does(log: Log, cuts: list[int]) -> None:
    assert_equal(by_columns(log.records, log.contexts, cuts=cuts), by_oracle(log.records, log.contexts))


@settings(LOGS, max_examples=40)
@given(log=lives(), cuts=CUTS)
def test_long_lives_are_scored_as_the_oracle_does(log: Log, cuts: list[int]) -> None:
    assert_equal(by_columns(log.records, log.contexts, cuts=cuts), by_oracle(log.records, log.contexts))


@settings(LOGS, max_examples=40)
@given(log=imported_lives(), cuts=CUTS)
def test_imported_histories_are_scored_as_the_oracle_does(log: Log, cuts: list[int]) -> None:
    assert_equal(by_columns(log.records, log.contexts, cuts=cuts), by_oracle(log.records, log.contexts))


@settings(LOGS, max_examples=40)
@given(log=erased_lives(), cuts=CUTS)
def test_what_is_erased_stays_so_as_the_oracle_says(log: Log, cuts: list[int]) -> None:
    assert_equal(by_columns(log.records, log.contexts, cuts=cuts), by_oracle(log.records, log.contexts))


@settings(LOGS, max_examples=16)
@given(log=junk_logs(), number=st.integers(0, 2))
def test_what_belongs_elsewhere_is_moved_or_dead_as_the_oracle_says(log: Log, number: int) -> None:
    columns = by_columns(log.records, log.contexts, partition=number, partitions=3)
    assert_equal(columns, by_oracle(log.records, log.contexts, partition=number, partitions=3))


@settings(LOGS, max_examples=16)
@given(log=st.one_of(junk_logs(), lives(), imported_lives()), cuts=CUTS)
def test_every_record_has_one_fate(log: Log, cuts: list[int]) -> None:
    outcome = by_columns(log.records, log.contexts, cuts=cuts)
    assert sum(outcome.counts.values()) == len(log.records)
    assert outcome.counts.get("dead", 0) == len(outcome.dead)


@pytest.mark.parametrize("run", [by_oracle, by_columns])
@settings(LOGS, max_examples=16)
@given(log=lives(), partitions=st.sampled_from([2, 5, 12]))
def test_the_number_of_partitions_changes_nothing_for_an_account(
    run: Callable[..., Outcome], log: Log, partitions: int
) -> None:
    whole = run(log.partition(0, partitions=1), log.contexts)
    for account in ACCOUNTS:
        number = partition_of(account.encode(), partitions=partitions)
        mine = log.partition(number, partitions=partitions)
        assert run(mine, log.contexts, partition=number, partitions=partitions).of(account) == whole.of(account)


@pytest.mark.parametrize("run", [by_oracle, by_columns])
@settings(LOGS, max_examples=16)
@given(log=lives(), seed=st.integers(0, 2**32))
def test_the_order_of_arrival_between_two_ticks_changes_nothing(
    run: Callable[..., Outcome], log: Log, seed: int
) -> None:
    one, other = (shuffled(log, random.Random(s)) for s in (seed, seed + 1))
    assert run(one.records, log.contexts).without_offsets() == run(other.records, log.contexts).without_offsets()


def shuffled(log: Log, rng: random.Random) -> Log:
    """Return the log with the events between two ticks in another order, all received just before the second."""
    found, between = Log(), []
    for record, account in zip(log.records, log.accounts, strict=True):
        if account is not None:
            between.append((record.value, account))
            continue
        rng.shuffle(between)
        for value, whose in between:
            found.append(value, ts=record.ts, account=whose)
        found.append(record.value, ts=record.ts)
        between = []
    return found


@pytest.mark.proof
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "strategy", [junk_logs(), lives(), imported_lives(), erased_lives()], ids=["junk", "lives", "imports", "erasures"]
)
def test_thousands_of_logs_are_scored_as_the_oracle_does(strategy: st.SearchStrategy[Log]) -> None:
    @settings(LOGS, max_examples=2000)
    @given(log=strategy, cuts=CUTS)
    def compare(log: Log, cuts: list[int]) -> None:
        assert_equal(by_columns(log.records, log.contexts, cuts=cuts), by_oracle(log.records, log.contexts))

    compare()


def assert_equal(columns: Outcome, oracle: Outcome) -> None:
    """Compare the smaller things first, so that a failure shows where it began."""
    assert columns.dead == oracle.dead
    assert columns.moved == oracle.moved
    assert columns.counts == oracle.counts
    for mine, theirs in zip(columns.healths, oracle.healths, strict=False):
        assert mine == theirs
    assert len(columns.healths) == len(oracle.healths)
    assert columns.transitions == oracle.transitions
    assert columns.scores == oracle.scores
    assert columns.facts == oracle.facts
    assert columns.removed == oracle.removed


def test_the_histories_reach_what_they_are_for() -> None:
    """A strategy that never opens, resolves, withdraws, worsens or expires anything would prove nothing."""
    seen: set[tuple[str, str]] = set()

    @settings(LOGS, max_examples=120, database=None, derandomize=True)
    @given(log=lives())
    def look(log: Log) -> None:
        seen.update((t.rule, t.change) for t in by_oracle(log.records, log.contexts).transitions)

    look()
    assert {change for _, change in seen} == {"opened", "worsened", "eased", "resolved", "withdrawn", "expired"}
    assert {("silence", "resolved"), ("silence", "withdrawn"), ("usage_drop", "withdrawn")} <= seen
    assert {("behind", change) for change in ("opened", "worsened", "resolved", "withdrawn")} <= seen
    assert START % DAY == 0


def test_the_erasures_reach_what_they_are_for() -> None:
    """Erased accounts that never had an episode, never came back or were never sent again would prove little."""
    seen: set[str] = set()

    @settings(LOGS, max_examples=80, database=None, derandomize=True)
    @given(log=erased_lives())
    def look(log: Log) -> None:
        outcome, plain = (by_oracle(records, log.contexts) for records in (log.records, without_erasures(log)))
        removed = {account: offset for offset, account in outcome.removed}
        expired = [t for t in outcome.transitions if t.change == "expired" and t.band == "unknown" and not t.evidence]
        came_back = [h for h in outcome.healths if h.offset > removed.get(h.account, h.offset)]
        seen.update({"removed"} if removed else (), {"expired"} if expired else (), {"came back"} if came_back else ())
        seen.update({"users"} if not removed and outcome.healths != plain.healths else ())
        seen.update({"facts"} if len(outcome.facts) < len(plain.facts) else ())

    look()
    assert seen == {"removed", "expired", "came back", "users", "facts"}


def without_erasures(log: Log) -> list[Record]:
    """Return the records with an event that changes nothing in the place of each erasure."""
    names = (b"churn.erasure.v1", b"churn.milestone.v1")
    return [replace(record, value=record.value and record.value.replace(*names)) for record in log.records]
