"""When an event happened: the sender's time, corrected by how wrong the sender's clock is.

         at        sent      received          event time
skewed   09:00     09:10     10:10             10:00   an hour slow: shifted
transit  09:00     09:10     09:10:03          09:00   the way through the network
stored   09:00     09:10     two days later    09:00   sent again later, not a wrong clock
future   11:00     -         10:10             10:10   clamped to receipt
"""

import pytest

from services.ingest.core.moment import occurred_ms, read_stamp

HOUR = 3_600_000
NINE = 1_795_338_000_000


@pytest.mark.parametrize(
    ("at", "sent", "received", "expected"),
    [
        (0, HOUR // 6, HOUR + HOUR // 6, HOUR),
        (0, HOUR // 6, HOUR // 6 + 3_000, 0),
        (0, HOUR // 6, HOUR // 6 + 10_000, 0),
        (0, HOUR // 6, HOUR // 6 + 10_001, 10_001),
        (0, HOUR // 6, HOUR // 6 + 24 * HOUR, 24 * HOUR),
        (0, HOUR // 6, HOUR // 6 + 24 * HOUR + 1, 0),
        (2 * HOUR, 2 * HOUR + 5, HOUR + 5, HOUR),
        (2 * HOUR, None, HOUR, HOUR),
        (0, None, HOUR, 0),
    ],
)
def test_the_time_of_an_event(at: int, sent: int | None, received: int, expected: int) -> None:
    sent_ms = None if sent is None else NINE + sent
    assert occurred_ms(NINE + at, sent_ms=sent_ms, received_ms=NINE + received) == NINE + expected


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-22T07:00:00.000Z", 1_795_330_800_000),
        ("2026-11-22T08:00:00+01:00", 1_795_330_800_000),
        ("2026-11-22T07:00:00.123456+00:00", 1_795_330_800_123),
        ("2026-11-22 07:00:00", 1_795_330_800_000),
        ("2026-11-22", 1_795_305_600_000),
        (1_795_330_800, 1_795_330_800_000),
        (1_795_330_800_000, 1_795_330_800_000),
        (1_795_330_800.5, 1_795_330_800_500),
        (None, None),
        (True, None),
        ("", None),
        ("yesterday", None),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        (float("inf"), None),
        (float("nan"), None),
        (-5, None),
        (10**30, None),
        ({}, None),
    ],
)
def test_reading_a_stamp(stamp: object, expected: int | None) -> None:
    assert read_stamp(stamp) == expected
