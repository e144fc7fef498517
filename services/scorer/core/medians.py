"""Know what is usual in each segment, as it was told at the first tick of each day (docs/scoring.md §5, §11)."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from services.scorer.core.bins import BINS, least_of
from services.scorer.core.table import NONE, Ints
from shared.contracts.context import Summary

COMPARED: Final = ("events_91", "users_28", "active_days_28")
"""Features of which a segment's median is known."""
KEPT_DAYS: Final = 2
"""Every account was last evaluated on one of so many days with ticks."""

Usual = Mapping[str, Mapping[str, int]]
"""Medians by segment and feature; absent where there is none."""


class Medians:
    """Medians by day: UTC days since 1970-01-01 on which a tick evaluated."""

    def __init__(self, days: Mapping[int, Usual] | None = None) -> None:
        self.days: dict[int, Usual] = dict(days or {})

    def begin(self, day: int, summaries: Mapping[int, Summary]) -> None:
        """Take the medians of a day's first tick, and let go of those of days gone by; later ticks change nothing."""
        if day in self.days:
            return
        self.days[day] = usual_by(summaries)
        for old in sorted(self.days)[:-KEPT_DAYS]:
            del self.days[old]

    def of(self, feature: str, *, days: Ints, segments: Ints, names: list[str]) -> Ints:
        """Return the median of each account's segment on its day, NONE where there is none.

        `segments` are places in `names`, −1 for an account without a segment.
        """
        found = np.full(len(days), NONE)
        for day in np.unique(days).tolist():
            usual = self.days.get(day, {})
            for segment in np.unique(segments[days == day]).tolist():
                median = usual.get(names[segment] if segment >= 0 else "", {}).get(feature)
                if median is not None:
                    found[(days == day) & (segments == segment)] = median
        return found


def usual_by(summaries: Mapping[int, Summary]) -> Usual:
    """Return the medians that the last summaries of all partitions amount to."""
    segments = sorted({told.segment for summary in summaries.values() for told in summary.segments})
    return {
        segment: {
            feature: median
            for feature in COMPARED
            if (median := median_of(summaries, segment=segment, feature=feature)) is not None
        }
        for segment in segments
    }


def median_of(summaries: Mapping[int, Summary], *, segment: str, feature: str) -> int | None:
    """Return the median of a feature over the accounts of a segment in which it is above 0, None where there is none.

    After a move to another number of partitions the entries of the old ones no longer count.
    """
    current = max(((summary.at, summary.partitions) for summary in summaries.values()), default=(0, 0))[1]
    merged = np.zeros(BINS[feature], np.int64)
    for summary in summaries.values():
        for told in summary.segments if summary.partitions == current else ():
            counts = told.histograms.get(feature, []) if told.segment == segment else []
            merged[: len(counts)] += np.array(counts[: len(merged)], np.int64)
    merged[0] = 0
    total = int(merged.sum())
    if total == 0:
        return None
    return least_of(feature, int(np.searchsorted(np.cumsum(merged), (total + 1) // 2)))
