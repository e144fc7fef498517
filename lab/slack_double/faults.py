"""Plan what goes wrong: each fault answers the next calls of a method in place of Slack, a number of times."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class FaultKind(StrEnum):
    """What goes wrong."""

    RATE_LIMITED = "rate_limited"
    """429, with Retry-After if one is given."""
    HTTP = "http"
    """Another status, with an HTML body, and `location` as where it redirects."""
    TIMEOUT_BEFORE = "timeout_before"
    """Nothing is accepted and no answer comes."""
    TIMEOUT_AFTER = "timeout_after"
    """It is accepted, but no answer comes."""
    HTML = "html"
    """200 with a page of some proxy; nothing is accepted."""
    ERROR = "error"
    """200 with `ok: false` and an error."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. `method` `*` is any; `channel` limits it to calls for that channel or name."""

    kind: FaultKind
    method: str = "*"
    times: int = 1
    channel: str | None = None
    retry_after: str | None = None
    status: int = 500
    location: str | None = None
    error: str = "internal_error"


class FaultPlan:
    """Faults in order; each is used up after its number of times."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._left = [(fault, fault.times) for fault in faults]

    def set(self, faults: Iterable[Fault]) -> None:
        """Replace the plan."""
        self._left = [(fault, fault.times) for fault in faults]

    def next(self, method: str, names: frozenset[str]) -> Fault | None:
        """Return the fault for a call, and use it up once. `names` are how the call's channel is called."""
        for index, (fault, times) in enumerate(self._left):
            if times > 0 and fault.method in {"*", method} and (fault.channel is None or fault.channel in names):
                self._left[index] = (fault, times - 1)
                return fault
        return None
