"""Say when an event happened, from what its sender's clock and ours say."""

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TRANSIT_MS: Final = 10_000
"""A difference this small is the way through the network, not a wrong clock."""
SANE_SKEW_MS: Final = 24 * 3_600_000
"""A difference beyond this is a body stored and sent again later, not a wrong clock."""
SECONDS_BELOW: Final = 100_000_000_000


def read_stamp(stamp: object) -> int | None:
    """Return epoch milliseconds (finer digits cut), or None when it is no time since 1970.

    RFC 3339 and its ISO 8601 relatives; without an offset it is UTC. Numbers below 10¹¹ are seconds.
    """
    at_ms: int | None = None
    if isinstance(stamp, str):
        at_ms = _read_text(stamp)
    elif isinstance(stamp, int | float) and not isinstance(stamp, bool) and math.isfinite(stamp):
        at_ms = int(stamp * 1000 if abs(stamp) < SECONDS_BELOW else stamp)
    return at_ms if at_ms is not None and 0 < at_ms < _END_MS else None


def occurred_ms(at_ms: int, *, sent_ms: int | None, received_ms: int) -> int:
    """Return an event's time on our clock: received - (sent - at), never after its receipt.

    Source: Segment's specification of `timestamp`. The correction is left out where `sentAt` is
    missing, differs from ours by no more than transit takes, or by more than a clock goes wrong.
    """
    skew_ms = 0 if sent_ms is None else received_ms - sent_ms
    if not TRANSIT_MS < abs(skew_ms) <= SANE_SKEW_MS:
        skew_ms = 0
    return max(1, min(at_ms + skew_ms, received_ms))


@lru_cache(maxsize=1024)
def _read_text(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


_END_MS: Final = 253_370_764_800_000  # 9999-01-01, so that no offset leaves the calendar
