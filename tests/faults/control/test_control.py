"""The negative control runs and counts; what it loses is published, not asserted."""

from pathlib import Path

import pytest

from tests.faults.control.__main__ import control


@pytest.mark.timeout(300)
@pytest.mark.proof
async def test_the_plain_scorer_counts(tmp_path: Path) -> None:
    found = await control(minutes=0.3, seed=1, folder=tmp_path)
    assert found.kills >= 1
    assert found.counted > 0
    assert found.accepted_but_not_in_log == 0
