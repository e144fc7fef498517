"""The negative control counts right as long as nothing is killed; what it loses then is published, not asserted."""

from pathlib import Path

import pytest

from tests.faults.control.__main__ import control


@pytest.mark.timeout(300)
@pytest.mark.proof
async def test_the_plain_scorer_counts_right_while_nothing_is_killed(tmp_path: Path) -> None:
    found = await control(minutes=0.3, seed=1, folder=tmp_path, kill=False)
    assert found.in_log > 1000
    assert (found.counted, found.lost, found.doubled, found.accounts_wrong) == (found.in_log, 0, 0, 0)


@pytest.mark.timeout(300)
@pytest.mark.proof
async def test_the_plain_scorer_is_killed(tmp_path: Path) -> None:
    found = await control(minutes=0.3, seed=1, folder=tmp_path)
    assert found.kills >= 1
    assert found.counted > 0
    assert found.accepted_but_not_in_log == 0
