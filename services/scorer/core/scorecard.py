"""Turn features into health with exact contributions, and health into a band (docs/scoring.md §7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.bundle import CompiledBundle, CompiledMeasure
from services.scorer.core.features import Features
from services.scorer.core.table import Ints
from services.scorer.core.view import MISSING

FULL: Final = 100_000
UNKNOWN: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Health in milli-points (MISSING: none) with contributions, one column a measure.

    `measures` are those of the scorecards somebody here is scored by, `values` (accounts × measures) their features'.
    `counted` says which count; over them `points` sum to the health and `possible` to 100,000.
    """

    measures: Sequence[CompiledMeasure]
    health: Ints
    values: Ints
    counted: npt.NDArray[np.bool_]
    points: Ints
    possible: Ints


def health_of(features: Features, *, bundle: CompiledBundle, needs_evidence: bool = True) -> Health:
    """Score every account of `features`.

    Without `needs_evidence` accounts of thin evidence get their provisional health (docs/scoring.md §7): it is for
    comparing histories and is never published.
    """
    used = set(features.scorecard.tolist())
    measures = [measure for measure in bundle.measures if measure.scorecard in used]
    values = np.stack([features.values[measure.name] for measure in measures], axis=1)
    score = np.stack([_curve(measure, values[:, k]) for k, measure in enumerate(measures)], axis=1)
    stands_in = np.array([measure.missing is not None for measure in measures])
    judged = (features.evident | features.overridden | (not needs_evidence)) & ~features.ended
    own = np.array([measure.scorecard for measure in measures]) == features.scorecard[:, None]
    counted = ((values != MISSING) | stands_in) & judged[:, None] & own
    weight = _effective_weights(counted, measures=measures, bundle=bundle)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    points = (weight * score).cumsum(axis=1) // total
    possible = (weight * FULL).cumsum(axis=1) // total
    health = np.where(counted.any(axis=1), points[:, -1], MISSING)
    return Health(
        measures=measures,
        health=health,
        values=values,
        counted=counted,
        points=_steps(points),
        possible=_steps(possible),
    )


def bands_of(health: Ints, *, before: npt.NDArray[np.int8], bundle: CompiledBundle) -> npt.NDArray[np.int8]:
    """Return band codes (index into BANDS); a better band than before needs the margin, a worse one none."""
    bands = bundle.scorecard.bands
    levels = np.array([bands.at_risk, bands.watch, bands.healthy])
    plain = 1 + np.searchsorted(levels, health, side="right")
    with_margin = 1 + np.searchsorted(levels + bands.margin, health, side="right")
    kept = np.where(plain <= before, plain, np.maximum(before, with_margin))
    return np.where(health == MISSING, UNKNOWN, np.where(before == UNKNOWN, plain, kept)).astype(np.int8)


def _curve(measure: CompiledMeasure, values: Ints) -> Ints:
    x, y = measure.x, measure.y
    right = np.clip(np.searchsorted(x, values, side="right"), 1, max(len(x) - 1, 1))
    if len(x) == 1:
        score = np.full(len(values), y[0])
    else:
        x0, x1, y0, y1 = x[right - 1], x[right], y[right - 1], y[right]
        inside = np.clip(values, x[0], x[-1])
        score = y0 + (y1 - y0) * (inside - x0) // (x1 - x0)
    return np.where(values == MISSING, measure.missing or 0, score)


def _effective_weights(
    counted: npt.NDArray[np.bool_], *, measures: Sequence[CompiledMeasure], bundle: CompiledBundle
) -> Ints:
    weight = np.where(counted, [measure.weight for measure in measures], 0)
    dimension = np.array([measure.dimension for measure in measures])
    begins = np.diff(dimension, prepend=-1) != 0
    of_dimension = np.add.reduceat(weight, np.flatnonzero(begins), axis=1)
    share = weight * np.array(bundle.dimension_weights)[dimension] * 10**6
    effective: Ints = share // np.maximum(of_dimension[:, np.cumsum(begins) - 1], 1)
    return effective


def _steps(sums: Ints) -> Ints:
    return np.diff(sums, axis=1, prepend=0)
