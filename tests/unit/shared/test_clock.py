"""The clock is UTC, and its two forms agree."""

from datetime import UTC, datetime, timedelta

from shared import clock


def test_both_forms_tell_the_same_time() -> None:
    before = clock.now_ms()
    now = clock.now()
    assert now.tzinfo is UTC
    assert timedelta() <= now - datetime.fromtimestamp(before / 1000, tz=UTC) < timedelta(seconds=5)
