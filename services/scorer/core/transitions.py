"""Write the steps of episodes as records for `churn.risk.v1`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from services.scorer.core.bundle import BANDS, CompiledBundle
from services.scorer.core.episodes import SEVERITIES, Episodes
from services.scorer.core.publish import Evaluation, Record
from services.scorer.core.rules import Step
from services.scorer.core.table import NONE, Ints
from services.scorer.core.view import MISSING
from shared.contracts.health import Attributes, Band, Contribution
from shared.contracts.risk import (
    INCOMPLETE,
    Change,
    Evidence,
    ReceiverClass,
    Severity,
    Transition,
    episode_id,
    transition_id,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a transition says of its episode; `order` is its place among those of the account."""

    order: int
    rule: str
    change: Change
    opened: int
    severity: int
    evidence: Sequence[Evidence] = ()
    playbook: str | None = None
    standing: bool = False
    receiver: ReceiverClass = ReceiverClass.CS
    precision_percent: int | None = None


def transitions(steps: Sequence[Step], *, evaluation: Evaluation, before: Episodes, missed: Ints) -> list[Record]:
    """Return the records of an evaluation, account by account: the rules in order, then rules that are no more.

    `before` are the episodes as they were under the last bundle: those of rules the new one lacks are withdrawn.
    `missed` is since when a source that feeds the account is missed (epoch ms), 0 where none is.
    """
    found = [
        (int(where), _told(step, place, order=order, evaluation=evaluation, missed=missed))
        for order, step in enumerate(steps)
        for place, where in enumerate(step.where)
    ]
    found += _dropped(before, evaluation=evaluation, order=len(steps))
    found.sort(key=lambda item: (item[0], item[1].order))
    return [_record(evaluation, where, told) for where, told in found]


def expiries(
    account: bytes, episodes: Mapping[str, tuple[int, int]], *, at: int, place: tuple[int, int], bundle: CompiledBundle
) -> list[Record]:
    """Return the records that end the episodes of an erased account: they say nothing of it any more.

    `episodes` are opening T and severity code by rule, `place` the partition and the offset of the tick.
    """
    records = []
    for rule, (opened, severity) in sorted(episodes.items()):
        episode = episode_id(account.decode(), rule=rule, opened_at=opened)
        transition = Transition(
            id=transition_id(episode, change=Change.EXPIRED, at=at),
            episode=episode,
            account=account.decode(),
            rule=rule,
            change=Change.EXPIRED,
            severity=SEVERITIES[severity] or Severity.AT_RISK,
            at=at,
            opened_at=opened,
            partition=place[0],
            offset=place[1],
            bundle=bundle.version,
            standing=False,
            playbook=None,
            band=Band.UNKNOWN,
            health=None,
            evidence=[],
            contributions=[],
            attributes=Attributes(),
        )
        records.append(Record(account, msgspec.json.encode(transition), at))
    return records


def _told(step: Step, place: int, *, order: int, evaluation: Evaluation, missed: Ints) -> _Told:
    where = int(step.where[place])
    evidence = [part for name in step.rule.features for part in _evidence(evaluation, where, name)]
    if step.rule.based_on == "activity" and missed[where]:
        evidence.append(Evidence(feature=INCOMPLETE, value=int(evaluation.at[where] - missed[where])))
    return _Told(
        order=order,
        rule=step.rule.name,
        change=step.change,
        opened=int(step.opened[place]),
        severity=int(step.severity[place]),
        evidence=evidence,
        playbook=step.rule.playbook,
        standing=bool(step.standing[place]),
        receiver=step.rule.receiver,
        precision_percent=step.rule.precision_percent,
    )


def _dropped(before: Episodes, *, evaluation: Evaluation, order: int) -> list[tuple[int, _Told]]:
    found: list[tuple[int, _Told]] = []
    rules = sorted(set(before.rules) - set(evaluation.bundle.rule_names))
    known = before.of(evaluation.features.rows) if rules else {}
    for number, rule in enumerate(rules, order + 1):
        k = before.rules.index(rule)
        opened, severity = known["opened"][k].tolist(), known["severity"][k].tolist()
        found += [
            (where, _Told(order=number, rule=rule, change=Change.WITHDRAWN, opened=since, severity=severity[where]))
            for where, since in enumerate(opened)
            if since != NONE
        ]
    return found


def _record(evaluation: Evaluation, where: int, told: _Told) -> Record:
    row = int(evaluation.features.rows[where])
    account = evaluation.activity.names.text(row)
    at, offset = int(evaluation.at[where]), int(evaluation.offset[where])
    episode = episode_id(account.decode(), rule=told.rule, opened_at=told.opened)
    transition = Transition(
        id=transition_id(episode, change=told.change, at=at),
        episode=episode,
        account=account.decode(),
        rule=told.rule,
        change=told.change,
        severity=SEVERITIES[told.severity] or Severity.AT_RISK,
        at=at,
        opened_at=told.opened,
        partition=evaluation.partition,
        offset=offset,
        bundle=evaluation.bundle.version,
        standing=told.standing,
        playbook=told.playbook,
        band=BANDS[evaluation.bands[where]],
        health=_at(evaluation.health.health, where),
        evidence=list(told.evidence),
        contributions=_contributions(evaluation, where),
        receiver=told.receiver,
        precision_percent=told.precision_percent,
        attributes=msgspec.json.decode(evaluation.facts.attributes.get(row, b"{}"), type=Attributes),
    )
    return Record(account, msgspec.json.encode(transition), at)


def _evidence(evaluation: Evaluation, where: int, feature: str) -> list[Evidence]:
    """Return the numbers a condition stood on; what is missing by now is left out."""
    features = evaluation.features
    value = _at(features.values[feature], where)
    if feature == "silence":
        last, deadline = _at(features.last, where), _at(features.deadline, where)
        if last is None or deadline is None:
            return []
        return [Evidence(feature="silence", value=int(evaluation.at[where]) - last, normal=deadline - last)]
    if feature == "milestones_overdue" and value:
        return [Evidence(feature=feature, value=value, unmet=features.position.unmet(where))]
    shown = [] if value is None else [Evidence(feature=feature, value=value)]
    behind = _at(features.values["goal_behind_days"], where) if feature == "goal_pace" else None
    if behind is not None:
        shown.append(Evidence(feature="goal_behind_days", value=behind))
    usage = _at(features.values["usage_7"], where)
    if feature == "usage_change" and usage is not None:
        normal = int(features.values["usage_normal_28"][where]) // 4
        shown.append(Evidence(feature="usage_7", value=usage, normal=normal))
    return shown


def _contributions(evaluation: Evaluation, where: int) -> list[Contribution]:
    health, bundle = evaluation.health, evaluation.bundle
    return [
        Contribution(
            dimension=bundle.dimension_names[measure.dimension],
            measure=measure.name,
            points=int(health.points[k, where]),
            possible=int(health.possible[k, health.kind[where]]),
            value=_at(health.values[k], where) or 0,
            missing=_at(health.values[k], where) is None,
        )
        for k, measure in enumerate(health.measures)
        if health.counted[k, where]
    ]


def _at(values: Ints, where: int) -> int | None:
    value = int(values[where])
    return None if value == MISSING else value
