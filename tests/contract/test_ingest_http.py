"""The ingest's HTTP contract: who may send, what is answered, and that 200 is said only when it is true."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.ingest.core.item import Reason
from shared.contracts.topics import IDENTITY
from shared.dead_letters import unseal
from shared.keys import Mode, Scope
from shared.publish import NotDurable, Overloaded
from tests.support.ingest import DEAD_LETTER_KEY, Bench, basic

EVENT = {"type": "track", "event": "Export", "messageId": "m1", "userId": "ana", "context": {"groupId": "acme"}}
BATCH = {"batch": [EVENT]}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def is_error(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    body = answer.json()
    assert body["code"] == code
    assert body["message"]
    assert body["detail"]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/batch/", "/v1/b/"])
async def test_a_batch_is_taken_under_every_spelling(bench: Bench, path: str) -> None:
    answer = await bench.send(BATCH, path)
    assert (answer.status_code, answer.text) == (200, '{"success":true}')
    assert [event.id for event in bench.events] == ["m1"]


@pytest.mark.parametrize("call", ["track", "identify", "group", "page", "screen", "alias"])
async def test_a_single_call_is_taken_under_every_spelling(bench: Bench, call: str) -> None:
    said = {"messageId": "m", "userId": "ana", "groupId": "acme", "event": "Export", "name": "Home"}
    for path in (f"/v1/{call}", f"/v1/{call[0]}", f"/v1/{call}/", f"/v1/{call[0]}/", f"/api/s/{call}"):
        assert (await bench.send(said, path)).status_code == 200
    assert len(bench.events) == 5
    assert len({event.type for event in bench.events}) == 1
    assert bench.sample("churn_ingest_http_requests_total", route=call, code="200") == 5


CONTENT_TYPES = ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "nonsense"]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("packed", ["plain", "gzip", "gzip-unlabelled", "plain-labelled-gzip"])
async def test_the_content_type_is_ignored_and_gzip_is_seen(bench: Bench, content_type: str, packed: str) -> None:
    body = json.dumps(BATCH).encode()
    headers = {"Content-Encoding": "gzip"} if packed in {"gzip", "plain-labelled-gzip"} else {}
    body = gzip.compress(body) if packed.startswith("gzip") else body
    answer = await bench.send(body, **headers, **{"Content-Type": content_type})
    assert answer.status_code == 200
    assert len(bench.events) == 1


async def test_every_place_of_the_key_is_read(bench: Bench) -> None:
    body = json.dumps(BATCH).encode()
    masked = {**BATCH, "writeKey": "k1:***"}
    ways: list[tuple[dict[str, str], Any]] = [
        ({"Authorization": basic(bench.key)}, body),
        ({"Authorization": f"Bearer {bench.key}"}, body),
        ({"X-Write-Key": bench.key}, masked),
        ({}, {**BATCH, "writeKey": bench.key}),
        ({}, {**BATCH, "api_key": bench.key}),
        ({"Authorization": "Bearer eyJhbGciOi"}, {**BATCH, "writeKey": bench.key}),
    ]
    async with bench.client() as client:
        for headers, said in ways:
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            answer = await client.post("/v1/batch", content=content, headers=headers)
            assert answer.status_code == 200, (headers, answer.text)
    assert len(bench.events) == len(ways)


async def test_the_header_wins_over_the_body(bench: Bench) -> None:
    async with bench.client() as client:
        content = json.dumps({**BATCH, "writeKey": bench.key}).encode()
        answer = await client.post("/v1/batch", content=content, headers={"Authorization": basic("ck_x_y")})
    is_error(answer, 401, "unauthorized")


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic ???", "Basic /w==", "Bearer ", "Digest x", basic(""), basic("wk")]
)
async def test_without_a_good_key_it_is_401_with_one_body(bench: Bench, header: str) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/batch", content=json.dumps(BATCH), headers={"Authorization": header})
    is_error(answer, 401, "unauthorized")
    assert bench.publisher.records == []


async def test_a_revoked_key_and_one_for_reading_may_not_send(bench: Bench) -> None:
    reading = bench.new_key(Scope.READ)
    bench.revoke(bench.key)
    async with bench.client() as client:
        refused = await client.post("/v1/batch", json=BATCH, headers={"Authorization": basic(bench.key)})
        forbidden = await client.post("/v1/batch", json=BATCH, headers={"Authorization": basic(reading)})
    is_error(refused, 401, "unauthorized")
    is_error(forbidden, 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"data=1", 400, "malformed_json"),
        (b"[]", 400, "malformed_json"),
        (b"{}", 400, "missing_batch"),
        (b'{"batch":5}', 400, "malformed_json"),
        (b'{"batch":[' + b"[" * 100_000, 400, "malformed_json"),
        (gzip.compress(b"{}", mtime=0)[:-3], 400, "malformed_gzip"),
        (b" " * ((1 << 20) + 1), 413, "too_large"),
        (gzip.compress(b" " * (6 << 20), mtime=0), 413, "too_large"),
        (json.dumps({"batch": [0] * 2501}).encode(), 413, "too_many_events"),
    ],
)
async def test_a_body_that_can_not_be_read_is_refused(bench: Bench, body: bytes, status: int, code: str) -> None:
    is_error(await bench.send(body), status, code)
    assert bench.publisher.records == []


async def test_a_body_is_counted_as_it_streams(bench: Bench) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 10_000
        pytest.fail("read on behind the cap")

    async with bench.client(headers={"Authorization": basic(bench.key)}) as client:
        answer = await client.post("/v1/batch", content=endless())
    is_error(answer, 413, "too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/batch", 405, "method_not_allowed"),
        ("PUT", "/v1/track", 405, "method_not_allowed"),
        ("POST", "/v1/nothing", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
    ],
)
async def test_the_frameworks_errors_have_our_form(
    bench: Bench, method: str, path: str, status: int, code: str
) -> None:
    async with bench.client() as client:
        is_error(await client.request(method, path), status, code)


async def test_a_browser_may_ask_before_it_sends(bench: Bench) -> None:
    asked = {"Origin": "http://app.test", "Access-Control-Request-Method": "POST"}
    async with bench.client() as client:
        answer = await client.options("/v1/t", headers={**asked, "Access-Control-Request-Headers": "content-type"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(("fault", "status"), [(NotDurable("kafka"), 503), (Overloaded("much"), 429)])
async def test_what_is_not_durable_is_not_answered_200(bench: Bench, fault: NotDurable, status: int) -> None:
    bench.publisher.fault = fault
    answer = await bench.send({"batch": [{**EVENT, "type": "group", "groupId": "acme"}]})
    is_error(answer, status, "unavailable" if status == 503 else "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    assert len(bench.users) == 0
    assert bench.sample("churn_ingest_events_total", outcome="accepted") == 0


async def test_before_keys_and_users_are_read_it_is_503_and_not_401(bench: Bench) -> None:
    bench.loaded = False
    answer = await bench.send(BATCH, Authorization=basic("ck_not_yet"))
    is_error(answer, 503, "not_ready")
    assert answer.headers["retry-after"].isdigit()


async def test_a_bad_event_is_dead_lettered_sealed_and_the_request_is_still_200(bench: Bench) -> None:
    bad = {"type": "track", "event": "Export", "userId": "ana@acme.test", "context": {"groupId": "acme"}}
    answer = await bench.send({"batch": [EVENT, bad]})
    assert answer.status_code == 200
    (letter,) = bench.dead
    headers = dict(letter.headers)
    assert (headers["dlq-reason"], headers["dlq-stage"]) == (b"missing_id", b"ingest")
    assert b"ana@" not in (letter.value or b"")
    assert json.loads(unseal(letter.value or b"", key=DEAD_LETTER_KEY)) == bad
    assert bench.sample("churn_ingest_rejected_total", reason="missing_id") == 1


async def test_a_test_key_is_told_what_would_become_of_its_events_and_keeps_none(bench: Bench) -> None:
    key = bench.new_key(mode=Mode.TEST)
    answer = await bench.send({"batch": [EVENT, {"type": "x"}]}, Authorization=basic(key))
    said = answer.json()
    assert (said["success"], said["accepted"], said["unattributed"]) == (True, 1, 0)
    assert [one["reason"] for one in said["rejected"]] == ["unknown_call"]
    assert said["rejected"][0]["remedy"]
    assert bench.publisher.records == []
    assert bench.sample("churn_ingest_events_total", outcome="test") == 2


async def test_a_user_once_known_is_attributed_in_the_next_request(bench: Bench) -> None:
    page = {"type": "page", "name": "Home", "userId": "ana", "messageId": "m2"}
    await bench.send({"batch": [page]})
    assert [event.id for event in bench.waiting] == ["m2"]
    await bench.send({"batch": [{"type": "group", "groupId": "acme", "userId": "ana", "messageId": "m3"}]})
    assert len(bench.of(IDENTITY)) == 1
    await bench.send({"batch": [page]})
    assert [(event.id, event.subject) for event in bench.events] == [("m3", "acme"), ("m2", "acme")]


async def test_the_same_batch_twice_has_the_same_ids(bench: Bench) -> None:
    body = {"batch": [EVENT, {**EVENT, "messageId": None, "timestamp": "2026-11-22T07:00:00Z"}], "sentAt": "x"}
    await bench.send(body)
    first = [event.id for event in bench.events]
    await bench.send({**body, "sentAt": "2026-11-22T07:00:01Z"})
    assert [event.id for event in bench.events] == first * 2


async def test_an_event_larger_than_a_kafka_record_is_kept_all_the_same(bench: Bench) -> None:
    large = {**EVENT, "properties": {"text": "x" * (4 << 20)}}
    assert (await bench.send(gzip.compress(json.dumps({"batch": [large, EVENT]}).encode()))).status_code == 200
    (letter,) = bench.dead
    assert len(letter.value or b"") < 1 << 20
    assert len(unseal(letter.value or b"", key=DEAD_LETTER_KEY)) > 4 << 20
    assert len(bench.events) == 1


async def test_many_at_once_are_all_kept(bench: Bench) -> None:
    async with bench.client(headers={"Authorization": basic(bench.key)}) as client:
        sends = [client.post("/v1/track", json={**EVENT, "messageId": f"m{i}"}) for i in range(50)]
        assert {answer.status_code for answer in await asyncio.gather(*sends)} == {200}
    assert len({event.id for event in bench.events}) == 50


async def test_every_label_is_there_from_the_start(bench: Bench) -> None:
    async with bench.client() as client:
        text = (await client.get("/metrics")).text
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
    for reason in Reason:
        assert f'churn_ingest_rejected_total{{reason="{reason}"}} 0.0' in text
    for outcome in ("accepted", "unattributed", "rejected", "test"):
        assert f'churn_ingest_events_total{{outcome="{outcome}"}} 0.0' in text
    assert 'churn_ingest_http_requests_total{code="503",route="batch"} 0.0' in text
