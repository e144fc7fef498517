"""Write what an evaluation found as the bytes that leave the scorer."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import BANDS, CompiledBundle
from services.scorer.core.episodes import SEVERITIES, Episodes
from services.scorer.core.erasure import Erasures
from services.scorer.core.facts import Facts, Listed
from services.scorer.core.features import Features
from services.scorer.core.scorecard import Health
from services.scorer.core.table import NONE, Flags, Ints
from services.scorer.core.view import MISSING
from shared.contracts.health import Band
from shared.contracts.risk import episode_id

_POINT: Final = 1000


class HealthRow(msgspec.Struct, frozen=True, gc=False):
    """One account's health for Redis: `payload` is AccountHealth as JSON, the rest is for listings.

    An empty payload removes the account. `erased` is T of the tick that removed it last, if it was ever erased: nothing
    older may be shown of it. A tick may make a million: the garbage collector, for which they'd be a third of a second
    each time, doesn't look at them.
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


class Record(msgspec.Struct, frozen=True, gc=False):
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
    """Return the health of every account evaluated, in the order of its rows: JSON, the same bytes as msgspec's."""
    features, facts, erasures = evaluation.features, evaluation.facts, evaluation.erasures
    rows = features.rows.tolist()
    names = [name.decode() for name in evaluation.activity.names.texts(features.rows)]
    columns = (
        names,
        _payloads(evaluation, names=names),
        [None if value == MISSING else value for value in evaluation.health.health.tolist()],
        [_BAND_NAMES[code] for code in evaluation.bands.tolist()],
        evaluation.at.tolist(),
        *zip(*map(facts.listed.get, rows, repeat(_UNLISTED)), strict=True),
        evaluation.offset.tolist(),
        [erasures.tick(row) for row in rows] if erasures.accounts else [None] * len(rows),
    )
    return list(map(HealthRow, *columns))


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


_Part = tuple[str, Sequence[bytes]]
"""What every account has in its text, and what comes after it, one an account."""


def _payloads(evaluation: Evaluation, *, names: Sequence[str]) -> list[bytes]:
    """Return the texts, put together for all accounts at once of which the same measures count.

    Values are lists by part, and not tuples by account: that is twice as fast as formatting one after the other.
    """
    health, before, after = evaluation.health, _before(evaluation, names=names), _after(evaluation)
    payloads = [b""] * len(names)
    for kind, example in enumerate(health.example.tolist()):
        where = np.flatnonzero(health.kind == kind)
        places = where.tolist()
        middle, end = _contributions(evaluation, where, counted=np.flatnonzero(health.counted[:, example]).tolist())
        begun, (text, values), *rest = _of(before, places), *_of(after, places)
        for place, payload in zip(places, _joined([*begun, *middle, (end + text, values), *rest]), strict=True):
            payloads[place] = payload
    return payloads


def _of(parts: Sequence[_Part], places: Sequence[int]) -> list[_Part]:
    """Return the parts of some accounts."""
    if len(places) == len(parts[0][1]):
        return list(parts)
    return [(text, [values[place] for place in places]) for text, values in parts]


def _joined(parts: Sequence[_Part]) -> list[bytes]:
    """Return the texts of as many accounts as there are values."""
    columns = [column for text, values in parts for column in (repeat(text.encode()), values)]
    return list(map(b"".join, zip(*columns, repeat(b"}"), strict=False)))


def _before(evaluation: Evaluation, *, names: Sequence[str]) -> list[_Part]:
    """Return the parts of a health before its contributions, in the order of `AccountHealth`."""
    features, evidence = evaluation.features, evaluation.bundle.scorecard.evidence
    return [
        ('{"account":', list(map(msgspec.json.encode, names))),
        (',"at":', _numbers(evaluation.at)),
        (f',"partition":{evaluation.partition},"offset":', _numbers(evaluation.offset)),
        (
            f',"generation":{evaluation.generation},"bundle":"{evaluation.bundle.version}","health":',
            _numbers(evaluation.health.health),
        ),
        (',"band":', [_BAND_TEXTS[code] for code in evaluation.bands.tolist()]),
        (',"evidence_days":', _numbers(np.clip(features.values["tenure_days"], 0, evidence.days))),
        (
            f',"evidence_needed":{evidence.days},"active_days":',
            _numbers(np.minimum(features.values["active_days"], evidence.active_days)),
        ),
        (f',"active_days_needed":{evidence.active_days},"last_activity":', _numbers(features.last)),
        (',"silence_deadline":', _numbers(features.deadline)),
    ]


def _contributions(evaluation: Evaluation, where: Ints, *, counted: Sequence[int]) -> tuple[list[_Part], str]:
    """Return the parts of the contributions of accounts of which these measures count and are missing alike.

    With them comes what follows the last one.
    """
    health, bundle = evaluation.health, evaluation.bundle
    parts: list[_Part] = []
    text = ',"contributions":['
    for k in counted:
        measure, values = health.measures[k], health.values[k, where]
        names = (bundle.dimension_names[measure.dimension], measure.name)
        dimension, name = (msgspec.json.encode(name).decode() for name in names)
        text += f'{{"dimension":{dimension},"measure":{name},"points":'
        parts.append((text, _numbers(health.points[k, where])))
        text = f',"possible":{health.possible[k, health.kind[where[0]]]},"value":'
        is_missing = values[0] == MISSING
        parts.append((text, _numbers(np.where(is_missing, 0, values))))
        text = ',"missing":true},' if is_missing else "},"
    return parts, text.removesuffix(",")


def _after(evaluation: Evaluation) -> list[_Part]:
    """Return the parts after them."""
    features, facts = evaluation.features, evaluation.facts
    rows, chosen = features.rows.tolist(), features.scorecard.tolist()
    overridden = len(evaluation.bundle.scorecard_names) - 1
    cards = list(map(msgspec.json.encode, evaluation.bundle.scorecard_names))
    stages = list(map(msgspec.json.encode, evaluation.activity.stages.texts))
    has_override = (features.scorecard == overridden) & (evaluation.health.health != MISSING)
    return [
        ('],"episodes":', _episodes(evaluation)),
        (',"attributes":', list(map(facts.attributes.get, rows, repeat(b"{}")))),
        (',"scorecard":', [cards[card] for card in chosen]),
        (',"stage":', [stages[stage] for stage in features.stage.tolist()]),
        (
            ',"override":',
            [facts.overrides[row] if has else _NULL for row, has in zip(rows, has_override.tolist(), strict=True)],
        ),
        (',"journey":', _journeys(evaluation)),
        (',"goal":', _goals(evaluation)),
    ]


def _journeys(evaluation: Evaluation) -> list[bytes]:
    """Return where every account stands in its journey as JSON."""
    texts, position = [_NULL] * len(evaluation.features.rows), evaluation.features.position
    for where in np.flatnonzero(position.stage >= 0).tolist():
        texts[where] = msgspec.json.encode(position.journey(where))
    return texts


def _goals(evaluation: Evaluation) -> list[bytes]:
    """Return how far every account is on the way to its goal as JSON."""
    texts, progress = [_NULL] * len(evaluation.features.rows), evaluation.features.progress
    for where in progress.goals:
        texts[where] = msgspec.json.encode(progress.goal(where))
    return texts


def _episodes(evaluation: Evaluation) -> list[bytes]:
    """Return the open episodes of every account as JSON."""
    rows, episodes = evaluation.features.rows, evaluation.episodes
    known = episodes.of(rows)
    opened, severity = known["opened"], known["severity"]
    texts = [b"[]"] * len(rows)
    for where in np.flatnonzero((opened != NONE).any(axis=0)).tolist():
        account = evaluation.activity.names.text(int(rows[where])).decode()
        texts[where] = msgspec.json.encode(
            [
                {
                    "id": episode_id(account, rule=rule, opened_at=int(opened[k, where])),
                    "rule": rule,
                    "severity": SEVERITIES[severity[k, where]],
                    "opened_at": int(opened[k, where]),
                }
                for k, rule in enumerate(episodes.rules)
                if opened[k, where] != NONE
            ]
        )
    return texts


def _numbers(values: Ints) -> list[bytes]:
    """Return numbers as JSON, null where there is none."""
    if (values[:1] == values).all():
        return [_NULL if value == MISSING else b"%d" % value for value in values[:1].tolist()] * len(values)
    if ((values >= 0) & (values < len(_TEXTS))).all():
        return list(map(_TEXTS.__getitem__, values.tolist()))
    return [_NULL if value == MISSING else b"%d" % value for value in values.tolist()]


_BAND_NAMES: Final = tuple(band.value for band in BANDS)
_BAND_TEXTS: Final = tuple(map(msgspec.json.encode, _BAND_NAMES))
_TEXTS: Final = [b"%d" % number for number in range(20_000)]
"""Most numbers, written before they are needed: that is half the work of a health's text."""
_NULL: Final = b"null"
_UNLISTED: Final = Listed(None, None, None, None, None)
