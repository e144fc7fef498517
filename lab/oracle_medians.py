"""Work out the medians of segments that docs/scoring.md §11 has, from whole lists of values."""

from collections.abc import Iterable, Mapping

from shared.contracts.context import Summary

Usual = Mapping[str, Mapping[str, int]]


def usual_by(summaries: Iterable[Summary]) -> Usual:
    """Return the median by segment and feature, from the entries of the context topic in their order."""
    last = {summary.partition: summary for summary in summaries}
    counts = max(((summary.at, summary.partitions) for summary in last.values()), default=(0, 0))[1]
    told = [one for summary in last.values() if summary.partitions == counts for one in summary.segments]
    usual: dict[str, dict[str, int]] = {}
    for segment in {one.segment for one in told}:
        mine = [one.histograms for one in told if one.segment == segment]
        usual[segment] = {}
        for feature in ("events_91", "users_28", "active_days_28"):
            values = sorted(least(feature, place) for some in mine for place in _places(some.get(feature, [])))
            if values:
                usual[segment][feature] = values[(len(values) + 1) // 2 - 1]
    return usual


def compared(features: Mapping[str, int], usual: Mapping[str, int]) -> dict[str, int]:
    """Return the features that compare an account with its segment's medians."""
    names = {"events_vs_segment": "events_91", "users_vs_segment": "users_28"}
    names |= {"active_days_vs_segment": "active_days_28"}
    return {
        name: min(100_000, features[of] * 1000 // usual[of])
        for name, of in names.items()
        if of in features and of in usual
    }


def _places(counts: list[int]) -> list[int]:
    """Return the bin of each value counted, but those in bin 0."""
    return [place for place, count in enumerate(counts) for _ in range(count) if place > 0]


def least(feature: str, place: int) -> int:
    """Return the least value in a bin."""
    if feature == "active_days_28" or place < 8:
        return place
    e, quarter = 3 + (place - 8) // 4, (place - 8) % 4
    return int(2**e + quarter * 2 ** (e - 2))
