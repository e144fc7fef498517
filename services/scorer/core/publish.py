"""Write what an evaluation found as the bytes that leave the scorer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import BANDS, CompiledBundle
from services.scorer.core.facts import Facts
from services.scorer.core.features import MISSING, Features, Flags
from services.scorer.core.rules import SEVERITIES, Episodes, Step
from services.scorer.core.scorecard import Health
from services.scorer.core.table import NONE, Ints
from shared.contracts.health import Attributes, Contribution
from shared.contracts.risk import Change, Evidence, Severity, Transition, episode_id, transition_id

GENERATION: Final = 1
_POINT: Final = 1000


class HealthRow(NamedTuple):
    """One account's health for Redis: `payload` is AccountHealth as JSON, the rest is for listings."""

    account: str
    payload: bytes
    health: int | None
    band: str
    at: int
    owner: str | None
    segment: str | None
    arr: int | None
    name: str | None
    offset: int


class Record(NamedTuple):
    """A record to send; `at` becomes its CreateTime (epoch ms)."""

    key: bytes
    value: bytes
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything known after judging `features.rows` at one tick."""

    at: int
    offset: int
    partition: int
    features: Features
    health: Health
    bands: Ints
    activity: Activity
    facts: Facts
    episodes: Episodes
    bundle: CompiledBundle


def health_rows(evaluation: Evaluation) -> list[HealthRow]:
    """Return the health of every account evaluated, in the order of its rows."""
    features, bundle = evaluation.features, evaluation.bundle
    names, facts = evaluation.activity.names, evaluation.facts
    contributions = _contributions(evaluation)
    tail = _tail(evaluation)
    evidence = bundle.scorecard.evidence
    head = f'"at":{evaluation.at},"partition":{evaluation.partition},"offset":{evaluation.offset},"generation":{GENERATION},'
    head += f'"bundle":"{bundle.version}",'
    numbers = zip(
        features.rows.tolist(),
        _nullable(evaluation.health.health),
        evaluation.bands.tolist(),
        np.clip(features.values["tenure_days"], 0, evidence.days).tolist(),
        np.minimum(features.values["active_days"], evidence.active_days).tolist(),
        _nullable(features.last),
        _nullable(features.deadline),
        contributions,
        tail,
        strict=True,
    )
    rows = []
    for row, health, band, days, active, last, deadline, parts, episodes in numbers:
        account = names.text(row).decode()
        band_name = _BAND_NAMES[band]
        attributes = facts.attributes.get(row, b"{}").decode()
        payload = (
            f'{{"account":{_text(account)},{head}"health":{_null(health)},"band":"{band_name}",'
            f'"evidence_days":{days},"evidence_needed":{evidence.days},"active_days":{active},'
            f'"active_days_needed":{evidence.active_days},"last_activity":{_null(last)},'
            f'"silence_deadline":{_null(deadline)},"contributions":{parts},"episodes":{episodes},'
            f'"attributes":{attributes}}}'
        )
        listed = facts.listed.get(row, _UNLISTED)
        rows.append(
            HealthRow(account, payload.encode(), health, band_name, evaluation.at, *listed, evaluation.offset)
        )
    return rows


def to_publish(evaluation: Evaluation) -> Flags:
    """Say whose health belongs on `churn.scores.v1` now, and remember it as published (docs/scoring.md §9)."""
    columns, rows = evaluation.activity.accounts, evaluation.features.rows
    health, day = evaluation.health.health, evaluation.features.day
    before = columns["published_health"][rows]
    changed = (health == MISSING) != (before == NONE)
    moved = (health != MISSING) & (before != NONE) & (np.abs(health - before) >= _POINT)
    due = changed | moved | (columns["published_band"][rows] != evaluation.bands)
    due |= columns["published_day"][rows] != day
    columns["published_health"][rows[due]] = health[due]
    columns["published_band"][rows[due]] = evaluation.bands[due]
    columns["published_day"][rows[due]] = day[due]
    return due


def transitions(steps: Sequence[Step], *, evaluation: Evaluation, before: Episodes, standing: bool) -> list[Record]:
    """Return the records of steps of episodes, account by account: the rules in order, then rules that are no more.

    `before` are the episodes as they were under the last bundle; those of rules the new one lacks are withdrawn.
    """
    rows = evaluation.features.rows
    found = [
        (int(where), order, _transition(evaluation, int(where), step=step, opened=opened, severity=severity, standing=standing))
        for order, step in enumerate(steps)
        for where, opened, severity in zip(step.where, step.opened.tolist(), step.severity.tolist(), strict=True)
    ]
    dropped = sorted(set(before.rules) - set(evaluation.bundle.rule_names))
    for order, rule in enumerate(dropped, start=len(steps)):
        k = before.rules.index(rule)
        opened, severity = before.columns["opened"][rows, k], before.columns["severity"][rows, k]
        for where in np.flatnonzero(opened != NONE).tolist():
            record = _record(
                evaluation,
                where,
                rule=rule,
                change=Change.WITHDRAWN,
                opened=int(opened[where]),
                severity=int(severity[where]),
            )
            found.append((where, order, record))
    return [record for _, _, record in sorted(found, key=lambda item: item[:2])]


def _transition(
    evaluation: Evaluation, where: int, *, step: Step, opened: int, severity: int, standing: bool
) -> Record:
    evidence = [
        part for condition in step.rule.all for part in _evidence(evaluation, where, feature=condition.feature)
    ]
    return _record(
        evaluation,
        where,
        rule=step.rule.name,
        change=step.change,
        opened=opened,
        severity=severity,
        evidence=evidence,
        playbook=step.rule.playbook,
        standing=standing and step.change is Change.OPENED,
    )


def _record(
    evaluation: Evaluation,
    where: int,
    *,
    rule: str,
    change: Change,
    opened: int,
    severity: int,
    evidence: Sequence[Evidence] = (),
    playbook: str | None = None,
    standing: bool = False,
) -> Record:
    row = int(evaluation.features.rows[where])
    account = evaluation.activity.names.text(row)
    episode = episode_id(account.decode(), rule=rule, opened_at=opened)
    transition = Transition(
        id=transition_id(episode, change=change, at=evaluation.at),
        episode=episode,
        account=account.decode(),
        rule=rule,
        change=change,
        severity=SEVERITIES[severity] or Severity.AT_RISK,
        at=evaluation.at,
        opened_at=opened,
        partition=evaluation.partition,
        offset=evaluation.offset,
        bundle=evaluation.bundle.version,
        standing=standing,
        playbook=playbook,
        band=BANDS[evaluation.bands[where]],
        health=_at(evaluation.health.health, where),
        evidence=list(evidence),
        contributions=_parts(evaluation, where),
        attributes=msgspec.json.decode(evaluation.facts.attributes.get(row, b"{}"), type=Attributes),
    )
    return Record(account, msgspec.json.encode(transition), evaluation.at)


def _evidence(evaluation: Evaluation, where: int, *, feature: str) -> list[Evidence]:
    """Return the numbers a condition stood on; what is missing by now is left out."""
    features = evaluation.features
    value = _at(features.values[feature], where)
    if feature == "silence":
        last, deadline = _at(features.last, where), _at(features.deadline, where)
        if last is None or deadline is None:
            return []
        return [Evidence(feature="silence", value=evaluation.at - last, normal=deadline - last)]
    shown = [] if value is None else [Evidence(feature=feature, value=value)]
    usage = _at(features.values["usage_7"], where)
    if feature == "usage_change" and usage is not None:
        normal = int(features.values["usage_normal_28"][where]) // 4
        shown.append(Evidence(feature="usage_7", value=usage, normal=normal))
    return shown


def _parts(evaluation: Evaluation, where: int) -> list[Contribution]:
    health, bundle = evaluation.health, evaluation.bundle
    return [
        Contribution(
            dimension=bundle.dimension_names[measure.dimension],
            measure=measure.name,
            points=int(health.points[where, k]),
            possible=int(health.possible[where, k]),
            value=_at(evaluation.features.values[measure.name], where) or 0,
        )
        for k, measure in enumerate(bundle.measures)
        if health.counted[where, k]
    ]


def _contributions(evaluation: Evaluation) -> list[str]:
    """Return the contributions of every account as JSON: one text template for each set of measures that count."""
    health, bundle = evaluation.health, evaluation.bundle
    values = np.stack([evaluation.features.values[measure.name] for measure in bundle.measures], axis=1)
    numbers = np.stack([health.points, health.possible, np.where(values == MISSING, 0, values)], axis=2)
    patterns, which = np.unique(health.counted, axis=0, return_inverse=True)
    texts = [""] * len(which)
    for number, pattern in enumerate(patterns):
        template = "[" + ",".join(_template(bundle, k) for k in np.flatnonzero(pattern).tolist()) + "]"
        where = np.flatnonzero(which.reshape(-1) == number)
        filled = numbers[where][:, pattern].reshape(len(where), -1).tolist()
        for place, row in zip(where.tolist(), filled, strict=True):
            texts[place] = template % tuple(row)
    return texts


def _template(bundle: CompiledBundle, k: int) -> str:
    measure = bundle.measures[k]
    dimension = _text(bundle.dimension_names[measure.dimension]).replace("%", "%%")
    return f'{{"dimension":{dimension},"measure":"{measure.name}","points":%d,"possible":%d,"value":%d}}'


def _tail(evaluation: Evaluation) -> list[str]:
    """Return the open episodes of every account as JSON."""
    rows, episodes = evaluation.features.rows, evaluation.episodes
    opened = episodes.columns["opened"][rows][:, : len(episodes.rules)]
    texts = ["[]"] * len(rows)
    for where in np.flatnonzero((opened != NONE).any(axis=1)).tolist():
        account = evaluation.activity.names.text(int(rows[where])).decode()
        severity = episodes.columns["severity"][rows[where]]
        texts[where] = msgspec.json.encode(
            [
                {
                    "id": episode_id(account, rule=rule, opened_at=int(opened[where, k])),
                    "rule": rule,
                    "severity": SEVERITIES[severity[k]],
                    "opened_at": int(opened[where, k]),
                }
                for k, rule in enumerate(episodes.rules)
                if opened[where, k] != NONE
            ]
        ).decode()
    return texts


def _nullable(values: Ints) -> list[int | None]:
    return [None if value == MISSING else value for value in values.tolist()]


def _null(value: int | None) -> str:
    return "null" if value is None else str(value)


def _at(values: Ints, where: int) -> int | None:
    value = int(values[where])
    return None if value == MISSING else value


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()


_BAND_NAMES: Final = tuple(band.value for band in BANDS)
_UNLISTED: Final = (None, None, None, None)
