"""Nights, weekends and holidays are no outage; a name lost at night is found in the morning."""

from datetime import UTC, datetime

import pytest

from lab.simulate.vendor import Vendor
from tests.support.arrivals import guards_in
from tests.support.log import DAY, HOUR

DECEMBER = int(datetime(2025, 12, 8, tzinfo=UTC).timestamp() * 1000)

EVERYWHERE = Vendor(accounts=150, days=365)
JAPAN = Vendor(accounts=150, days=365, countries=("JP",), sources=("web",))
AMERICA = Vendor(accounts=400, days=365, countries=("US",), sources=("web", "mobile", "desktop"), user_events_a_day=1.0)


def japan(days: int) -> Vendor:
    """Return a vendor whose customers all rest at the turn of the year, and so does its only app; programs go on."""
    return Vendor(accounts=40, days=days, start=DECEMBER, countries=("JP",), sources=("web",), joining=0.0)


def test_the_turn_of_the_year_is_no_incident() -> None:
    assert guards_in(japan(days=25)) == []


def test_a_name_lost_in_the_night_is_found_in_the_morning_and_back_when_it_is() -> None:
    # a Wednesday in the second week, 3:00 in Tokyo, to the next day, 13:00
    night = DECEMBER + 8 * DAY + 18 * HOUR

    def lost(source: str, name: str, at: int) -> bool:
        return (source, name) == ("/sources/web", "Report Viewed") and night <= at < night + 10 * HOUR

    held, over = guards_in(japan(days=11), lost=lost)
    assert (held.key, over.key) == ("/sources/web\0Report Viewed",) * 2
    assert night + 6 * HOUR < held.at < night + 9 * HOUR
    assert night + 10 * HOUR < over.at < night + 12 * HOUR


@pytest.mark.proof
@pytest.mark.parametrize(
    ("vendor", "tell"),
    [
        (EVERYWHERE, 1.0),
        (EVERYWHERE, 0.0),
        (JAPAN, 1.0),
        (JAPAN, 0.5),
        (AMERICA, 1.0),
    ],
    ids=[
        "six countries",
        "nobody tells the country",
        "one source in Japan",
        "half of Japan tells the country",
        "three sources in America",
    ],
)
def test_a_year_of_nights_weekends_and_holidays_is_no_incident(vendor: Vendor, tell: float) -> None:
    assert guards_in(vendor, tell=tell) == []
