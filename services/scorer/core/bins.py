"""Sort the values of features into the bins of daily histograms (docs/scoring.md §11)."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from services.scorer.core.table import Ints

_DOUBLINGS: Final = 92
BINS: Final[Mapping[str, int]] = {
    "usage_7": _DOUBLINGS,
    "events_91": _DOUBLINGS,
    "users_28": _DOUBLINGS,
    "active_days_28": 29,
    "features_used": 21,
}
"""How many bins each feature has."""


def bins_of(feature: str, values: Ints) -> Ints:
    """Return the bin of each value (not negative)."""
    if feature == "features_used":
        return values // 50
    if feature == "active_days_28":
        return values
    top = np.maximum(np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1, 3)
    bins = np.where(values < 8, values, 8 + 4 * (top - 3) + (values >> (top - 2)) % 4)
    return np.minimum(bins, _DOUBLINGS - 1)


def least_of(feature: str, place: int) -> int:
    """Return the least value in a bin."""
    if feature == "features_used":
        return place * 50
    if feature == "active_days_28" or place < 8:
        return place
    doublings, quarter = divmod(place - 8, 4)
    return (4 + quarter) << (doublings + 1)
