"""No feature of any life lies outside the values its page promises: a rule that waits for others is refused."""

import random

import numpy as np

from services.scorer.core.bounds import bounds_of
from services.scorer.core.episodes import Episodes
from services.scorer.core.feature_table import FEATURES
from services.scorer.core.features import Features
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from services.scorer.core.view import MISSING
from tests.support.histories import bundles, lives_log
from tests.support.log import DAY, SEED, START, Configurations, batches

DAYS = 100
NAMES = [*FEATURES, "adoption:Export", "use_28:Export"]


def test_features_stay_within_their_bounds() -> None:
    found: dict[str, set[int]] = {name: set() for name in NAMES}
    known_at = Configurations({0: bundles()[3]})
    for seed in range(6):
        log = lives_log(random.Random(seed), days=DAYS)
        records = [r for r, account in zip(log.records, log.accounts, strict=True) if account is not None]
        state = Partition.empty(partition=0, partitions=1, seed=SEED)
        state.bundle = known_at(0, 0).bundle  # names of signals are known from the first event on
        assert state.bundle is not None
        state.episodes = Episodes(state.bundle.rule_names)
        for batch in batches([*records, log.records[-1]], 0):
            step(state, batch, known_at=known_at)
        rows = np.arange(state.accounts)
        for day in (0, 40, 99, 120, 200):  # before most of it was told, and long after
            at = np.full(len(rows), START + day * DAY)
            values = Features(at, rows=rows, activity=state.activity, bundle=state.bundle).values
            for name in NAMES:
                found[name].update(values[name][values[name] != MISSING].tolist())
    assert sum(len(seen) > 1 for seen in found.values()) > 80
    for name, seen in ((name, seen) for name, seen in found.items() if seen):
        least, most = bounds_of(name)
        assert least is None or min(seen) >= least, name
        assert most is None or max(seen) <= most, name
