"""No input makes the ingest fail, and of what it answers 200 nothing is lost: each event has exactly one fate."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ingest import Bench, basic

KEYS = st.sampled_from(
    [
        *("type", "messageId", "userId", "anonymousId", "previousId", "groupId", "event", "name", "category"),
        *("context", "properties", "traits", "timestamp", "originalTimestamp", "sentAt", "integrations"),
        *("company", "group", "id", "account_id", "kind", "score", "mrr", "arr", "owner", "quantity", "renewal_date"),
    ]
)
WORDS = st.sampled_from(
    [
        *("track", "identify", "group", "page", "screen", "alias", "acme", "nps", "5", "$48,000", "dana@vendor.test"),
        *("Signed In", "Payment Failed", "Survey Answered", "Subscription Started", "Goal Set", "Outcome Achieved"),
        *("2026-11-22T07:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31", "", " ", "\0", "x" * 300),
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=[]), max_size=20),
    WORDS,
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=8),
    max_leaves=25,
)
EVENTS = st.fixed_dictionaries(
    {}, optional={"type": WORDS | JUNK, "event": WORDS | JUNK, "messageId": JUNK | WORDS}
).flatmap(lambda event: st.dictionaries(KEYS, JUNK, max_size=8).map(lambda more: {**more, **event}))


BENCH = Bench()


async def fates(body: bytes, path: str, expected: int | None) -> None:
    bench = BENCH
    bench.publisher.records.clear()
    async with bench.client(headers={"Authorization": basic(bench.key)}) as client:
        answer = await client.post(path, content=body)
    if expected is not None:
        assert answer.status_code == 200, answer.text
        assert len(bench.events) + len(bench.waiting) + len(bench.dead) == expected
    else:
        assert answer.status_code in {200, 400}
        assert set(answer.json()) in ({"code", "message", "detail"}, {"success"})


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS | JUNK, max_size=6), st.dictionaries(st.sampled_from(["context", "sentAt", "writeKey"]), JUNK))
async def test_any_batch_has_fates_for_all_its_events(events: list[Any], around: dict[str, Any]) -> None:
    body = json.dumps({"batch": events, **around}).encode()
    await fates(body, "/v1/batch", len(events))


@settings(max_examples=100, deadline=None)
@given(EVENTS | JUNK, st.sampled_from(["track", "identify", "group", "page", "screen", "alias", "t", "g"]))
async def test_any_single_event_has_a_fate(event: Any, call: str) -> None:
    await fates(json.dumps(event).encode(), f"/v1/{call}", 1 if isinstance(event, dict) else None)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda junk: b"\x1f\x8b\x08" + junk))
async def test_any_bytes_are_answered(body: bytes) -> None:
    await fates(body, "/v1/batch", None)
