"""What `churnwatch import` and the ingest say to one another."""

import asyncio

import httpx
import msgspec
import pytest

from services.ingest.core.identity import Belonging, user_hasher, user_key
from shared.contracts.context import Import, ImportState
from shared.contracts.events import Imported
from shared.contracts.health import Reconstructed
from shared.contracts.topics import CONTEXT, EVENTS, IDENTITY, SCORES
from shared.keys import Scope
from shared.publish import NotDurable
from tests.support.ingest import USER_KEY, Bench, basic

AT = 1_772_409_600_000
HASHED = user_hasher(USER_KEY)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.key = bench.new_key(Scope.IMPORT)
    return bench


async def post(bench: Bench, path: str, body: object = None) -> httpx.Response:
    return await bench.send(body if isinstance(body, bytes) else msgspec.json.encode(body), f"/v1/import/{path}")


def imported(bench: Bench) -> list[Imported]:
    return [msgspec.json.decode(record.value or b"", type=Imported) for record in bench.of(EVENTS)]


async def test_rows_become_imported_events_in_their_order(bench: Bench) -> None:
    rows = [
        [0, "acme", AT, "account", None, None, None, {"name": "Acme", "owner": "dana@example.com", "arr": 12}],
        [1, "acme", AT + 1, "login", "web", "u-1"],
        [5, "b", AT + 2, "usage", None, "u-2", "Exported"],
        [6, "b", AT + 3, "survey", None, "u-2", None, {"kind": "nps", "score": 3}],
    ]
    answer = await post(bench, "i_1/rows", rows)
    assert answer.json() == {"accepted": 4, "rejected": []}
    events = imported(bench)
    assert [(e.importjob, e.importrow, e.id, e.subject) for e in events] == [
        ("i_1", row, f"i_1-{row}", account) for row, account in ((0, "acme"), (1, "acme"), (5, "b"), (6, "b"))
    ]
    assert [e.source for e in events] == [f"/sources/{s}" for s in ("web-app", "web", "web-app", "web-app")]
    assert events[1].time == "2026-03-02T00:00:00.001Z"
    assert [msgspec.json.decode(e.data) for e in events[1:]] == [
        {"user": HASHED("u-1")},
        {"user": HASHED("u-2"), "name": "Exported"},
        {"kind": "nps", "score": 3, "user": HASHED("u-2")},
    ]
    assert b"u-1" not in b"".join(record.value or b"" for record in bench.publisher.records)


@pytest.mark.parametrize(
    ("row", "reason", "word"),
    [
        ([3, "", AT, "login"], "invalid_account", "account"),
        ([3, "acme", AT, "logon"], "invalid_value", "kind"),
        ([3, "acme", -1, "login"], "invalid_timestamp", "1970"),
        ([3, "acme", 10**14, "login"], "invalid_timestamp", "future"),
        ([3, "acme", AT, "login", "my app"], "invalid_field", "source"),
        ([3, "acme", AT, "login", None, "u" * 257], "invalid_user", "user"),
        ([3, "acme", AT, "usage", None, None, "x" * 101], "invalid_name", "name"),
        ([3, "acme", AT, "billing", None, None, None, {"status": "odd"}], "invalid_field", "data"),
        ([3, "acme", "yesterday", "login"], "malformed", "int"),
        ([3, "acme"], "malformed", "length"),
    ],
)
async def test_a_bad_row_is_named_and_costs_no_other(bench: Bench, row: list[object], reason: str, word: str) -> None:
    answer = await post(bench, "i_1/rows", [[2, "acme", AT, "login"], row, [4, "acme", AT, "login"]])
    said = answer.json()
    assert said["accepted"] == 2
    (refused,) = said["rejected"]
    assert (refused["row"], refused["reason"]) == (3, reason)
    assert word in refused["detail"]
    assert refused["remedy"]
    assert len(bench.dead) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([[1, "a", AT, "login"], [1, "a", AT, "login"]], "not_rows"),
        ([[n, "a", AT, "login"] for n in range(5001)], "not_rows"),
        ({"rows": []}, "not_rows"),
        (b"[[", "not_rows"),
    ],
)
async def test_a_body_that_is_no_list_of_rows_is_refused_whole(bench: Bench, body: object, code: str) -> None:
    answer = await post(bench, "i_1/rows", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert bench.publisher.records == []


async def test_only_import_keys_import_and_they_do_nothing_else(bench: Bench) -> None:
    assert (await bench.send({"batch": []})).status_code == 403
    ordinary = bench.new_key(Scope.INGEST)
    for path in ("start", "rows", "end", "history"):
        answer = await bench.send(b"[]", f"/v1/import/i_1/{path}", Authorization=basic(ordinary))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "--scope import" in answer.json()["message"]


async def test_start_and_end_lie_in_the_context_topic(bench: Bench) -> None:
    for path in ("start", "start", "end"):
        assert (await post(bench, f"i_1/{path}")).status_code == 200
    entries = [msgspec.json.decode(record.value or b"", type=Import) for record in bench.of(CONTEXT)]
    assert [(e.job, e.state) for e in entries] == [
        ("i_1", state) for state in (ImportState.RUNNING, ImportState.RUNNING, ImportState.ENDED)
    ]
    assert {record.key for record in bench.of(CONTEXT)} == {b"import"}
    assert (await post(bench, "odd%20job/start")).status_code == 400


async def test_a_history_teaches_where_users_belong_but_never_against_better_knowledge(bench: Bench) -> None:
    known = user_key("web-app", HASHED("u-known"))
    bench.users.learn({known: Belonging(account="now", at=AT + 10)})
    rows = [
        [0, "a", AT, "login", None, "u-1"],
        [1, "b", AT + 5, "login", None, "u-1"],
        [2, "b", AT + 6, "login", None, "u-1"],
        [3, "then", AT, "login", None, "u-known"],
    ]
    await post(bench, "i_1/rows", rows)
    found = bench.users.get(user_key("web-app", HASHED("u-1")))
    assert found is not None
    assert found.account == "b"
    assert len(bench.of(IDENTITY)) == 1
    assert bench.users.get(known) == Belonging(account="now", at=AT + 10)


async def test_reconstructed_days_are_marked(bench: Bench) -> None:
    days = [["acme", AT, 83_000, "healthy", "b_1"], ["acme", AT + 1, None, "unknown", "b_1"]]
    assert (await post(bench, "i_1/history", days)).json() == {"accepted": 2}
    records = bench.of(SCORES)
    assert [record.at for record in records] == [AT, AT + 1]
    assert msgspec.json.decode(records[0].value or b"", type=Reconstructed).reconstructed
    assert [(p.at, p.health, p.reconstructed) for p in bench.history["acme"]] == [
        (AT, 83_000, True),
        (AT + 1, None, True),
    ]
    assert (await post(bench, "i_1/history", [["acme", "x"]])).status_code == 400


async def test_nothing_is_accepted_that_is_not_durable(bench: Bench) -> None:
    bench.publisher.fault = NotDurable("kafka is away")
    for path in ("start", "rows", "end", "history"):
        answer = await post(bench, f"i_1/{path}", [])
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


async def test_a_history_steps_aside_for_live_requests(bench: Bench) -> None:
    rows = msgspec.json.encode([[n, "a", AT, "login"] for n in range(1000)])
    with bench.live.request():
        sending = asyncio.create_task(post(bench, "i_1/rows", rows))
        done, _ = await asyncio.wait({sending}, timeout=0.2)
        assert not done
    assert (await sending).json()["accepted"] == 1000
