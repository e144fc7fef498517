"""A tick over many accounts pauses after each slice, and comes to the same."""

import numpy as np
import pytest

from services.scorer.core import step as step_module
from services.scorer.core.partition import Partition
from services.scorer.core.step import Outputs, step, step_in_slices
from tests.support.histories import bundles
from tests.support.log import HOUR, SEED, START, Configurations, Log, batches

ACCOUNTS = 7


def log_of_many() -> Log:
    log = Log()
    log.contexts |= bundles()
    for number in range(ACCOUNTS):
        log.event(f"account-{number}", "usage", at=START + number)
    log.tick(START + HOUR)
    return log


def test_a_tick_pauses_between_slices_of_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of_many()
    (batch,) = batches(log.records, 0, cuts=[])
    known_at = Configurations(log.contexts)
    whole = Partition.empty(partition=0, partitions=1, seed=SEED)
    expected = step(whole, batch, known_at=known_at)
    monkeypatch.setattr(step_module, "SLICE", 3)
    sliced = Partition.empty(partition=0, partitions=1, seed=SEED)
    slices = step_in_slices(sliced, batch, known_at=known_at)
    for judged in (3, 6):
        next(slices)
        assert (sliced.activity.accounts["evaluated_offset"][:ACCOUNTS] >= 0).sum() == judged
    with pytest.raises(StopIteration) as done:
        next(slices)
    outputs: Outputs = done.value.value
    assert outputs.healths == expected.healths
    assert outputs.scores == expected.scores
    assert len(outputs.healths) == ACCOUNTS
    for name in ("due", "band", "published_day", "touched"):
        assert np.array_equal(sliced.activity.accounts[name], whole.activity.accounts[name])
