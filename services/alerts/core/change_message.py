"""Say to a person how each measure moved an account's health."""

from typing import Final

from services.alerts.core import words
from services.alerts.core.explain import Explanation, MeasureChange, Presence
from services.alerts.core.message import clean
from shared.contracts.health import AccountHealth

SHOWN_FROM: Final = 100
"""Milli-points: what is less reads 0.0."""


def line(change: MeasureChange) -> str:
    """Return one line: how the value moved, and by how many points that and its weight moved the health."""
    by_weight = _weight(change) if change.presence is Presence.KEPT else None
    return clean(words.moved_by(_what(change), change=words.moved_points(change.change), by_weight=by_weight), 500)


def headline(earlier: AccountHealth, later: AccountHealth, explained: Explanation) -> str:
    """Return one line: where the health stood, where it stands, and what lies between."""
    then, now = (words.health(one.health, one.band) for one in (earlier, later))
    what = words.value_moved(words.HEALTH, then=then, now=now)
    return words.moved_by(what, change=words.moved_points(explained.change), by_weight=_weight(explained))


def _what(change: MeasureChange) -> str:
    label, measure = words.label(change.measure), change.measure
    if change.presence is Presence.KEPT:
        then, now = (words.measured(measure, value) for value in (change.value_then, change.value_now))
        return words.value_moved(label, then=then, now=now)
    came = change.presence is Presence.CAME
    value = change.value_now if came else change.value_then
    if change.cause is None or value is None:
        return label
    cause = (words.CAME if came else words.WENT)[change.cause]
    return words.with_cause(label, value=words.measured(measure, value), cause=cause)


def _weight(change: MeasureChange | Explanation) -> str | None:
    return words.moved_points(change.by_weight) if abs(change.by_weight) >= SHOWN_FROM else None
