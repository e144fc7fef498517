"""Open, follow and end episodes: one account, one rule, from opening to end (docs/scoring.md §8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import CompiledBundle, Condition, Rule
from services.scorer.core.days import DAY, HORIZON_DAYS, day_of
from services.scorer.core.features import Features, usage_change_on
from services.scorer.core.formulas import survey_on
from services.scorer.core.rhythm import CONSIDERED_DAYS
from services.scorer.core.silence import deadlines_of, last_before
from services.scorer.core.table import NONE, Columns, Ints
from services.scorer.core.view import MISSING, Flags
from shared.contracts.risk import Change, Severity

SEVERITIES: Final = (None, Severity.AT_RISK, Severity.CRITICAL)
"""Severities by their code in the column `severity`."""
_CRITICAL: Final = SEVERITIES.index(Severity.CRITICAL)


class Episodes:
    """When each rule opened for each account (NONE: closed) and how severe it is: one column a rule."""

    def __init__(self, rules: Sequence[str] = ()) -> None:
        self.rules = list(rules)
        width = max(1, len(self.rules))
        self.columns = Columns({"opened": (np.int64, width, NONE), "severity": (np.int8, width, 0)})

    def end(self, row: int) -> dict[str, tuple[int, int]]:
        """Close every open episode of an account; return opening T and severity code of each by its rule."""
        opened, severity = self.columns["opened"][row], self.columns["severity"][row]
        found = {rule: (int(opened[k]), int(severity[k])) for k, rule in enumerate(self.rules) if opened[k] != NONE}
        opened[:], severity[:] = NONE, 0
        return found

    def under(self, rules: Sequence[str], *, ahead: Flags) -> "Episodes":
        """Return the same episodes with other columns; those of rules that are not among them are left out.

        Accounts `ahead` were restored from a later moment than the one being replayed: theirs stay, after the others.
        """
        opened = self.columns["opened"][: self.columns.count]
        later = [rule for k, rule in enumerate(self.rules) if rule not in rules and (opened[ahead, k] != NONE).any()]
        new = Episodes([*rules, *later])
        new.columns.add(self.columns.count)
        for rule in set(new.rules) & set(self.rules):
            whose = ahead if rule in later else slice(None)
            for column in ("opened", "severity"):
                values = self.columns[column][: self.columns.count, self.rules.index(rule)]
                new.columns[column][: self.columns.count, new.rules.index(rule)][whose] = values[whose]
        return new


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one rule's episodes: positions in `features.rows` with the opening T and severity code of each."""

    rule: Rule
    change: Change
    where: Ints
    opened: Ints
    severity: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """What judging stands on beside features: episodes, activity, rules, and whose rules on activity stand still."""

    episodes: Episodes
    activity: Activity
    bundle: CompiledBundle
    held: Flags


def judge(features: Features, *, at: int, court: Court) -> list[Step]:
    """Bring the episodes of `features.rows` to T = `at` under the bundle's rules and return what changed."""
    episodes, activity, bundle = court.episodes, court.activity, court.bundle
    steps = []
    for column, rule in enumerate(bundle.rules):
        opened = episodes.columns["opened"][features.rows, column]
        severity = episodes.columns["severity"][features.rows, column].astype(np.int64)
        is_open = opened != NONE
        still = court.held & ~features.ended & (rule.based_on == "activity")
        holds = _holds(rule, features=features, is_open=is_open) & ~still
        level = _level(rule, features=features, severity=severity)
        over = is_open & ~holds & ~features.ended & ~still
        withdrawn = over & _disproved(rule, over, opened=opened, features=features, activity=activity, bundle=bundle)
        changes = {
            Change.OPENED: ~is_open & holds,
            Change.WORSENED: is_open & holds & (level > severity),
            Change.EASED: is_open & holds & (level < severity),
            Change.EXPIRED: is_open & features.ended,
            Change.WITHDRAWN: withdrawn,
            Change.RESOLVED: over & ~withdrawn,
        }
        opened = np.where(changes[Change.OPENED], at, opened)
        severity = np.where(holds, level, severity)
        for change, flags in changes.items():
            where = np.flatnonzero(flags)
            if where.size:
                step = Step(rule=rule, change=change, where=where, opened=opened[where], severity=severity[where])
                steps.append(step)
        ends = over | changes[Change.EXPIRED]
        episodes.columns["opened"][features.rows, column] = np.where(ends, NONE, opened)
        episodes.columns["severity"][features.rows, column] = np.where(holds | is_open & ~ends, severity, 0)
    return steps


def _holds(rule: Rule, *, features: Features, is_open: Flags) -> Flags:
    holds = ~features.ended
    for condition in rule.all:
        given = _meets(condition, features.values[condition.feature])
        holds &= np.where(is_open, _meets(condition, features.values[condition.feature], leaving=True), given)
    for condition in rule.minimum:
        holds &= _meets(condition, features.values[condition.feature])
    return holds & features.evident if rule.based_on == "activity" else holds


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


def _disproved(
    rule: Rule, over: Flags, *, opened: Ints, features: Features, activity: Activity, bundle: CompiledBundle
) -> Flags:
    """Say for the accounts in `over` whether the rule was false when it opened, by what is known today."""
    disproved = np.zeros(len(over), bool)
    where = np.flatnonzero(over)
    if where.size:
        rows, then = features.rows[where], opened[where]
        for condition in rule.all:
            held = _held_then(condition, then, rows=rows, activity=activity, bundle=bundle)
            if condition.feature == "silence":
                held |= ~features.evident[where]
            disproved[where] |= ~held
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
        case "milestones_overdue" | "milestone_overdue_days" | "goal_pace" | "goal_behind_days" as name:
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
