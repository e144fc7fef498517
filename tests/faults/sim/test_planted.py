"""Every planted bug turns the simulator red: otherwise its zeros would mean nothing."""

import pytest

from tests.faults.sim.planted import PLANTED, hunt
from tests.faults.sim.quiet import simulated


@pytest.mark.parametrize("name", PLANTED)
def test_the_simulator_finds(name: str) -> None:
    with simulated():
        _, violation = hunt(PLANTED[name])
    assert violation is not None, f"nobody noticed: {name}"
