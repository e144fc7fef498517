"""Split the change between two healths of an account by measure, value and weight (docs/scoring.md §14)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from shared.contracts.events import SubscriptionStatus
from shared.contracts.health import AccountHealth, Contribution


class Presence(StrEnum):
    """Whether a measure counts in both healths, only in the later, or only in the earlier."""

    KEPT = "kept"
    CAME = "came"
    WENT = "went"


class Cause(StrEnum):
    """Why a measure counts in one of two healths only."""

    DATA = "data"
    """Its value became known, or is known no more."""
    SCORECARD = "scorecard"
    """Another configuration, or another of its scorecards: the segment changed, or the health was set by hand."""
    STAGE = "stage"
    """The account came to another lifecycle stage."""
    EVIDENCE = "evidence"
    """There was not enough evidence for any health."""
    ENDED = "ended"
    """The contract or the account had ended, and with it every judgement."""


class MeasureChange(msgspec.Struct, frozen=True, kw_only=True):
    """What one measure did to the health, in milli-points: `change` = `by_value` + `by_weight` = points now - then.

    Where it did not count it has no value, and neither points nor possible ones. Where it counted though nobody knew
    its value, it has points and no value.
    """

    dimension: str
    measure: str
    presence: Presence
    cause: Cause | None
    change: int
    by_value: int
    by_weight: int
    points_then: int
    points_now: int
    possible_then: int
    possible_now: int
    value_then: int | None
    value_now: int | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """`change` = `by_value` + `by_weight` = health later - earlier (none counts as 0), in milli-points.

    `measures` holds every measure of either health, the one that moved most first, and sums to all three.
    """

    change: int
    by_value: int
    by_weight: int
    measures: list[MeasureChange]


def explain(earlier: AccountHealth, later: AccountHealth) -> Explanation:
    """Return the change from one health of an account to a later one as an exact sum."""
    then = {c.measure: c for c in earlier.contributions}
    now = {c.measure: c for c in later.contributions}
    same_scale = _scale(earlier) == _scale(later)
    cause = _cause(earlier, later)
    changes = [
        _kept(then[name], now[name], same_scale=same_scale)
        if name in then and name in now
        else _one_sided(then.get(name), now.get(name), cause)
        for name in [*now, *(name for name in then if name not in now)]
    ]
    return Explanation(
        change=sum(c.change for c in changes),
        by_value=sum(c.by_value for c in changes),
        by_weight=sum(c.by_weight for c in changes),
        measures=sorted(changes, key=lambda c: (-abs(c.change), c.measure)),
    )


def moved_by_value(changes: Iterable[MeasureChange], *, most: int) -> list[str]:
    """Return the measures whose values moved the health, the strongest first."""
    moved = sorted((c for c in changes if c.by_value), key=lambda c: (-abs(c.by_value), c.measure))
    return [c.measure for c in moved[:most]]


def _scale(health: AccountHealth) -> tuple[str, str, str]:
    """Return what chooses curves and weights."""
    return health.bundle, health.scorecard, health.stage


def _cause(earlier: AccountHealth, later: AccountHealth) -> Cause:
    for health in (earlier, later):
        if health.health is None:
            return _why_none(health)
    if earlier.bundle != later.bundle:
        return Cause.SCORECARD
    if earlier.stage != later.stage:
        return Cause.STAGE
    return Cause.DATA if earlier.scorecard == later.scorecard else Cause.SCORECARD


def _why_none(health: AccountHealth) -> Cause:
    if health.attributes.deleted or health.attributes.subscription == SubscriptionStatus.CANCELLED:
        return Cause.ENDED
    enough = health.evidence_days >= health.evidence_needed and health.active_days >= health.active_days_needed
    return Cause.DATA if enough else Cause.EVIDENCE


def _kept(then: Contribution, now: Contribution, *, same_scale: bool) -> MeasureChange:
    change = now.points - then.points
    by_value = _by_value(then, now, same_scale=same_scale)
    return MeasureChange(
        dimension=now.dimension,
        measure=now.measure,
        presence=Presence.KEPT,
        cause=None,
        change=change,
        by_value=by_value,
        by_weight=change - by_value,
        points_then=then.points,
        points_now=now.points,
        possible_then=then.possible,
        possible_now=now.possible,
        value_then=_value(then),
        value_now=_value(now),
    )


def _by_value(then: Contribution, now: Contribution, *, same_scale: bool) -> int:
    """Return (s' - s) · (p + p') / 2, floored, with p what was possible and s = points / p."""
    p, q = then.possible, now.possible
    if p <= 0 or q <= 0:
        return 0
    cross = now.points * p - then.points * q
    # points and possible are each off by less than one: so much they differ with one score, see docs/scoring.md
    rounding = 2 * (p + q + 1)
    if _value(then) == _value(now) and (not same_scale or abs(cross) <= rounding):
        return 0
    return cross * (p + q) // (2 * p * q)


def _value(contribution: Contribution) -> int | None:
    return None if contribution.missing else contribution.value


def _one_sided(then: Contribution | None, now: Contribution | None, cause: Cause) -> MeasureChange:
    was, became = then or _NOTHING, now or _NOTHING
    change = became.points - was.points
    by_value = 0 if cause in _OF_WEIGHT else change
    known = now or was
    return MeasureChange(
        dimension=known.dimension,
        measure=known.measure,
        presence=Presence.CAME if now else Presence.WENT,
        cause=cause,
        change=change,
        by_value=by_value,
        by_weight=change - by_value,
        points_then=was.points,
        points_now=became.points,
        possible_then=was.possible,
        possible_now=became.possible,
        value_then=_value(then) if then else None,
        value_now=_value(now) if now else None,
    )


_NOTHING: Final = Contribution(dimension="", measure="", points=0, possible=0, value=0)
_OF_WEIGHT: Final = frozenset({Cause.SCORECARD, Cause.STAGE})
