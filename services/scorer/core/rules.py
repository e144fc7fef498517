"""Open, follow and end episodes: one account, one rule, from opening to end (docs/scoring.md §8)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import CompiledBundle, Condition, Rule
from services.scorer.core.days import DAY, HORIZON_DAYS, day_of
from services.scorer.core.episodes import SEVERITIES, Episodes
from services.scorer.core.features import Features, usage_change_on
from services.scorer.core.formulas import survey_on
from services.scorer.core.rhythm import CONSIDERED_DAYS
from services.scorer.core.silence import deadlines_of, last_before
from services.scorer.core.table import NONE, Column, Flags, Ints
from services.scorer.core.view import MISSING
from shared.contracts.risk import Change, Severity

_RANK: Final = np.array([0, 2, 3, 1])
"""How bad each of these is."""
_CRITICAL: Final = SEVERITIES.index(Severity.CRITICAL)
_WAITS, _STOOD = 1, 2


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one rule's episodes: positions in `features.rows` with the opening T and severity code of each.

    `standing` says which of them open though they were so before anybody judged.
    """

    rule: Rule
    change: Change
    where: Ints
    opened: Ints
    severity: Ints
    standing: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """What judging stands on beside features: episodes, activity, rules, and whose rules on activity stand still.

    `standing` says whose patterns were so before anybody judged, if they begin to hold now.
    """

    episodes: Episodes
    activity: Activity
    bundle: CompiledBundle
    held: Flags
    standing: Flags


def judge(features: Features, *, at: int, court: Court) -> list[Step]:
    """Bring the episodes of `features.rows` to T = `at` under the bundle's rules and return what changed."""
    known = court.episodes.of(features.rows)
    steps: list[Step] = []
    for k, rule in enumerate(court.bundle.rules):
        steps += _judged(rule, {name: values[k] for name, values in known.items()}, features, at=at, court=court)
    court.episodes.keep(features.rows, known)
    return steps


def _judged(rule: Rule, known: Mapping[str, Column], features: Features, *, at: int, court: Court) -> Iterator[Step]:
    """Bring what is known of one rule to T and yield what changed."""
    opened, severity, ready = known["opened"], known["severity"], known["ready"]
    is_open = opened != NONE
    still = court.held & ~features.ended & (rule.based_on == "activity")
    holds = _holds(rule, features=features, is_open=is_open) & ~still
    if not (holds | is_open | (known["waits"] != 0)).any():
        return
    waits, ready = _wait(rule, known, holds=holds & ~is_open, day=features.day, standing=court.standing)
    opens = holds & ~is_open & (features.day >= ready)
    level = _level(rule, features=features, severity=severity)
    over = is_open & ~holds & ~features.ended & ~still
    withdrawn = over & _disproved(rule, over, opened=opened, features=features, court=court)
    changes = {
        Change.OPENED: opens,
        Change.WORSENED: is_open & holds & (_RANK[level] > _RANK[severity]),
        Change.EASED: is_open & holds & (_RANK[level] < _RANK[severity]),
        Change.EXPIRED: is_open & features.ended,
        Change.WITHDRAWN: withdrawn,
        Change.RESOLVED: over & ~withdrawn,
    }
    opened = np.where(opens, at, opened)
    severity = np.where(holds, level, severity)
    ends = over | changes[Change.EXPIRED]
    cooled = np.maximum(ready, features.day + rule.cool_down_days)
    known["opened"][:] = np.where(ends, NONE, opened)
    known["severity"][:] = np.where(opens | is_open & ~ends, severity, 0)
    known["waits"][:] = np.where(still, known["waits"], np.where(opens, 0, waits))
    known["ready"][:] = np.where(ends & (rule.cool_down_days > 0), cooled, ready)
    for change, flags in changes.items():
        where = np.flatnonzero(flags)
        if where.size:
            standing = opens[where] & (waits[where] == _STOOD)
            yield Step(rule, change, where=where, opened=opened[where], severity=severity[where], standing=standing)


def _wait(rule: Rule, was: Mapping[str, Column], *, holds: Flags, day: Ints, standing: Flags) -> tuple[Ints, Ints]:
    """Return how closed rules wait, and from which day on they may open; `holds` says where they hold."""
    begins = holds & (was["waits"] == 0)
    waits = np.where(begins, np.where(standing, _STOOD, _WAITS), was["waits"])
    ready = np.where(begins & (rule.hold_days > 0), np.maximum(was["ready"], day + rule.hold_days), was["ready"])
    return np.where(holds, waits, 0), ready


def _holds(rule: Rule, *, features: Features, is_open: Flags) -> Flags:
    holds = ~features.ended
    for condition in rule.all:
        holds &= _keeps(condition, features=features, is_open=is_open)
    if rule.any:
        holds &= np.any([_keeps(condition, features=features, is_open=is_open) for condition in rule.any], axis=0)
    for condition in rule.minimum:
        holds &= _meets(condition, features.values[condition.feature])
    return holds & features.evident if rule.based_on == "activity" else holds


def _keeps(condition: Condition, *, features: Features, is_open: Flags) -> Flags:
    """Say where a condition is met: by the level to leave at for an open episode, else by the given one."""
    values = features.values[condition.feature]
    met = _meets(condition, values)
    return np.where(is_open, _meets(condition, values, leaving=True), met) if is_open.any() else met


def _level(rule: Rule, *, features: Features, severity: Ints) -> Ints:
    base = SEVERITIES.index(rule.severity)
    is_critical = np.full(len(features.rows), bool(rule.critical))
    for condition in rule.critical:
        values = features.values[condition.feature]
        is_critical &= np.where(
            severity == _CRITICAL, _meets(condition, values, leaving=True), _meets(condition, values)
        )
    return np.where(is_critical, _CRITICAL, base)


def _meets(condition: Condition, values: Ints, *, leaving: bool = False) -> Flags:
    level = condition.level if condition.leave is None or not leaving else condition.leave
    meets: Flags = (values != MISSING) & (values <= level if condition.at_least is None else values >= level)
    return meets


def _disproved(rule: Rule, over: Flags, *, opened: Ints, features: Features, court: Court) -> Flags:
    """Say for the accounts in `over` whether the rule was false when it opened, by what is known today."""
    disproved = np.zeros(len(over), bool)
    where = np.flatnonzero(over)
    if where.size:

        def held(condition: Condition) -> Flags:
            rows, then = features.rows[where], opened[where]
            found = _held_then(condition, then, rows=rows, activity=court.activity, bundle=court.bundle)
            return found | ~features.evident[where] if condition.feature == "silence" else found

        disproved[where] = ~np.all([held(condition) for condition in rule.all], axis=0)
        if rule.any:
            disproved[where] |= ~np.any([held(condition) for condition in rule.any], axis=0)
    return disproved


def _held_then(condition: Condition, then: Ints, *, rows: Ints, activity: Activity, bundle: CompiledBundle) -> Flags:
    """Re-evaluate a condition at past moments on today's activity; what can't be told for the past counts as true."""
    columns = activity.accounts
    roll = columns["roll"][rows]
    day = day_of(then, roll=roll)
    match condition.feature:
        case "silence":
            last = last_before(then, rows=rows, activity=activity)
            first_day, front = (columns[name][rows].astype(np.int64) for name in ("first_day", "front"))
            # the earliest local day considered may begin on the account-day before it
            forgotten = np.maximum(day_of(last, roll=roll) - CONSIDERED_DAYS - 1, first_day) <= front - HORIZON_DAYS
            known = np.flatnonzero((last != MISSING) & ~forgotten)
            held = np.ones(len(rows), bool)
            held[known] = deadlines_of(activity, rows=rows[known], last=last[known], bundle=bundle) <= then[known]
            return held
        case "usage_change":
            too_old = day - 35 <= columns["front"][rows].astype(np.int64) - HORIZON_DAYS
            return too_old | _meets(condition, usage_change_on(day, rows=rows, activity=activity, bundle=bundle))
        case "payment_failed_days":
            failed, paid = columns["payment_failed_at"][rows], columns["invoice_paid_at"][rows]
            was_paid = (failed <= paid) & (paid <= then)
            return (failed > then) | (~was_paid & _meets(condition, day - (failed - roll) // DAY))
        case "nps" | "csat" as name:
            came_later = columns[f"{name}_at"][rows] > then
            return came_later | _meets(condition, survey_on(day, name=name, rows=rows, activity=activity))
        case (
            "milestones_overdue"
            | "milestone_overdue_days"
            | "goal_pace"
            | "goal_behind_days"
            | "goal_shortfall" as name
        ):
            features = Features(then, rows=rows, activity=activity, bundle=bundle)
            untold = _goal_untold(features) if name.startswith("goal") else _stage_untold(features)
            return untold | _meets(condition, features.values[name])
        case _:
            return np.ones(len(rows), bool)


def _stage_untold(features: Features) -> Flags:
    """Say of which accounts the stage they were in has no start, or began later."""
    untold: Flags = (features.position.since == MISSING) | (features.position.since > features.day)
    return untold


def _goal_untold(features: Features) -> Flags:
    """Say of which accounts the goal, if there is any, began later, or its first days are forgotten."""
    goals = features.activity.goals
    begin = np.array([goals[row].begin if row in goals else NONE for row in features.rows.tolist()], np.int64)
    untold: Flags = (begin >= features.day) | (begin <= features.front - HORIZON_DAYS)
    return untold
