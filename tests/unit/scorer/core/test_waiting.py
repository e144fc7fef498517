"""A rule opens when its pattern has held for long enough, and not again too soon."""

from dataclasses import replace

import pytest

from services.scorer.core.pack import begin
from services.scorer.core.partition import Partition
from services.scorer.core.restore import restore
from services.scorer.core.step import step
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, SEED, START, Configurations, Log, Outcome, batches, by_columns, outcome_of

NOON = 12 * HOUR


def lived(answers: dict[int, int], *, days: int, hold_days: int = 0, cool_down_days: int = 0) -> Log:
    """Return a log of answers by day, each an hour before the one tick of its day."""
    log, shipped = Log(), bundles()[0]
    rule = {
        "name": "detractor",
        "based_on": "fact",
        "all": [{"feature": "nps", "at_most": 6}],
        "severity": "at_risk",
        "hold_days": hold_days,
        "cool_down_days": cool_down_days,
    }
    log.contexts = {0: replace(shipped, rules={**shipped.rules, "rules": [rule]})}
    for day in range(days):
        at = START + day * DAY + NOON
        if day in answers:
            score = {"kind": "nps", "score": answers[day]}
            log.event("acme", "survey", at=at - HOUR, ts=at - HOUR, data=score)
        log.tick(at, context=0)
    return log


def told(outcome: Outcome) -> list[tuple[int, str]]:
    return [((t.at - START) // DAY, t.change.value) for t in outcome.transitions]


def test_a_pattern_opens_once_it_has_held_for_its_days() -> None:
    # day     0 1 2 3 4 5
    # nps         2 2 2 2 ...      holds since day 2
    log = lived({2: 2}, days=9, hold_days=3)
    assert told(by_columns(log.records, log.contexts)) == [(5, "opened")]


def test_a_pattern_that_was_interrupted_begins_anew() -> None:
    # day     0 1 2 3 4 5 6 7 8
    # nps         2 2 9 2 2 2 2    holds since day 2, then since day 5
    log = lived({2: 2, 4: 9, 5: 2}, days=12, hold_days=3)
    assert told(by_columns(log.records, log.contexts)) == [(8, "opened")]


def test_after_its_end_a_rule_cools_down() -> None:
    # day     0 1 2 3 4 5 ... 11
    # nps         2 2 9 2 ...  2    over on day 4, not again before day 11
    log = lived({2: 2, 4: 9, 5: 2}, days=14, cool_down_days=7)
    assert told(by_columns(log.records, log.contexts)) == [(2, "opened"), (4, "resolved"), (11, "opened")]


@pytest.mark.parametrize(("since", "standing"), [(0, True), (1, False)])
def test_what_held_before_judging_began_opens_as_standing_however_late(since: int, *, standing: bool) -> None:
    log = lived({since: 2}, days=9, hold_days=3)
    (opened,) = by_columns(log.records, log.contexts).transitions
    assert opened.standing is standing


def test_what_waits_and_what_cools_down_survive_a_checkpoint() -> None:
    log = lived({2: 2, 9: 9, 10: 2, 11: 9}, days=30, hold_days=3, cool_down_days=10)
    log.event("acme", "survey", at=START + 29 * DAY, ts=START + 30 * DAY, data={"kind": "nps", "score": 1})
    for day in range(30, 40):
        log.tick(START + day * DAY + NOON, context=0)
    whole = by_columns(log.records, log.contexts)
    assert told(whole) == [(5, "opened"), (9, "resolved"), (33, "opened")]
    known = Configurations(log.contexts)
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    steps = []
    for batch in batches(log.records, 0, cuts=range(1, len(log.records))):
        steps.append((batch, step(state, batch, known_at=known)))
        cycle, chunks = begin(state), list[bytes]()
        while (more := cycle.next(state)) is not None:
            chunks += more
        restored = restore([*chunks, cycle.marker(first_record=0)], partition=0, partitions=1, seed=SEED)
        assert restored is not None
        state = restored
    assert outcome_of(state, steps).transitions == whole.transitions
