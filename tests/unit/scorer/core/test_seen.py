"""Ids seen: a retry within the horizon is a duplicate, a replay of the same offset is not."""

import numpy as np
import pytest

from services.scorer.core import seen as seen_module
from services.scorer.core.days import HOUR
from services.scorer.core.seen import Seen


def feed(seen: Seen, *records: tuple[int, int, int]) -> list[bool]:
    """Let (offset, hour, id) arrive and return which are duplicates."""
    offsets, hours, ids = (np.array(column) for column in zip(*records, strict=True))
    arrived = seen.arrive(hours * HOUR)
    found: list[bool] = seen.duplicates(ids.astype(np.uint64), offsets=offsets, hours=arrived).tolist()
    return found


def test_a_repetition_is_a_duplicate_in_the_same_batch_and_later() -> None:
    seen = Seen()
    assert feed(seen, (0, 1, 7), (1, 1, 8), (2, 1, 7)) == [False, False, True]
    assert feed(seen, (3, 2, 8)) == [True]


def test_the_same_record_again_is_no_duplicate() -> None:
    seen = Seen()
    feed(seen, (0, 1, 7), (1, 1, 7))
    assert feed(seen, (0, 1, 7), (1, 1, 7)) == [False, True]


def test_an_id_is_remembered_for_24_hours_of_arrival_and_then_anew() -> None:
    # hour:   1 ........ 25 | 26 ........ 50 | 51
    #         first     dup | applied    dup | applied
    seen = Seen()
    assert feed(seen, (0, 1, 7), (1, 25, 7), (2, 26, 7)) == [False, True, False]
    assert feed(seen, (3, 50, 7), (4, 51, 7)) == [True, False]


def test_arrival_never_goes_back() -> None:
    seen = Seen()
    assert feed(seen, (0, 30, 7), (1, 2, 8), (2, 31, 8)) == [False, False, True]


def test_forgetting_keeps_what_can_still_be_repeated() -> None:
    seen = Seen()
    feed(seen, (0, 1, 7), (1, 20, 8), (2, 30, 9))
    seen.forget()
    assert seen.table.count == 2
    assert feed(seen, (3, 30, 8), (4, 30, 9), (5, 30, 7)) == [True, True, False]


def test_memory_that_ends_forgets_the_oldest_segments_first(monkeypatch: pytest.MonkeyPatch) -> None:
    # segments of two ids, six at most:   [7 8][9 10][11 12] + 13 -> [9 10][11 12][13
    monkeypatch.setattr(seen_module, "SEGMENT_IDS", 2)
    monkeypatch.setattr(seen_module, "MOST_IDS", 6)
    seen = Seen()
    feed(seen, *((offset, 1, offset + 7) for offset in range(6)))
    assert seen.horizon_hours == 0
    assert feed(seen, (6, 1, 7)) == [True]
    assert feed(seen, (7, 1, 13), (8, 1, 7), (9, 1, 9)) == [False, False, True]
    assert feed(seen, (10, 1, 14), (11, 1, 9)) == [False, False]


def test_the_horizon_is_a_day_while_there_is_memory() -> None:
    seen = Seen()
    feed(seen, (0, 1, 7), (1, 30, 8))
    assert seen.horizon_hours == 24
