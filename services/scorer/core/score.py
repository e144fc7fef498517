"""Score accounts at the clock without telling anybody: what the past is asked for (docs/scoring.md §13)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.features import Features
from services.scorer.core.partition import Partition
from services.scorer.core.scorecard import bands_of, health_of
from services.scorer.core.step import SLICE
from services.scorer.core.table import Ints
from services.scorer.core.view import MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Accounts at a moment, one row each: provisional health in milli-points (MISSING: nothing to judge by), the code
    of the band (index into BANDS) and the days of evidence.
    """

    health: Ints
    bands: npt.NDArray[np.int8]
    evidence_days: Ints


def score(state: Partition, *, rows: Ints, bundle: CompiledBundle) -> Scores:
    """Judge accounts `rows` at the partition's clock; the clock is known.

    Their bands move on as at a tick that judges; episodes, deadlines and what was published stay.
    """
    parts = [_score(state, rows=rows[start : start + SLICE], bundle=bundle) for start in range(0, len(rows), SLICE)]
    return Scores(
        health=np.concatenate([part.health for part in parts] or [np.zeros(0, np.int64)]),
        bands=np.concatenate([part.bands for part in parts] or [np.zeros(0, np.int8)]),
        evidence_days=np.concatenate([part.evidence_days for part in parts] or [np.zeros(0, np.int64)]),
    )


def _score(state: Partition, *, rows: Ints, bundle: CompiledBundle) -> Scores:
    columns = state.activity.accounts
    features = Features(np.full(len(rows), state.clock), rows=rows, activity=state.activity, bundle=bundle)
    health = health_of(features, bundle=bundle, needs_evidence=False).health
    bands = bands_of(
        np.where(features.evident | features.overridden, health, MISSING), before=columns["band"][rows], bundle=bundle
    )
    columns["band"][rows] = bands
    evidence_days = np.clip(features.values["tenure_days"], 0, bundle.scorecard.evidence.days)
    return Scores(health=health, bands=bands, evidence_days=evidence_days)
