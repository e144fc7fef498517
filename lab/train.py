"""Fit a first churn model: calibrated logistic regression on the scorer's features, exported as plain numbers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from lab.feature_history import DAY, MODEL_FEATURES, Floats, Moment, cancellations, moments
from lab.trouble import Trouble
from services.scorer.core.bundle import CompiledBundle

CUT_OFFS_APART = 7
FEWEST_OF_A_KIND = 5

Labels = npt.NDArray[np.int64]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One input of the model: a feature filled, clipped, centred and scaled, or whether it is missing."""

    feature: str
    is_missing: bool
    fill: float
    low: float
    high: float
    center: float
    scale: float
    coefficient: float


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """How good the model is on cut-offs after all it was fitted on."""

    auc: float
    brier: float
    base_rate: float
    brier_of_base_rate: float
    rows: int
    churned: int


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """p = 1 / (1 + exp(-(slope · z + offset))), z = intercept + Σ coefficient · (clipped - center) / scale.

    `features` and their hash say what it was fitted on: another list is refused.
    """

    schema: int
    horizon_days: int
    features: Sequence[str]
    features_hash: str
    columns: Sequence[Column]
    intercept: float
    slope: float
    offset: float
    metrics: Metrics
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Accounts at cut-offs: features and whether they churned within the horizon."""

    values: Floats
    churned: Labels


def train(events: Path, *, horizon_days: int, bundle: CompiledBundle) -> Model:
    """Return a model fitted on a file of events in time order.

    Split by time: fitted on the first cut-offs, calibrated on later ones, measured on the last quarter; what is fitted
    knows only labels whose window had closed before the first measured cut-off. Raises Trouble where rows are too few.
    """
    ended, last = cancellations(events)
    horizon = horizon_days * DAY
    usable = [m for m in moments(events, days=CUT_OFFS_APART, bundle=bundle) if m.at + horizon <= last]
    measured = usable[-max(1, len(usable) // 4) :]
    closed = [m for m in usable if m.at + horizon <= measured[0].at] if measured else []
    third = len(closed) // 3
    fitting, calibrating, testing = (
        _rows(some, ended, horizon=horizon) for some in (closed[: len(closed) - third], closed[-third:], measured)
    )
    for name, rows in (("fit", fitting), ("calibrate", calibrating), ("measure", testing)):
        churned = int(rows.churned.sum())
        if min(churned, len(rows.churned) - churned) < FEWEST_OF_A_KIND:
            raise Trouble(f"{churned} of {len(rows.churned)} churned in the rows to {name}: needs a longer history")
    columns, regression = _fitted(fitting)
    scores = regression.decision_function(_inputs(columns, calibrating.values))
    calibration = LogisticRegression(C=1e6).fit(scores.reshape(-1, 1), calibrating.churned)
    coefficients = regression.coef_[0]
    model = Model(
        schema=1,
        horizon_days=horizon_days,
        features=MODEL_FEATURES,
        features_hash=hashlib.sha256("\n".join(MODEL_FEATURES).encode()).hexdigest()[:16],
        columns=[
            msgspec.structs.replace(column, coefficient=float(coefficient))
            for column, coefficient in zip(columns, coefficients, strict=True)
        ],
        intercept=float(regression.intercept_[0]),
        slope=float(calibration.coef_[0, 0]),
        offset=float(calibration.intercept_[0]),
        metrics=_NOT_MEASURED,
        rows=len(fitting.churned) + len(calibrating.churned),
    )
    return msgspec.structs.replace(model, metrics=measure(model, testing))


def probabilities(model: Model, values: Floats) -> Floats:
    """Return the churn probability of each row of features (NaN where missing), from the model's numbers alone."""
    weights = np.array([column.coefficient for column in model.columns])
    z = model.intercept + _inputs(model.columns, values) @ weights
    result: Floats = 1 / (1 + np.exp(-(model.slope * z + model.offset)))
    return result


def measure(model: Model, rows: Rows) -> Metrics:
    """Return the model's metrics on rows it has not seen."""
    found, rate = probabilities(model, rows.values), float(rows.churned.mean())
    return Metrics(
        auc=float(roc_auc_score(rows.churned, found)),
        brier=float(brier_score_loss(rows.churned, found)),
        base_rate=rate,
        brier_of_base_rate=rate * (1 - rate),
        rows=len(rows.churned),
        churned=int(rows.churned.sum()),
    )


def _rows(some: Sequence[Moment], ended: dict[str, int], *, horizon: int) -> Rows:
    if not some:
        return Rows(values=np.zeros((0, len(MODEL_FEATURES))), churned=np.zeros(0, np.int64))
    churned = [m.at <= ended.get(account, -1) < m.at + horizon for m in some for account in m.accounts]
    return Rows(values=np.concatenate([m.values for m in some]), churned=np.array(churned, np.int64))


def _fitted(rows: Rows) -> tuple[list[Column], LogisticRegression]:
    columns = []
    for index, feature in enumerate(MODEL_FEATURES):
        values = rows.values[:, index]
        missing = np.isnan(values)
        if not missing.all():
            columns.append(_column(feature, values[~missing]))
        if missing.any() and not missing.all():
            columns.append(
                Column(feature=feature, is_missing=True, fill=0, low=0, high=1, center=0, scale=1, coefficient=0)
            )
    regression = LogisticRegression(C=0.1, max_iter=1000).fit(_inputs(columns, rows.values), rows.churned)
    return columns, regression


def _column(feature: str, values: Floats) -> Column:
    low, high = (float(quantile) for quantile in np.quantile(values, [0.01, 0.99]))
    clipped = np.clip(values, low, high)
    return Column(
        feature=feature,
        is_missing=False,
        fill=float(np.median(clipped)),
        low=low,
        high=high,
        center=float(clipped.mean()),
        scale=float(clipped.std()) or 1.0,
        coefficient=0.0,
    )


def _inputs(columns: Sequence[Column], values: Floats) -> Floats:
    return np.stack([_input(column, values[:, MODEL_FEATURES.index(column.feature)]) for column in columns], axis=1)


def _input(column: Column, values: Floats) -> Floats:
    missing = np.isnan(values)
    if column.is_missing:
        return missing.astype(np.float64)
    filled = np.where(missing, column.fill, values)
    result: Floats = (np.clip(filled, column.low, column.high) - column.center) / column.scale
    return result


_NOT_MEASURED = Metrics(auc=0, brier=0, base_rate=0, brier_of_base_rate=0, rows=0, churned=0)
