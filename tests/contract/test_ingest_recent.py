"""A product team sees what became of its events, with its own key and nobody else's."""

from typing import Any

from shared.contracts.recent import Fated, Stage
from shared.keys import Mode, Scope
from tests.support.ingest import Bench, basic

BATCH: dict[str, list[dict[str, object]]] = {
    "batch": [
        {"type": "track", "event": "Exported", "messageId": "good", "userId": "u", "context": {"groupId": "acme"}},
        {"type": "track", "event": "Exported", "messageId": "lost", "userId": "nobody knows"},
        {"type": "track", "event": "Exported", "messageId": "none"},
        {"type": "track", "messageId": "nameless", "userId": "u", "context": {"groupId": "acme"}},
    ]
}


async def recent(bench: Bench, key: str | None = None) -> dict[str, Any]:
    async with bench.client() as client:
        answer = await client.get("/v1/events/recent", headers={"Authorization": basic(key or bench.key)})
        return {**answer.json(), "status": answer.status_code}


async def test_every_event_has_its_fate_and_remedy() -> None:
    bench = Bench()
    await bench.send(BATCH)
    found = await recent(bench)
    shown = {one["id"]: one for one in found["events"]}
    assert {name: one["fate"] for name, one in shown.items()} == {
        "good": "accepted",
        "lost": "unattributed",
        "none": "rejected",
        "nameless": "rejected",
    }
    assert shown["good"]["name"] == "Exported"
    assert shown["lost"]["remedy"] == shown["none"]["remedy"] == "no account: call group(userId, accountId)"
    assert found["accounts"] == [{"account": "acme", "band": None, **dict.fromkeys(_NOTHING)}]


_NOTHING = (
    "health",
    "evidence_days",
    "evidence_needed",
    "active_days",
    "active_days_needed",
    "last_activity",
    "silence_deadline",
)


async def test_events_of_a_test_key_are_shown_and_never_kept() -> None:
    bench = Bench()
    bench.key = bench.new_key(mode=Mode.TEST)
    await bench.send(BATCH)
    assert sorted(one.fate for one in bench.recent) == [
        "test_accepted",
        "test_rejected",
        "test_rejected",
        "test_unattributed",
    ]
    assert bench.publisher.records == []


async def test_no_user_and_no_property_is_kept() -> None:
    bench = Bench()
    await bench.send({"batch": [BATCH["batch"][0] | {"userId": "dana", "properties": {"mail": "x@y.example"}}]})
    assert "dana" not in str(bench.recent)
    assert "x@y" not in str(bench.recent)


async def test_a_key_that_sends_nothing_sees_nothing() -> None:
    bench = Bench()
    assert (await recent(bench, bench.new_key(Scope.READ)))["status"] == 403
    assert (await recent(bench, "ck_1_2"))["status"] == 401
    assert Fated(at=1, id="x", fate="applied", stage=Stage.SCORER).account is None
