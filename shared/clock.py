"""Read wall time: the only place that does, so that everything else takes the time as an argument."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Return the wall time as epoch milliseconds."""
    return time.time_ns() // 1_000_000


def now() -> datetime:
    """Return the wall time as an aware UTC datetime, cut to whole milliseconds like `now_ms`."""
    return datetime.fromtimestamp(now_ms() / 1000, tz=UTC)
