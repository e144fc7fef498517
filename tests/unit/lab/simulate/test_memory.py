"""What a simulation holds grows with its accounts, not with its days."""

import tracemalloc
from pathlib import Path

import pytest

from lab.simulate.run import write
from lab.simulate.vendor import DAY, MONDAY, Vendor

ELSEWHEN = MONDAY + 3500 * DAY
"""Days no other test has simulated: what is kept of them would count."""


def peak(days: int, *, accounts: int = 40) -> int:
    """Return the most bytes held while so many days are written."""
    tracemalloc.start()
    try:
        vendor = Vendor(accounts=accounts, days=days, seed=2, start=ELSEWHEN, user_events_a_day=0.5, joining=0.0)
        write(vendor, out=Path("/dev/null"), truth=Path("/dev/null"))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def ten_days() -> int:
    peak(2)  # tables that are made once
    return peak(10)


def test_ten_times_the_days_take_no_more(ten_days: int) -> None:
    assert peak(100) < 1.25 * ten_days


def test_more_accounts_do(ten_days: int) -> None:
    assert peak(10, accounts=160) > 1.5 * ten_days
