"""What lies on churn.context.v1 for ever stays readable: golden files, one a message."""

from pathlib import Path

import msgspec

from shared.contracts.context import SegmentSummary, Summary

GOLDEN = Path(__file__).parent / "golden"
SUMMARY = Summary(
    partition=3,
    partitions=12,
    day=20_515,
    at=1_772_503_200_000,
    segments=[
        SegmentSummary(
            segment="smb",
            accounts=4,
            histograms={"usage_7": [1, 0, 2, 1], "users_28": [0, 4], "active_days_28": [0, 0, 4], "features_used": []},
        )
    ],
)


def test_a_summary_is_written_and_read_as_ever() -> None:
    golden = (GOLDEN / "context.summary.v1.json").read_bytes().strip()
    assert msgspec.json.encode(SUMMARY) == golden
    assert msgspec.json.decode(golden, type=Summary) == SUMMARY
