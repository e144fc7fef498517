"""`churnwatch simulate`: write a simulated vendor's events to a file, and the truth to another."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from lab.simulate.places import PLACES
from lab.simulate.run import write
from lab.simulate.vendor import MONDAY, Vendor
from lab.trouble import Trouble


def simulate(  # noqa: PLR0913  a command's options
    *,
    out: Path,
    truth: Path | None = None,
    accounts: int = 300,
    days: int = 90,
    seed: int = 7,
    start: str | None = None,
    events_a_user: float = 3.0,
    joining: float = 0.15,
    source: Sequence[str] = ("web", "mobile"),
    country: Sequence[str] = tuple(PLACES),
) -> None:
    """Simulate a vendor with known churn: events as JSON lines in the form of churn.events.v1, the truth apart.

    docs/simulating.md tells every story, its rates and the true hazard.

    Parameters
    ----------
    out
        File of the events, in order of time.
    truth
        File of what is true: each customer's hazard and its chance to leave within 30, 60 and 90 days by day, what
        happens to it, when it left. OUT.truth unless said.
    start
        First day, YYYY-MM-DD. 2026-01-05 unless said.
    events_a_user
        What a user does on a workday.
    joining
        Share of accounts that sign up meanwhile.
    source
        An app people use; may be said several times.
    country
        Where customers are: JP, DE, GB, US, IN, BR; may be said several times.
    """
    if accounts < 1 or days < 1:
        raise Trouble(f"--accounts {accounts} --days {days}: both must be at least 1")
    if seed < 0 or events_a_user <= 0 or not 0 <= joining <= 1:
        raise Trouble("--seed must be at least 0, --events-a-user above 0, --joining between 0 and 1")
    if unknown := [code for code in country if code not in PLACES]:
        raise Trouble(f"--country {unknown[0]}: is none of {', '.join(PLACES)}")
    if odd := [name for name in source if not re.fullmatch(r"[\w.-]+", name)]:
        raise Trouble(f"--source {odd[0]!r}: write names of letters, digits, '.', '-' and '_'")
    vendor = Vendor(
        accounts=accounts,
        days=days,
        seed=seed,
        start=_midnight(start),
        user_events_a_day=events_a_user,
        joining=joining,
        sources=tuple(source),
        countries=tuple(country),
    )
    began = time.perf_counter()
    events = write(vendor, out=out, truth=truth or out.with_name(f"{out.name}.truth"))
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
