"""Ids remembered in segments, in columns and in any batches, are those of the rule applied one record at a time."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.core import seen as module
from services.scorer.core.days import HOUR

SEGMENT, MOST = 3, 9

ARRIVALS = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 14)), max_size=60)
"""How many hours after the one before, and the id."""


def one_by_one(records: list[tuple[int, int]]) -> list[bool]:
    """docs/scoring.md §1, read aloud."""
    segments, found = list[tuple[int, list[int]]](), []
    for hour, number in records:
        segments = [segment for segment in segments if segment[0] >= hour - 24]
        is_known = any(number in ids for _, ids in segments)
        found.append(is_known)
        if is_known:
            continue
        if not segments or segments[-1][0] != hour or len(segments[-1][1]) == SEGMENT:
            while sum(len(ids) for _, ids in segments) > MOST - SEGMENT:
                segments = segments[1:]
            segments.append((hour, []))
        segments[-1][1].append(number)
    return found


@given(arrivals=ARRIVALS, size=st.integers(1, 20), forget=st.booleans())
def test_columns_remember_what_the_rule_says(arrivals: list[tuple[int, int]], size: int, *, forget: bool) -> None:
    hours = np.cumsum([max(0, step - 8) for step, _ in arrivals], dtype=np.int64)
    ids = np.array([number for _, number in arrivals], np.uint64)
    with patch.multiple(module, SEGMENT_IDS=SEGMENT, MOST_IDS=MOST):
        seen, found = module.Seen(), list[bool]()
        for start in range(0, len(ids), size):
            part = slice(start, start + size)
            arrived = seen.arrive(hours[part] * HOUR)
            offsets = np.arange(len(ids))[part]
            found += seen.duplicates(ids[part], offsets=offsets, hours=arrived).tolist()
            if forget:
                seen.forget()
    assert found == one_by_one(list(zip(hours.tolist(), ids.tolist(), strict=True)))
