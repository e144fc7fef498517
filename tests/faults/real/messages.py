"""Judge what Slack was told, as the double counted it, against the alerts that the log calls for."""

import json
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.contracts.risk import ENDS, Change, Transition

CALL_S: Final = 11.0
"""The longest a call takes until the service gives it up: a post this long before a fault may have been in it."""

Place = tuple[str, str]
"""Channel and alert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How often each alert was posted, and when (epoch ms)."""

    posts: Mapping[Place, Sequence[int]]

    @property
    def alerts(self) -> frozenset[str]:
        return frozenset(alert for _, alert in self.posts)

    @property
    def doubled(self) -> Mapping[Place, Sequence[int]]:
        """Return what one place was told more than once."""
        return {place: times for place, times in self.posts.items() if len(times) > 1}


def alerts_of(transitions: Iterable[Transition]) -> frozenset[str]:
    """Return the ids of the alerts that transitions (each account's in order) call for.

    An account has one open alert; its id is the id of the episode that opened it, and it ends with its last reason.
    """
    reasons: dict[str, set[str]] = {}
    found = set()
    for transition in transitions:
        here = reasons.setdefault(transition.account, set())
        if transition.change is Change.OPENED:
            if not here and not transition.standing:
                found.add(transition.episode)
            here.add(transition.episode)
        elif transition.change in ENDS:
            here.discard(transition.episode)
    return frozenset(found)


def read(slack_url: str) -> Told:
    """Return what the double holds."""
    with urllib.request.urlopen(f"{slack_url}/messages", timeout=30) as answer:  # noqa: S310  our own address
        return told(json.load(answer))


def told(messages: Iterable[Mapping[str, Any]]) -> Told:
    """Sort the double's messages by place; replies and what is about no alert are left out."""
    posts: dict[Place, list[int]] = {}
    for message in messages:
        values = (message.get("metadata") or {}).get("event_payload") or {}
        if values.get("kind") == "alert" and not message.get("thread_ts"):
            posts.setdefault((message["channel"], values["alert_id"]), []).append(int(float(message["ts"]) * 1000))
    return Told(posts=posts)


def unexplained(doubled: Mapping[Place, Sequence[int]], faults: Iterable[tuple[int, int]]) -> Sequence[Place]:
    """Return what was told twice though no fault of a provider's call (begin, end in epoch ms) can have been the cause.

    A duplicate is made when the answer to a post is lost: the post lies shortly before the fault or in it.
    """
    spans = list(faults)
    return [
        place
        for place, times in doubled.items()
        if not all(
            any(begin - CALL_S * 1000 <= first <= end + 1000 for begin, end in spans) for first in sorted(times)[:-1]
        )
    ]
