"""What `churnwatch ahead` says of the future is what the oracle publishes when it comes."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab import oracle
from lab.ahead.alone import Alone, alone
from lab.ahead.future import NOT_AT_RISK, Standing, Turn, fell, standing, turns
from lab.ahead.remedy import Remedy, acts_of, remedies
from lab.trouble import Trouble
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from shared.contracts.events import Tick
from tests.support.histories import lives_log
from tests.support.log import DAY, HOUR, SEED, Configurations, Log, batches

DAYS = 28
SOME = settings(  # a smaller seed is no simpler log: shrinking would only take time
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LIVES = st.builds(lives_log, st.integers(0, 2**32).map(random.Random), days=st.integers(20, 110))


class _Named(msgspec.Struct):
    data: Tick


def context_of(log: Log) -> int:
    """Return the context offset that the last record, a tick, names."""
    return msgspec.json.decode(log.records[-1].value or b"", type=_Named).data.context


def state_of(log: Log) -> Partition:
    state, known_at = Partition.empty(partition=0, partitions=1, seed=SEED), Configurations(log.contexts)
    for batch in batches(log.records, 0):
        step(state, batch, known_at=known_at)
    return state


def accounts_of(log: Log, *, context: int) -> Iterator[Alone]:
    """Yield the accounts of which something is known, each alone."""
    state, known = state_of(log), Configurations(log.contexts)(context, 0)
    for account in sorted({account for account in log.accounts if account is not None}):
        try:
            found = alone(state, account, known=known)
            found.copy().now()
        except Trouble:
            continue
        yield found


def standings(log: Log, account: str, *, since: int) -> Mapping[int, Standing]:
    """Return how an account stood by the oracle after each tick later than `since`."""
    result = oracle.run(log.records, partition=0, partitions=1, contexts=log.contexts)
    found: dict[int, Standing] = {}
    last: Standing | None = None
    for evaluation in result.evaluations:
        if account in evaluation.healths:
            last = standing(evaluation.healths[account])
        if evaluation.at > since and last is not None:
            found[evaluation.at] = last
    return found


def changes(by_tick: Mapping[int, Standing]) -> list[tuple[int, Standing]]:
    found = list(by_tick.items())
    return [one for before, one in pairwise(found) if one[1] != before[1]]


@settings(SOME, max_examples=3)
@given(log=LIVES, seed=st.integers(0, 2**32))
def test_what_comes_if_nothing_happens_is_what_is_published_at_that_moment_and_not_before(log: Log, seed: int) -> None:
    assert_future(log, random.Random(seed))


@settings(SOME, max_examples=2)
@given(log=LIVES)
def test_events_that_are_said_to_bring_an_account_back_do_so_in_the_log(log: Log) -> None:
    assert_remedies(log)


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_hundreds_of_futures_come_as_told() -> None:
    @settings(SOME, max_examples=300)
    @given(log=LIVES, seed=st.integers(0, 2**32))
    def compare(log: Log, seed: int) -> None:
        assert_future(log.copy(), random.Random(seed))
        assert_remedies(log)

    compare()


def assert_future(log: Log, draw: random.Random) -> None:
    """Look ahead at every account, and compare with the oracle over the log that goes on with ticks alone."""
    end, context = log.records[-1].ts, context_of(log)
    if draw.random() < 0.5:  # not judged yet
        log.event(next(a for a in log.accounts if a is not None), "login", at=end)
    for account in accounts_of(log, context=context):
        name = account.copy().now().account
        future = list(turns(account, days=DAYS))
        at = {end + 1, *range(end + 1 + draw.randrange(HOUR), end + DAYS * DAY, 12 * HOUR)}
        at |= {moment for turn in future for moment in (turn.now.at - 1, turn.now.at)}
        later = log.copy()
        for moment in sorted(moment for moment in at if moment > end):
            later.tick(moment, context=context)
        assert changes(standings(later, name, since=end)) == [(turn.now.at, standing(turn.now)) for turn in future]


def assert_remedies(log: Log) -> None:
    """Bring every account in trouble back, and compare with the oracle over the log with those events in it."""
    end, context = log.records[-1].ts, context_of(log)
    for account in accounts_of(log, context=context):
        past, wanted, there = first_trouble(account)
        if there is None:
            continue
        name = there.copy().now().account
        acts = [act for act in acts_of(there.bundle, unused=there.unused()) if act.kind in {"login", "billing"}]
        for remedy in remedies(there, acts, wanted=wanted)[:2]:
            stood = standings(applied(log, past, remedy, context=context), name, since=end)
            assert stood[remedy.back_at] == standing(remedy.health)
            assert not fell(remedy.health, since=wanted)


def first_trouble(account: Alone) -> tuple[Sequence[Turn], Standing, Alone | None]:
    """Return the turns that lead to an account's trouble, how it should stand, and the account there."""
    there, past = account.copy(), list[Turn]()
    if fell(account.copy().now(), since=NOT_AT_RISK):
        there.now()
        return past, NOT_AT_RISK, there
    for turn in turns(there, days=DAYS):
        past.append(turn)
        if turn.is_worse:
            return past, standing(turn.before), there
    return past, NOT_AT_RISK, None


def applied(log: Log, past: Sequence[Turn], remedy: Remedy, *, context: int) -> Log:
    """Return the log after the turns, the events and the tick at which they have done their work."""
    log = log.copy()
    moments = sorted({log.records[-1].ts + 1, *(turn.now.at for turn in past)})
    for moment in [moment for moment in moments if moment <= remedy.at]:
        log.tick(moment, context=context)
    for value in remedy.records():
        log.append(value, ts=remedy.at, account=remedy.health.account)
    for moment in sorted({remedy.at + 1, remedy.back_at}):
        log.tick(moment, context=context)
    return log
