"""However a scorer dies, wakes up or loses Redis, the end is that of one uninterrupted run."""

import pytest

from tests.faults.sim.plan import simulate

SEED = 1


@pytest.mark.timeout(900)
def test_100_000_schedules_end_like_one_uninterrupted_run() -> None:
    report = simulate(100_000, seed=SEED, piece_most=1_500)
    assert not report.violations, "\n".join(report.lines())
    families = {"one crash", "two crashes", "failed send", "handover", "redis down", "redis lost", "zombie"}
    assert families <= report.schedules.keys()


def test_the_columnar_core_does_the_same() -> None:
    report = simulate(1_000, seed=SEED, columnar=True, piece_most=60)
    assert not report.violations, "\n".join(report.lines())
