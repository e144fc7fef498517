"""`churnwatch simulate`: write a simulated vendor's events to a file, and the truth to another."""

import time
from datetime import UTC, date, datetime
from pathlib import Path

from lab.simulate import MONDAY, Vendor, write
from lab.trouble import Trouble


def simulate(*, out: Path, accounts: int = 300, days: int = 90, seed: int = 7, start: str | None = None) -> None:
    """Simulate a vendor: events as JSON lines in the form of churn.events.v1, the truth in OUT.truth.

    Parameters
    ----------
    out
        File of the events; beside it, with `.truth` at its end, one line an account: when it began to decline, when
        it churned, and its true hazard by day.
    start
        First day, YYYY-MM-DD. 2026-01-05 unless said.
    """
    if accounts < 1 or days < 1:
        raise Trouble(f"--accounts {accounts} --days {days}: both must be at least 1")
    vendor = Vendor(accounts=accounts, days=days, seed=seed, start=_midnight(start))
    began = time.perf_counter()
    events = write(vendor, out=out, truth=out.with_name(f"{out.name}.truth"))
    took = time.perf_counter() - began
    print(f"{events} events of {accounts} accounts in {days} days: {out} ({took:.1f} s, {events / took:,.0f} a second)")


def _midnight(start: str | None) -> int:
    if start is None:
        return MONDAY
    try:
        day = date.fromisoformat(start)
    except ValueError:
        raise Trouble(f"--start {start!r}: is no day; write it as 2026-01-05") from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
