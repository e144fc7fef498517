"""Times of many records at once: the same as one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.core.moments import LATEST, parse_times
from services.scorer.core.table import NONE
from shared.contracts.events import wire_time


@given(st.lists(st.integers(0, LATEST - 1), min_size=1))
def test_our_own_form_is_read_back_exactly(moments: list[int]) -> None:
    assert parse_times([wire_time(at) for at in moments]).tolist() == moments


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00.000Z",
        "2026-13-01T00:00:00.000Z",
        "2026-01-01T24:00:00.000Z",
        "2026-01-01T00:00:60.000Z",
        "2026-01-01T00:00:00.0000",
        "1969-12-31T23:59:59.999Z",
        "2200-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "",
        "２026-01-01T00:00:00.000Z",
    ],
)
def test_what_is_no_moment_is_none(text: str) -> None:
    assert parse_times([text, "2026-01-01T00:00:00.001Z"]).tolist() == [NONE, 1_767_225_600_001]


def test_offsets_and_finer_digits_are_read_and_cut() -> None:
    texts = ["2026-01-01T09:00:00.001999+09:00", "2026-01-01T00:00:00Z", "2024-02-29T12:00:00.500Z"]
    assert parse_times(texts).tolist() == [1_767_225_600_001, 1_767_225_600_000, 1_709_208_000_500]
