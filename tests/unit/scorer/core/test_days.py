"""Rings by day: what comes into use is cleared, what is forgotten is gone."""

import numpy as np

from services.scorer.core.days import NO_DAY, advance, back_from, held, latest


def test_a_ring_that_moves_forward_forgets_only_what_falls_out() -> None:
    # day:    10 11 12 13 | 14 15      size 4: days 12..15 stay when the front moves from 13 to 15
    ring = np.array([[1, 1, 1, 1]], np.uint16)  # slots of days 12 13 10 11
    advance(ring, rows=np.array([0]), was=np.array([13]), to=np.array([15]))
    front = np.array([15], np.int32)
    assert back_from(ring, front, day=np.array([15]), days=4).T.tolist() == [[0, 0, 1, 1]]


def test_a_leap_beyond_the_ring_and_a_first_day_clear_it_whole() -> None:
    ring = np.array([[1, 2, 3], [4, 5, 6]], np.uint16)
    advance(ring, rows=np.array([0, 1]), was=np.array([5, NO_DAY]), to=np.array([8, 100]))
    assert not ring.any()


def test_looking_back_from_before_or_after_the_front_sees_nothing_that_is_not_held() -> None:
    ring, front = np.array([[7, 8, 9]], np.uint16), np.array([5], np.int32)  # days 3 4 5
    assert back_from(ring, front, day=np.array([7]), days=4).T.tolist() == [[0, 0, 9, 8]]
    assert back_from(ring, front, day=np.array([3]), days=3).T.tolist() == [[7, 0, 0]]


def test_held_is_open_at_the_old_end_and_closed_at_the_new() -> None:
    assert held(np.array([10] * 4), days=np.array([7, 8, 10, 11]), size=3).tolist() == [False, True, True, False]


def test_latest_keeps_one_value_a_row() -> None:
    rows, values = latest(np.array([3, 1, 3, 1]), np.array([5, 2, 9, -4]))
    assert (rows.tolist(), values.tolist()) == ([1, 3], [2, 9])
    assert latest(np.zeros(0, np.int64), np.zeros(0, np.int64))[0].size == 0
