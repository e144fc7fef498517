"""A day's summary counts what a naive reading of docs/scoring.md §11 counts, and medians follow from its bins."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab.oracle_features import History, features_of
from services.scorer import summaries as summaries_module
from services.scorer.core import summary as summary_module
from services.scorer.core.bins import bins_of, least_of
from services.scorer.core.medians import median_of
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from services.scorer.core.summary import day_to_summarize
from services.scorer.core.table import Ints
from services.scorer.summaries import summarize
from shared.contracts.context import SegmentSummary, Summary
from shared.contracts.partition import roll_ms
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, SEED, START, Configurations, Log, batches

QUICK = 3
"""The offset of a configuration that has a key feature and soon enough evidence."""
MOST = 2
"""Segments that keep their names in these tests."""
LOGS = settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Make few segments too many, and few accounts several slices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary_module, "MOST_SEGMENTS", MOST)
        patch.setattr(summaries_module, "SLICE", 3)
        yield


@LOGS
@given(seed=st.integers(0, 2**32))
def test_a_summary_counts_what_a_naive_count_does(seed: int) -> None:
    log, histories = lives(random.Random(seed))
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    for batch in batches(log.records, 0):
        step(state, batch, known_at=Configurations(log.contexts))
    assert state.clock is not None
    day = day_to_summarize(state.clock)

    found = asyncio.run(summarize(state, day=day))

    assert found is not None
    assert (found.partition, found.partitions, found.day, found.at) == (0, 1, day, state.clock)
    assert {one.segment: one for one in found.segments} == naive(histories, day)


def test_the_histories_reach_what_they_are_for() -> None:
    drawn = [lives(random.Random(seed))[1] for seed in range(20)]
    found = [naive(histories, START // DAY + 59) for histories in drawn]
    segments = {segment for one in found for segment in one}
    assert {"", "other", "smb"} <= segments
    places = {place for one in found for told in one.values() for place in _filled(told.histograms["usage_7"])}
    assert min(places) < 8 < max(places)
    assert any(sum(told.accounts for told in one.values()) < len(of) for one, of in zip(found, drawn, strict=True))


def _filled(counts: list[int]) -> list[int]:
    return [place for place, count in enumerate(counts) if count]


def lives(rng: random.Random) -> tuple[Log, list[History]]:
    """Draw a log of sixty days and a bit more, and each account's history as the oracle keeps it.

    START                + 59 d     + 60 d     + 60 d 2 h
    tick    ... events ... |  day D   |  more    | the last tick: D is over
    """
    log = Log()
    log.contexts = {0: bundles()[QUICK]}
    log.tick(START)
    histories = [History(account=f"a{n}", roll=roll_ms(b"a%d" % n)) for n in range(rng.randrange(1, 14))]
    segments = ["", "smb", "mid", "enterprise", "x" * 200]
    for history in histories:
        told = {"seats": 10} | ({"segment": segment} if (segment := rng.choice(segments)) else {})
        learn(log, history, "account", told, at=START + 1)
    for day in range(61):
        for history in histories:
            for _ in range(rng.choice([0, 0, 1, 3, 15])):
                use(log, history, at=START + day * DAY + rng.randrange(DAY if day < 60 else 2 * HOUR), rng=rng)
            if rng.random() < 0.003:
                learn(log, history, "subscription", {"status": "cancelled"}, at=START + day * DAY)
    log.tick(START + 60 * DAY + 2 * HOUR + rng.randrange(22 * HOUR))
    return log, histories


def use(log: Log, history: History, *, at: int, rng: random.Random) -> None:
    name = rng.choice(["Export", "Import", None])
    data = {"user": f"u{rng.randrange(20)}"} | ({"name": name} if name else {})
    log.event(history.account, "usage" if name else "login", at=at, ts=at + DAY, data=data)
    signal = {"Export": "usage:Export", "Import": "usage", None: "login"}[name]
    history.count(signal, at=at)
    history.be_present(at)
    history.see_user(data["user"], signal, at=at)


def learn(log: Log, history: History, kind: str, data: Mapping[str, object], *, at: int) -> None:
    log.event(history.account, kind, at=at, data=data)
    for name, value in data.items():
        history.learn("subscription" if name == "status" else name, value, stamp=(at, b"", b""))


def naive(histories: list[History], day: int) -> dict[str, SegmentSummary]:
    config = bundles()[QUICK].scorecard
    of_all = Counter(history.value("segment") or "" for history in histories)
    named = sorted((name for name in of_all if len(name) <= 128), key=lambda name: (-of_all[name], name))[:MOST]
    bins: dict[str, dict[str, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    accounts: Counter[str] = Counter()
    for history in histories:
        segment = history.value("segment") or ""
        segment = segment if segment in named else "other"
        at = (day + 1) * DAY + history.roll - 1
        features = features_of(history, at, key_features=config["key_features"]) if history.last else {}
        is_known = features.get("tenure_days", 0) >= config["evidence"]["days"] and features["active_days"] >= 1
        if is_known and not history.ended:
            accounts[segment] += 1
            for name in ("usage_7", "events_91", "users_28", "active_days_28", "features_used"):
                bins[segment][name].update([naive_bin(name, features[name])] if name in features else [])
    return {
        segment: SegmentSummary(
            segment=segment,
            accounts=count,
            histograms={
                name: [bins[segment][name][place] for place in range(max(bins[segment][name], default=-1) + 1)]
                for name in ("usage_7", "events_91", "users_28", "active_days_28", "features_used")
            },
        )
        for segment, count in accounts.items()
    }


def naive_bin(feature: str, value: int) -> int:
    if feature in {"active_days_28", "features_used"}:
        return value if feature == "active_days_28" else value // 50
    starts = [*range(8), *(quarter << power for power in range(1, 30) for quarter in (4, 5, 6, 7))][:92]
    return max(place for place, start in enumerate(starts) if start <= value)


@given(values=st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_every_value_lies_in_the_bin_the_page_says(values: list[int]) -> None:
    found = bins_of("usage_7", column(values)).tolist()
    assert found == [naive_bin("usage_7", value) for value in values]
    assert all(least_of("usage_7", place) <= value for place, value in zip(found, values, strict=True))
    assert [bins_of("usage_7", column([least_of("usage_7", place)]))[0] for place in found] == found


@given(
    values=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1000)), min_size=1, max_size=60),
    feature=st.sampled_from(["usage_7", "features_used"]),
)
def test_the_median_is_the_least_value_of_the_bin_that_holds_it(values: list[tuple[int, int]], feature: str) -> None:
    told = {}
    for partition in range(4):
        counts = Counter(naive_bin(feature, value) for where, value in values if where == partition)
        histogram = [counts[place] for place in range(max(counts, default=-1) + 1)]
        told[partition] = one_segment(partition, {feature: histogram})
    above = sorted(value for _, value in values if naive_bin(feature, value) > 0)
    if not above:
        assert median_of(told, segment="smb", feature=feature) is None
        return
    middle = above[(len(above) + 1) // 2 - 1]
    assert median_of(told, segment="smb", feature=feature) == least_of(feature, naive_bin(feature, middle))
    assert median_of(told, segment="mid", feature=feature) is None
    stale = one_segment(7, {feature: [1000]}, partitions=8, at=0)
    assert median_of({**told, 7: stale}, segment="smb", feature=feature) == least_of(
        feature, naive_bin(feature, middle)
    )


def one_segment(partition: int, histograms: dict[str, list[int]], *, partitions: int = 4, at: int = 1) -> Summary:
    segment = SegmentSummary(segment="smb", accounts=1, histograms=histograms)
    return Summary(partition=partition, partitions=partitions, day=1, at=at, segments=[segment])


def column(values: list[int]) -> Ints:
    return np.array(values, np.int64)
