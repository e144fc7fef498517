"""Every request that a real SDK sent is taken: 200, nothing refused, ids and accounts as the SDK meant them."""

import pytest

from services.ingest.core.identity import user_hasher
from shared.contracts.events import Event
from tests.support.ingest import USER_KEY, Bench, Recorded, basic, data, recorded

ANA = user_hasher(USER_KEY)("u-1")
CALLS = {"identify": "churn.user.v1", "alias": "churn.user.v1", "group": "churn.account.v1"}


@pytest.mark.parametrize("request_", list(recorded()), ids=lambda one: one.name)
async def test_a_recorded_request_is_taken_whole(request_: Recorded) -> None:
    bench = Bench()
    async with bench.client(headers={"Authorization": basic(bench.key)}) as client:
        answer = await client.post(request_.path, content=request_.content(), headers=request_.headers)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    sent = request_.body["batch"]
    kept = [*bench.events, *bench.waiting]
    assert bench.dead == []
    assert sorted(event.id for event in kept) == sorted(said["messageId"] for said in sent)
    assert bench.sample("churn_ingest_events_total", outcome="accepted") == len(bench.events)
    assert bench.sample("churn_ingest_events_total", outcome="unattributed") == len(bench.waiting)


@pytest.mark.parametrize("client_name", ["segment-python", "segment-node", "rudder-python", "rudder-node"])
async def test_every_call_of_an_sdk_is_of_its_kind_and_account(client_name: str) -> None:
    bench, said = Bench(), dict[str, dict[str, object]]()
    async with bench.client(headers={"Authorization": basic(bench.key)}) as client:
        for one in recorded():
            if one.name.startswith(f"{client_name}.all-calls"):
                await client.post(one.path, content=one.content(), headers=one.headers)
                said |= {event["messageId"]: event for event in one.body["batch"]}
    assert len(bench.events) == len(said) >= 6
    for event in bench.events:
        _is_as_meant(event, said[event.id])


def _is_as_meant(event: Event, said: dict[str, object]) -> None:
    assert event.subject == "acc-42"
    call = str(said["type"])
    name = said.get("event")
    assert event.type == CALLS.get(call, "churn.login.v1" if name == "Signed In" else "churn.usage.v1")
    if said.get("userId") and call != "group":
        assert data(event)["user"] == ANA
    if call == "group":
        assert data(event)["name"] == "Acme"
    for secret in (b"ana@acme.test", b"Ana", b"203.0.113.9", b"u-1"):
        assert secret not in bytes(event.data)
