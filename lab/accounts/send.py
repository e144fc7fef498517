"""Send accounts to the ingest as Segment's group calls, each under an id made from what it tells."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from lab.accounts.changes import Change
from lab.service import Service

A_REQUEST: Final = 500
PATIENCE_S: Final = 120.0
FIRST_PATIENCE_S: Final = 5.0
"""For the first request: an ingest that never was there is said soon."""
HOUR_MS: Final = 3_600_000


@dataclass(slots=True, kw_only=True)
class Sent:
    """How many were answered; with a test key, what would have been refused."""

    accounts: int = 0
    is_test: bool = False
    refused: list[Mapping[str, Any]] = field(default_factory=list)


def send(changes: Sequence[Change], ingest: Service, *, now_ms: int, after: Callable[[int], None]) -> Sent:
    """Send all changes; `after` is told how many are done. Raises Trouble: what was answered before is safe."""
    sent = Sent()
    for first in range(0, len(changes), A_REQUEST):
        part = changes[first : first + A_REQUEST]
        body = msgspec.json.encode({"batch": [call(change, now_ms=now_ms) for change in part]})
        answer = ingest.post("/v1/batch", body, patience_s=PATIENCE_S if first else FIRST_PATIENCE_S)
        sent.accounts += len(part)
        sent.is_test = answer.get("mode") == "test"
        sent.refused += answer.get("rejected") or []
        after(sent.accounts)
    return sent


def call(change: Change, *, now_ms: int) -> Mapping[str, object]:
    """Return the group call that tells an account."""
    return {
        "type": "group",
        "messageId": message_id(change, now_ms=now_ms),
        "groupId": change.account.id,
        "traits": change.account.traits,
    }


def message_id(change: Change, *, now_ms: int) -> str:
    """Return the id of what an account is told: the same file again is a duplicate.

    Where it is known what was there before, that and the hour belong to it: an account changed to B and back to A
    within a day must not have its second A taken for a duplicate of its first.
    """
    known = None if change.known is None else [sorted(change.known.items()), now_ms // HOUR_MS]
    said = msgspec.json.encode([change.account.id, sorted(change.account.traits.items()), known])
    return f"account-{hashlib.sha256(said).hexdigest()[:40]}"
