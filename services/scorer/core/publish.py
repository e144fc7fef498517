"""Write what an evaluation found as the bytes that leave the scorer."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import BANDS, CompiledBundle
from services.scorer.core.erasure import Erasures
from services.scorer.core.facts import Facts
from services.scorer.core.features import Features
from services.scorer.core.rules import SEVERITIES, Episodes
from services.scorer.core.scorecard import Health
from services.scorer.core.table import NONE, Ints
from services.scorer.core.view import MISSING, Flags
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

    The JSON is put together as text, field by field in the order of `AccountHealth`: the same bytes as msgspec's.
    """
    features, facts, evidence = evaluation.features, evaluation.facts, evaluation.bundle.scorecard.evidence
    common = f'"generation":{evaluation.generation},"bundle":"{evaluation.bundle.version}"'
    overridden = len(evaluation.bundle.scorecard_names) - 1
    cards, stages = evaluation.bundle.scorecard_names, list(map(_text, evaluation.activity.stages.texts))
    columns = zip(
        features.rows.tolist(),
        evaluation.activity.names.texts(features.rows),
        evaluation.at.tolist(),
        evaluation.offset.tolist(),
        _nullable(evaluation.health.health),
        evaluation.bands.tolist(),
        np.clip(features.values["tenure_days"], 0, evidence.days).tolist(),
        np.minimum(features.values["active_days"], evidence.active_days).tolist(),
        _nullable(features.last),
        _nullable(features.deadline),
        _contributions(evaluation),
        _episodes(evaluation),
        features.scorecard.tolist(),
        features.stage.tolist(),
        strict=True,
    )
    rows = []
    for (
        row,
        name,
        at,
        offset,
        health,
        code,
        days,
        active,
        last,
        deadline,
        contributions,
        episodes,
        card,
        stage,
    ) in columns:
        account, band = name.decode(), _BAND_NAMES[code]
        payload = (
            f'{{"account":{_text(account)},"at":{at},"partition":{evaluation.partition},"offset":{offset},{common},'
            f'"health":{health},"band":"{band}","evidence_days":{days},"evidence_needed":{evidence.days},'
            f'"active_days":{active},"active_days_needed":{evidence.active_days},"last_activity":{last},'
            f'"silence_deadline":{deadline},"contributions":{contributions},"episodes":{episodes},'
            f'"attributes":{facts.attributes.get(row, "{}")},"scorecard":"{cards[card]}","stage":{stages[stage]},'
            f'"override":{facts.overrides[row] if card == overridden and health != _NULL else _NULL}}}'
        )
        known = None if health == _NULL else int(health)
        listed, erased = facts.listed.get(row, _UNLISTED), evaluation.erasures.tick(row)
        rows.append(HealthRow(account, payload.encode(), known, band, at, *listed, offset, erased))
    return rows


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


def _contributions(evaluation: Evaluation) -> list[str]:
    """Return the contributions of every account as JSON: one text template for each set of measures that count."""
    health, bundle = evaluation.health, evaluation.bundle
    values = np.stack([evaluation.features.values[measure.name] for measure in bundle.measures], axis=1)
    numbers = np.stack([health.points, health.possible, np.where(values == MISSING, 0, values)], axis=2)
    packed = np.packbits(health.counted, axis=1)
    keys = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0]
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    texts = [""] * len(which)
    for number, pattern in enumerate(health.counted[first]):
        template = "[" + ",".join(_template(bundle, k) for k in np.flatnonzero(pattern).tolist()) + "]"
        where = np.flatnonzero(which.reshape(-1) == number)
        filled = numbers[where][:, pattern].reshape(len(where), -1).tolist()
        for place, row in zip(where.tolist(), filled, strict=True):
            texts[place] = template % tuple(row)
    return texts


def _template(bundle: CompiledBundle, k: int) -> str:
    measure = bundle.measures[k]
    dimension, name = (
        _text(text).replace("%", "%%") for text in (bundle.dimension_names[measure.dimension], measure.name)
    )
    return f'{{"dimension":{dimension},"measure":{name},"points":%d,"possible":%d,"value":%d}}'


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
_NULL: Final = "null"
_UNLISTED: Final = (None, None, None, None)
