"""Turn features into health with exact contributions, and health into a band (docs/scoring.md §7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.bundle import CompiledBundle, CompiledMeasure
from services.scorer.core.days import add_up
from services.scorer.core.features import Features
from services.scorer.core.table import Flags, Ints
from services.scorer.core.view import MISSING

FULL: Final = 100_000
UNKNOWN: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Health in milli-points (MISSING: none) with contributions, one row a measure, one column an account.

    `measures` are those of the scorecards somebody here is scored by, `values` their features'. `counted` says which
    count; over them `points` sum to the health. Accounts are of one kind if the same measures count for them, and of
    these the same ones are missing: `kind` says of which, `example` names an account of each. What a measure could give
    at most is the same for a kind: `possible` (measures × kinds) sums to 100,000.
    """

    measures: Sequence[CompiledMeasure]
    health: Ints
    values: Ints
    counted: Flags
    points: Ints
    kind: Ints
    example: Ints
    possible: Ints


def health_of(features: Features, *, bundle: CompiledBundle, needs_evidence: bool = True) -> Health:
    """Score every account of `features`.

    Without `needs_evidence` accounts of thin evidence get their provisional health (docs/scoring.md §7): it is for
    comparing histories and is never published.
    """
    used = set(features.scorecard.tolist())
    measures = [measure for measure in bundle.measures if measure.scorecard in used]
    values = np.stack([features.values[measure.name] for measure in measures])
    missing = values == MISSING
    stands_in = np.array([measure.missing is not None for measure in measures])
    own = np.array([measure.scorecard for measure in measures])[:, None] == features.scorecard
    judged = (features.evident | features.overridden | (not needs_evidence)) & ~features.ended
    counted = (~missing | stands_in[:, None]) & own & judged
    example, kind = _kinds(counted, counted & missing)
    weight = _effective_weights(counted[:, example], measures=measures, bundle=bundle)
    total = np.maximum(weight.sum(axis=0), 1)
    score = np.stack([_curve(measure, its) for measure, its in zip(measures, values, strict=True)])
    points = add_up(weight[:, kind] * score) // total[kind]
    return Health(
        measures=measures,
        health=np.where(counted.any(axis=0), points[-1], MISSING),
        values=values,
        counted=counted,
        points=np.diff(points, axis=0, prepend=0),
        kind=kind,
        example=example,
        possible=np.diff(add_up(weight * FULL) // total, axis=0, prepend=0),
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


def _kinds(*flags: Flags) -> tuple[Ints, Ints]:
    """Return an account of each kind, and the kind of each account: of one kind all flags are the same."""
    packed = np.ascontiguousarray(np.packbits(np.concatenate(flags), axis=0).T)
    _, example, kind = np.unique(packed.view(f"V{packed.shape[1]}")[:, 0], return_index=True, return_inverse=True)
    return example, kind.reshape(-1)


def _effective_weights(counted: Flags, *, measures: Sequence[CompiledMeasure], bundle: CompiledBundle) -> Ints:
    weight = np.where(counted, np.array([measure.weight for measure in measures])[:, None], 0)
    dimension = np.array([measure.dimension for measure in measures])
    begins = np.diff(dimension, prepend=-1) != 0
    of_dimension = np.add.reduceat(weight, np.flatnonzero(begins), axis=0)
    share = weight * np.array(bundle.dimension_weights)[dimension, None] * 10**6
    effective: Ints = share // np.maximum(of_dimension[np.cumsum(begins) - 1], 1)
    return effective
