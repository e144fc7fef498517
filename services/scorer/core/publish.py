"""Write what an evaluation found as the bytes that leave the scorer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import BANDS, CompiledBundle, CompiledMeasure
from services.scorer.core.erasure import Erasures
from services.scorer.core.facts import Facts, Listed
from services.scorer.core.features import Features
from services.scorer.core.rules import SEVERITIES, Episodes
from services.scorer.core.scorecard import Health
from services.scorer.core.table import NONE, Flags, Ints
from services.scorer.core.view import MISSING
from shared.contracts.health import Band
from shared.contracts.risk import episode_id

_POINT: Final = 1000


class HealthRow(NamedTuple):
    """One account's health for Redis: `payload` is AccountHealth as JSON, the rest is for listings.

    An empty payload removes the account. `erased` is T of the tick that removed it last, if it was ever erased: nothing
    older may be shown of it.
    """

    account: str
    payload: bytes
    health: int | None
    band: str
    at: int
    owner: str | None
    segment: str | None
    arr: int | None
    name: str | None
    parent: str | None
    offset: int
    erased: int | None = None


class Record(NamedTuple):
    """A record to send; `at` becomes its CreateTime (epoch ms)."""

    key: bytes | None
    value: bytes
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything known after judging `features.rows`, each account at the tick (`at`, `offset`)."""

    at: Ints
    offset: Ints
    partition: int
    generation: int
    features: Features
    health: Health
    bands: npt.NDArray[np.int8]
    activity: Activity
    facts: Facts
    episodes: Episodes
    erasures: Erasures
    bundle: CompiledBundle


def health_rows(evaluation: Evaluation) -> list[HealthRow]:
    """Return the health of every account evaluated, in the order of its rows.

    The JSON is text filled into a template for each set of measures that count, in the order of `AccountHealth`: the
    same bytes as msgspec's.
    """
    features, facts, evidence = evaluation.features, evaluation.facts, evaluation.bundle.scorecard.evidence
    overridden = len(evaluation.bundle.scorecard_names) - 1
    cards = list(map(_text, evaluation.bundle.scorecard_names))
    stages = list(map(_text, evaluation.activity.stages.texts))
    names = [name.decode() for name in evaluation.activity.names.texts(features.rows)]
    rows, healths, chosen = features.rows.tolist(), _nullable(evaluation.health.health), features.scorecard.tolist()
    parts = list(
        zip(
            map(_text, names),
            evaluation.at.tolist(),
            evaluation.offset.tolist(),
            healths,
            (_BAND_TEXTS[code] for code in evaluation.bands.tolist()),
            np.clip(features.values["tenure_days"], 0, evidence.days).tolist(),
            np.minimum(features.values["active_days"], evidence.active_days).tolist(),
            _nullable(features.last),
            _nullable(features.deadline),
            strict=True,
        )
    )
    endings = list(
        zip(
            _episodes(evaluation),
            (facts.attributes.get(row, "{}") for row in rows),
            (cards[card] for card in chosen),
            (stages[stage] for stage in features.stage.tolist()),
            (
                facts.overrides[row] if card == overridden and health != _NULL else _NULL
                for row, card, health in zip(rows, chosen, healths, strict=True)
            ),
            _journeys(evaluation),
            _goals(evaluation),
            strict=True,
        )
    )
    payloads = [b""] * len(rows)
    for template, places, contributions in _templates(evaluation):
        for place, filled in zip(places, contributions, strict=True):
            payloads[place] = (template % (*parts[place], *filled, *endings[place])).encode()
    return [
        HealthRow(
            name,
            payload,
            None if health == _NULL else health,
            _BAND_NAMES[code],
            at,
            *facts.listed.get(row, _UNLISTED),
            offset,
            evaluation.erasures.tick(row),
        )
        for row, name, payload, (_, at, offset, health, *_), code in zip(
            rows, names, payloads, parts, evaluation.bands.tolist(), strict=True
        )
    ]


def removal(account: str, *, at: int, offset: int) -> HealthRow:
    """Return what takes an erased account out of Redis, as of the tick (`at`, `offset`)."""
    return HealthRow(account, b"", None, Band.UNKNOWN.value, at, *_UNLISTED, offset, at)


def to_publish(evaluation: Evaluation) -> Flags:
    """Say whose health belongs on `churn.scores.v1` now, and remember it as published (docs/scoring.md §9)."""
    columns, rows = evaluation.activity.accounts, evaluation.features.rows
    health, day = evaluation.health.health, evaluation.features.day
    before = columns["published_health"][rows]
    changed = (health == MISSING) != (before == NONE)
    moved = (health != MISSING) & (before != NONE) & (np.abs(health - before) >= _POINT)
    due: Flags = changed | moved | (columns["published_band"][rows] != evaluation.bands)
    due |= columns["published_day"][rows] != day
    columns["published_health"][rows[due]] = health[due]
    columns["published_band"][rows[due]] = evaluation.bands[due]
    columns["published_day"][rows[due]] = day[due]
    return due


def _templates(evaluation: Evaluation) -> Iterator[tuple[str, list[int], list[list[int]]]]:
    """Yield for each set of measures that count: the text of a health, whose it is, and its contributions' numbers."""
    health = evaluation.health
    missing = health.values == MISSING
    numbers = np.stack([health.points, health.possible, np.where(missing, 0, health.values)], axis=2)
    packed = np.packbits(np.concatenate([health.counted, missing & health.counted], axis=1), axis=1)
    keys = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0]
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    for number, row in enumerate(first.tolist()):
        where, counted = np.flatnonzero(which.reshape(-1) == number), np.flatnonzero(health.counted[row])
        filled = numbers[where][:, counted].reshape(len(where), -1).tolist()
        measures = [(health.measures[k], bool(missing[row, k])) for k in counted.tolist()]
        yield _template(evaluation, measures=measures), where.tolist(), filled


def _template(evaluation: Evaluation, *, measures: Sequence[tuple[CompiledMeasure, bool]]) -> str:
    """Return the text of a health with places for numbers; each measure comes with whether its value is missing."""
    bundle, evidence = evaluation.bundle, evaluation.bundle.scorecard.evidence
    contributions = ",".join(_contribution(bundle, measure, missing=missing) for measure, missing in measures)
    return (
        f'{{"account":%s,"at":%d,"partition":{evaluation.partition},"offset":%d,"generation":{evaluation.generation},'
        f'"bundle":"{bundle.version}","health":%s,"band":%s,"evidence_days":%d,"evidence_needed":{evidence.days},'
        f'"active_days":%d,"active_days_needed":{evidence.active_days},"last_activity":%s,"silence_deadline":%s,'
        f'"contributions":[{contributions}],"episodes":%s,"attributes":%s,"scorecard":%s,"stage":%s,"override":%s,'
        '"journey":%s,"goal":%s}'
    )


def _contribution(bundle: CompiledBundle, measure: CompiledMeasure, *, missing: bool) -> str:
    names = (bundle.dimension_names[measure.dimension], measure.name)
    dimension, name = (_text(text).replace("%", "%%") for text in names)
    unknown = _MISSING if missing else ""
    return f'{{"dimension":{dimension},"measure":{name},"points":%d,"possible":%d,"value":%d{unknown}}}'


def _journeys(evaluation: Evaluation) -> list[str]:
    """Return where every account stands in its journey as JSON."""
    texts, position = [_NULL] * len(evaluation.features.rows), evaluation.features.position
    for where in np.flatnonzero(position.stage >= 0).tolist():
        texts[where] = msgspec.json.encode(position.journey(where)).decode()
    return texts


def _goals(evaluation: Evaluation) -> list[str]:
    """Return how far every account is on the way to its goal as JSON."""
    texts, progress = [_NULL] * len(evaluation.features.rows), evaluation.features.progress
    for where in progress.goals:
        texts[where] = msgspec.json.encode(progress.goal(where)).decode()
    return texts


def _episodes(evaluation: Evaluation) -> list[str]:
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


def _nullable(values: Ints) -> list[int | str]:
    return [_NULL if value == MISSING else value for value in values.tolist()]


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()


_BAND_NAMES: Final = tuple(band.value for band in BANDS)
_BAND_TEXTS: Final = tuple(_text(name) for name in _BAND_NAMES)
_NULL: Final = "null"
_MISSING: Final = ',"missing":true'
_UNLISTED: Final = Listed(None, None, None, None, None)
