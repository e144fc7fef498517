"""Say how the accounts of each segment are spread on a day: integer histograms (docs/scoring.md §11)."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

import numpy as np

from services.scorer.core.activity import Activity
from services.scorer.core.bins import BINS, bins_of
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import DAY, HOUR
from services.scorer.core.facts import Facts
from services.scorer.core.features import Features
from services.scorer.core.table import Ints
from services.scorer.core.view import MISSING
from shared.contracts.context import SegmentSummary, Summary

MOST_SEGMENTS: Final = 64
LONGEST_NAME: Final = 128
OTHER: Final = "other"
KEPT_DAYS: Final = 150
"""Of a partition: ticks older than that have left the log."""
_AFTER: Final = 2 * HOUR


def day_to_summarize(clock: int) -> int:
    """Return the last day (UTC) that is over for every account when a partition's clock says `clock` (epoch ms)."""
    return (clock - _AFTER) // DAY - 1


def named_segments(accounts: Counter[str]) -> list[str]:
    """Return the segments that keep their names, by how many accounts each has."""
    named = [(-count, name) for name, count in accounts.items() if len(name) <= LONGEST_NAME]
    return [name for _, name in sorted(named)[:MOST_SEGMENTS]]


def segments_of(facts: Facts, rows: Ints) -> list[str]:
    """Return the segment of each account, empty where it has none."""
    return [facts.listed[row].segment or "" if row in facts.listed else "" for row in rows.tolist()]


class Tally:
    """Counts a partition's accounts, some at a time."""

    def __init__(self, named: list[str]) -> None:
        self._names = [*dict.fromkeys([*named, OTHER])]
        self._place = {name: place for place, name in enumerate(self._names)}
        self._accounts = np.zeros(len(self._names), np.int64)
        self._counts = {feature: np.zeros((len(self._names), bins), np.int64) for feature, bins in BINS.items()}

    def add(self, rows: Ints, *, day: int, activity: Activity, facts: Facts, bundle: CompiledBundle) -> None:
        """Count the accounts `rows` as they are at the end of their account-day."""
        at = (day + 1) * DAY + activity.accounts["roll"][rows].astype(np.int64) - 1
        features = Features(at, rows=rows, activity=activity, bundle=bundle)
        counted = np.flatnonzero(features.evident & ~features.ended)
        other = self._place[OTHER]
        segment = np.array([self._place.get(n, other) for n in segments_of(facts, rows[counted])], np.int64)
        np.add.at(self._accounts, segment, 1)
        for feature, counts in self._counts.items():
            values = features.values[feature][counted]
            has = values != MISSING
            np.add.at(counts, (segment[has], bins_of(feature, values[has])), 1)

    def segments(self) -> list[SegmentSummary]:
        """Return what was counted of every segment that has accounts."""
        return [
            SegmentSummary(
                segment=name,
                accounts=int(self._accounts[place]),
                histograms={feature: _trimmed(counts[place]) for feature, counts in self._counts.items()},
            )
            for place, name in enumerate(self._names)
            if self._accounts[place]
        ]


class Summaries:
    """The summaries that the context topic told, by partition, in the order of their offsets."""

    def __init__(self) -> None:
        self._told: dict[int, deque[tuple[int, Summary]]] = {}

    def add(self, offset: int, summary: Summary) -> None:
        self._told.setdefault(summary.partition, deque(maxlen=KEPT_DAYS)).append((offset, summary))

    def at(self, offset: int) -> Mapping[int, Summary]:
        """Return the last summary of each partition at or before an offset."""
        found = {
            partition: next((summary for told, summary in reversed(some) if told <= offset), None)
            for partition, some in self._told.items()
        }
        return {partition: summary for partition, summary in found.items() if summary is not None}


def _trimmed(counts: Ints) -> list[int]:
    used = np.flatnonzero(counts)
    return [int(count) for count in counts[: used[-1] + 1]] if used.size else []
