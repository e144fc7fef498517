"""Say what an event counts as (docs/scoring.md §3), by the names that the scorecard gives to events and sources."""

from typing import Final

import msgspec

from shared.contracts.events import Kind, source_of

EVENTS: Final = "events"
HAND_USE: Final = "hand_use"
USERS: Final = "users"
OUTCOMES: Final = "outcomes"
AUTOMATION: Final = "automation"
TICKETS: Final = "tickets"
REMOVALS: Final = "removals"
KEY_FEATURES: Final = "key_features"
NO_PRESENCE: Final = frozenset(set(Kind) - {Kind.LOGIN, Kind.USAGE, Kind.OUTCOME})
"""Kinds that are nobody's activity; one not in the contract is."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """`signals` of config/scorecard.yaml."""

    automation: frozenset[str] = frozenset()
    automation_sources: frozenset[str] = frozenset()
    exports: frozenset[str] = frozenset()
    admin: frozenset[str] = frozenset()
    errors: frozenset[str] = frozenset()


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """What config/scorecard.yaml calls events; everything else in it is for the scorer."""

    key_features: frozenset[str] = frozenset()
    signals: Names = Names()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What of an event decides: `said` is a survey's kind; `name` is the kind where an unknown kind has none."""

    kind: str
    source: str
    name: str | None = None
    user: str | None = None
    said: str | None = None
    removed: bool = False


def counts_as(event: Told, signals: Signals) -> frozenset[str]:
    """Return everything an event counts as: for presence its signal and the groups of it, else its kind.

    A survey's answer counts as that survey, a key feature also as `use:<name>`, with a user as `adoption:<name>`.
    """
    if event.kind not in NO_PRESENCE:
        return _presence(event, signals)
    if event.kind == Kind.SURVEY:
        return frozenset({event.said or event.kind})
    return frozenset({TICKETS} if event.kind == Kind.TICKET else {REMOVALS} if event.removed else {event.kind})


def _presence(event: Told, signals: Signals) -> frozenset[str]:
    by_user = {USERS} if event.user else set()
    if event.kind == Kind.OUTCOME:
        return frozenset({EVENTS, OUTCOMES, *by_user})
    names, is_usage = signals.signals, event.kind != Kind.LOGIN
    from_robot = event.source in {source_of(name) for name in names.automation_sources}
    if from_robot or (is_usage and event.name in names.automation):
        return frozenset({EVENTS, AUTOMATION})
    if not is_usage:
        return frozenset({EVENTS, HAND_USE, "logins", *by_user})
    lists = {"exports": names.exports, "admin_actions": names.admin, "errors": names.errors}
    found = {group for group, those in lists.items() if event.name in those}
    if event.name in signals.key_features:
        found |= {KEY_FEATURES, f"use:{event.name}"} | ({f"adoption:{event.name}"} if event.user else set())
    return frozenset({EVENTS, HAND_USE, *found, *by_user})
