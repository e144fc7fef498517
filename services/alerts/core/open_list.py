"""Gather a list of open episodes from its parts, and decide which reasons of an alert it disproves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.alerts.core.alert import OPEN_STATES
from shared.contracts.alerts import Alert, Reason
from shared.contracts.partition import partition_of
from shared.contracts.risk import Change, OpenEpisodes, Transition, transition_id

_DONE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenList:
    """Every episode open in a partition after its tick at `offset`, whose T is `at` (epoch ms)."""

    partition: int
    partitions: int
    offset: int
    at: int
    episodes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What came of the newest list of a partition; `first` is where its first part lies in the topic.

    While parts are missing, reading must be able to begin at `first` again.
    """

    offset: int
    count: int
    first: int
    parts: Mapping[int, Sequence[str]]

    @property
    def is_whole(self) -> bool:
        return self.first == _DONE


def gather(before: Gathered | None, part: OpenEpisodes, *, lies_at: int) -> tuple[Gathered, OpenList | None]:
    """Take a part at offset `lies_at` of the topic; return the list when this was the last one missing.

    A newer list drops what came of an older one; a part of an older one is let go.
    """
    if before is not None and part.offset < before.offset:
        return before, None
    if before is None or before.is_whole or (part.offset, part.parts) != (before.offset, before.count):
        before = Gathered(offset=part.offset, count=part.parts, first=lies_at, parts={})
    gathered = replace(before, parts={**before.parts, part.part: part.episodes})
    if len(gathered.parts) < part.parts:
        return gathered, None
    listed = OpenList(
        partition=part.partition,
        partitions=part.partitions,
        offset=part.offset,
        at=part.at,
        episodes=frozenset(episode for episodes in gathered.parts.values() for episode in episodes),
    )
    return replace(gathered, first=_DONE, parts={}), listed


def is_listed(alert: Alert, listed: OpenList) -> bool:
    """Return whether an alert is open and its account one of those that a list speaks of."""
    home = partition_of(alert.account.encode(), partitions=listed.partitions)
    return alert.state in OPEN_STATES and home == listed.partition


def absent(alert: Alert, listed: OpenList) -> list[Reason]:
    """Return the reasons of a listed alert that don't exist: not in the list, and not heard of since its tick."""
    return [r for r in alert.reasons if r.episode not in listed.episodes and r.changed_at <= listed.at]


def withdrawal(alert: Alert, reason: Reason, *, listed: OpenList) -> Transition:
    """Return the transition that takes back a reason, as the scorer would have written it at the list's tick."""
    return Transition(
        id=transition_id(reason.episode, change=Change.WITHDRAWN, at=listed.at),
        episode=reason.episode,
        account=alert.account,
        rule=reason.rule,
        change=Change.WITHDRAWN,
        severity=reason.severity,
        at=listed.at,
        opened_at=reason.opened_at,
        partition=listed.partition,
        offset=listed.offset,
        bundle=alert.bundle,
        standing=False,
        playbook=None,
        band=alert.band,
        health=alert.health,
        evidence=[],
        contributions=alert.contributions,
        attributes=alert.attributes,
    )
