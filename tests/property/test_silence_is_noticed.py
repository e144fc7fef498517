"""Silence is noticed by the first tick after its deadline, with no event to make anybody look."""

import random

from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from shared.contracts.risk import Change
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, SECOND, SEED, START, Configurations, Log, batches, outcome_of

ACCOUNTS = 60
WEEKS = 8
TICKS = 137
"""Ticks come this many ms after each full second."""


def test_the_first_tick_after_its_deadline_opens_an_accounts_silence() -> None:
    # deadline of one account        deadline of another
    #   tick tick | tick tick    …     tick tick | tick tick      a second apart
    log, rng = Log(), random.Random(5)
    for day in range(7 * WEEKS):
        for number in range(ACCOUNTS):
            if day % 7 < 5 and rng.random() < 0.9:
                log.event(f"a{number}", "login", at=START + day * DAY + rng.randrange(7 * HOUR, 18 * HOUR))
    log.records.sort(key=lambda record: record.ts)
    log = _numbered(log)
    log.tick(START + 7 * WEEKS * DAY)
    known_at = Configurations({0: bundles()[0]})
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    outs = [(batch, step(state, batch, known_at=known_at)) for batch in batches(log.records, 0)]
    deadline = {health.account: health.silence_deadline for health in outcome_of(state, outs).healths}
    ahead = sorted(at for at in deadline.values() if at is not None)
    assert len(ahead) == ACCOUNTS

    seconds = {at // SECOND + near for at in ahead for near in range(-2, 4)}
    first = len(log.records)
    for second in sorted(seconds):
        log.tick(second * SECOND + TICKS)
    outs = [(batch, step(state, batch, known_at=known_at)) for batch in batches(log.records[first:], 0)]
    opened = [one for one in outcome_of(state, outs).transitions if one.rule == "silence"]
    assert {one.change for one in opened} == {Change.OPENED}
    assert sorted(one.account for one in opened) == sorted(deadline)
    late = [one.at - (deadline[one.account] or 0) for one in opened]
    assert min(late) >= 0
    assert max(late) < SECOND


def _numbered(log: Log) -> Log:
    """Return a log with the same events in the order of its records."""
    found = Log()
    for record in log.records:
        found.append(record.value, ts=record.ts, account=(record.key or b"").decode())
    return found
