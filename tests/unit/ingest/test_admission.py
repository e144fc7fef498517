"""What becomes of an item: an event of a kind for an account, a wait for its account, or a rejection."""

import json
from typing import Any

import msgspec
import pytest

from services.ingest.core.admission import Admission, Desk, admit
from services.ingest.core.dialects.segment import open_envelope, read
from services.ingest.core.identity import Belonging, newer, user_hasher, user_key
from services.ingest.core.item import Reason
from services.ingest.core.sources import SourceRules, read_sources
from shared.contracts.events import DATA_OF, Event, Kind, wire_time
from tests.support.ingest import data

NOW = 1_795_330_800_000  # 2026-11-22T07:00:00.000Z
HASHED = user_hasher(b"u" * 32)
ANA = HASHED("ana")


def judged(*events: dict[str, Any], known: dict[str, Belonging] | None = None, rules: Any = None) -> Admission:
    body = json.dumps({"batch": [{"type": "track", "messageId": f"m{i}", **event} for i, event in enumerate(events)]})
    desk = Desk(
        source="web",
        rules=rules or SourceRules(),
        received_ms=NOW,
        hashed=HASHED,
        known=(known or {}).get,
    )
    return admit(read(open_envelope(body.encode()), body.encode(), call=None), desk)


def event(said: dict[str, Any], **how: Any) -> Event:
    (found,) = judged({"userId": "ana", "context": {"groupId": "acme"}, **said}, **how).events
    return found


def reason(said: dict[str, Any]) -> Reason:
    (found,) = judged({"userId": "ana", "context": {"groupId": "acme"}, **said}).rejected
    return found.reason


def track(name: str, /, **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": properties}


@pytest.mark.parametrize(
    ("said", "kind", "expected"),
    [
        (track("Signed In", username="ana"), Kind.LOGIN, {"user": ANA}),
        (track("Export", quantity=2), Kind.USAGE, {"user": ANA, "name": "Export", "quantity": 2000}),
        (track("Payment Failed"), Kind.BILLING, {"status": "payment_failed"}),
        (track("Invoice Paid"), Kind.BILLING, {"status": "invoice_paid"}),
        (
            track("Sentiment Set", score="20", by="eve", until="2026-12-31T00:00:00Z"),
            Kind.SENTIMENT,
            {"score": 20, "by": "eve", "until": "2026-12-31"},
        ),
        (
            track("Health Overridden", health=40, by="eve", reason="they told us", until="2026-12-31"),
            Kind.OVERRIDE,
            {"health": 40, "by": "eve", "reason": "they told us", "until": "2026-12-31"},
        ),
        (track("Override Lifted", by="eve"), Kind.OVERRIDE, {"by": "eve"}),
        (track("Survey Answered", kind="NPS", score="3"), Kind.SURVEY, {"kind": "nps", "score": 3, "user": ANA}),
        (track("Subscription Started", mrr="$1,200"), Kind.SUBSCRIPTION, {"status": "started", "mrr": 1200}),
        (track("Subscription Renewed"), Kind.SUBSCRIPTION, {"status": "renewed"}),
        (track("Subscription Changed", mrr=900), Kind.SUBSCRIPTION, {"status": "changed", "mrr": 900}),
        (track("Subscription Cancelled"), Kind.SUBSCRIPTION, {"status": "cancelled"}),
        (track("Notice Given"), Kind.SUBSCRIPTION, {"status": "notice_given"}),
        (
            track("Outcome Achieved", name="hours saved", value=4.5),
            Kind.OUTCOME,
            {"user": ANA, "name": "hours saved", "quantity": 4500},
        ),
        (
            track(
                "Goal Set", name="faster close", target=10, due="2027-03-31", kind="Cost Saved", metric="Month Closed"
            ),
            Kind.GOAL,
            {
                "name": "faster close",
                "kind": "cost_saved",
                "target": 10_000,
                "due": "2027-03-31",
                "metric": "Month Closed",
            },
        ),
        (
            track("Milestone Reached", name="first report", by="eve"),
            Kind.MILESTONE,
            {"name": "first report", "user": ANA, "by": "eve"},
        ),
        (track("Ticket Opened"), Kind.TICKET, {"user": ANA, "name": "opened"}),
        (track("Ticket Closed"), Kind.TICKET, {"user": ANA, "name": "closed"}),
        (track("Account Deleted"), Kind.ACCOUNT, {"deleted": True}),
        (track("Account Removed User"), Kind.USER, {"user": ANA, "removed": True}),
        (track("Trial Started"), Kind.USAGE, {"user": ANA, "name": "Trial Started"}),
        (
            {"type": "identify", "traits": {"role": "admin", "email": "a@b.c"}},
            Kind.USER,
            {"user": ANA, "role": "admin"},
        ),
        ({"type": "alias", "previousId": "anon"}, Kind.USER, {"user": ANA}),
        (
            {"type": "page", "category": "Docs", "name": "Home"},
            Kind.USAGE,
            {"user": ANA, "name": "Viewed Docs Home Page"},
        ),
        ({"type": "screen", "name": "Main"}, Kind.USAGE, {"user": ANA, "name": "Viewed Main Screen"}),
        ({"type": "page"}, Kind.USAGE, {"user": ANA, "name": "Viewed Page"}),
        (
            {
                "type": "group",
                "groupId": "acme",
                "traits": {
                    "name": "Acme",
                    "owner": "dana@vendor.test",
                    "segment": "enterprise",
                    "stage": "adoption",
                    "arr": "$48,000",
                    "currency": "usd",
                    "seats": "25",
                    "renewalDate": "2027-01-31",
                    "timezone": "Europe/Berlin",
                    "country": "DE",
                    "closures": [{"from": "2026-12-21", "to": "2026-12-23T00:00:00Z"}],
                    "parent": "holding",
                    "trial": "no",
                    "csm_phone": "+49",
                },
            },
            Kind.ACCOUNT,
            {
                "name": "Acme",
                "owner": "dana@vendor.test",
                "segment": "enterprise",
                "stage": "adoption",
                "arr": 48000,
                "currency": "USD",
                "seats": 25,
                "renewal_date": "2027-01-31",
                "timezone": "Europe/Berlin",
                "country": "DE",
                "closures": [{"from": "2026-12-21", "to": "2026-12-23"}],
                "parent": "holding",
                "trial": False,
            },
        ),
    ],
)
def test_from_a_call_to_a_kind(said: dict[str, Any], kind: Kind, expected: dict[str, Any]) -> None:
    found = event(said)
    assert (found.type, found.subject, found.source) == (f"churn.{kind}.v1", "acme", "/sources/web")
    assert data(found) == expected
    if kind in DATA_OF:
        msgspec.json.decode(found.data, type=DATA_OF[kind], strict=True)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (track(""), Reason.MISSING_NAME),
        ({"event": None}, Reason.MISSING_NAME),
        (track("x" * 101), Reason.INVALID_NAME),
        (track("two\nlines"), Reason.INVALID_NAME),
        (track("Survey Answered", kind="nps", score=11), Reason.INVALID_VALUE),
        (track("Survey Answered", kind="mood", score=3), Reason.INVALID_VALUE),
        (track("Survey Answered", kind="csat"), Reason.INVALID_VALUE),
        (track("Sentiment Set", score=101, by="eve@example.org"), Reason.INVALID_VALUE),
        (track("Sentiment Set", score=50), Reason.INVALID_VALUE),
        (track("Health Overridden", health=50, by="eve", reason="new champion"), Reason.INVALID_VALUE),
        (track("Health Overridden", health=50, by="eve", until="2026-12-31"), Reason.INVALID_VALUE),
        (track("Override Lifted"), Reason.INVALID_VALUE),
        ({**track("Export"), "messageId": "x" * 257}, Reason.INVALID_ID),
        ({**track("Export"), "messageId": None}, Reason.MISSING_ID),
        ({**track("Export"), "timestamp": "soon"}, Reason.INVALID_TIMESTAMP),
        ({**track("Export"), "userId": "x" * 257}, Reason.INVALID_USER),
        ({**track("Export"), "context": {"groupId": "ä" * 65}}, Reason.INVALID_ACCOUNT),
        ({**track("Export"), "context": {"groupId": {"id": 1}}}, Reason.INVALID_ACCOUNT),
        ({**track("Export"), "context": {"groupId": "a\nb"}}, Reason.INVALID_ACCOUNT),
        ({**track("Export"), "context": {"groupId": True}}, Reason.INVALID_ACCOUNT),
        ({"type": "identify", "userId": None, "anonymousId": "anon"}, Reason.MISSING_USER),
        ({**track("Export"), "context": {}, "userId": None}, Reason.MISSING_ACCOUNT),
    ],
)
def test_what_is_refused_and_why(said: dict[str, Any], expected: Reason) -> None:
    assert reason(said) == expected


@pytest.mark.parametrize(
    ("closures", "read"),
    [
        ([], []),
        ([{"from": "2026-12-21", "to": "2026-12-23"}] * 32, [{"from": "2026-12-21", "to": "2026-12-23"}] * 32),
        ([{"from": "2026-12-21", "to": "2026-12-23"}] * 33, None),
        ([{"from": "2026-12-21"}], None),
        ([{"from": "2026-02-30", "to": "2026-03-01"}], None),
        ("2026-12-21", None),
        (["2026-12-21"], None),
    ],
)
def test_closures_are_read_whole_or_left_out(closures: object, read: object) -> None:
    found = judged({"type": "group", "groupId": "acme", "traits": {"closures": closures}})
    assert data(found.events[0]).get("closures") == read
    assert found.dropped == (["closures"] if read is None else [])


def test_an_unreadable_trait_is_left_out_and_noted_and_the_event_is_kept() -> None:
    found = judged({"type": "group", "groupId": "acme", "traits": {"name": "Acme", "arr": "lots", "currency": "euro"}})
    assert [data(one) for one in found.events] == [{"name": "Acme"}]
    assert sorted(found.dropped) == ["arr", "currency"]


@pytest.mark.parametrize(
    "said",
    [
        {"groupId": "acme", "context": {"groupId": "other"}},
        {"context": {"groupId": "acme", "group": {"id": "other"}}},
        {"context": {"group": {"id": "acme"}}, "properties": {"groupId": "other"}},
        {"properties": {"groupId": "acme", "account_id": "other"}},
        {"properties": {"account_id": "acme", "accountId": "other"}},
        {"properties": {"accountId": "acme"}},
        {"type": "identify", "traits": {"company": {"id": "acme"}}},
        {"type": "identify", "context": {"traits": {"company": {"id": "acme"}}}},
        {"context": {"traits": {"company": {"id": "acme"}}}},
        {"context": {"groupId": None, "group": "text"}, "properties": {"groupId": "", "accountId": "acme"}},
    ],
)
def test_the_account_is_found_in_the_agreed_order(said: dict[str, Any]) -> None:
    known = {user_key("web", ANA): Belonging(account="of the map", at=1)}
    (found,) = judged({"userId": "ana", "event": "Export", **said}, known=known).events
    assert found.subject == "acme"


def test_a_number_is_an_account_id_too() -> None:
    assert event({**track("Export"), "context": {"groupId": 42}}).subject == "42"


def test_without_an_account_the_map_decides() -> None:
    known = {user_key("web", ANA): Belonging(account="acme", at=1)}
    (found,) = judged({"event": "Export", "userId": "ana"}, known=known).events
    assert found.subject == "acme"


def test_an_unknown_user_waits_and_its_event_is_complete_but_for_the_account() -> None:
    (found,) = judged({"event": "Export", "userId": "ana"}).waiting
    assert found.user == user_key("web", ANA)
    assert (found.event.id, found.event.subject, data(found.event)["user"]) == ("m0", "", ANA)


def test_a_group_call_teaches_what_comes_before_and_after_it_in_the_batch() -> None:
    found = judged(
        {"event": "Before", "userId": "ana"},
        {"type": "group", "userId": "ana", "groupId": "acme"},
        {"event": "After", "userId": "ana"},
    )
    assert sorted(data(one).get("name", "group") for one in found.events) == ["After", "Before", "group"]
    assert {one.subject for one in found.events} == {"acme"}
    assert found.learned == {user_key("web", ANA): Belonging(account="acme", at=NOW)}


def test_a_track_with_an_explicit_account_teaches_nothing() -> None:
    assert judged({"event": "Export", "userId": "ana", "context": {"groupId": "guest"}}).learned == {}


def test_an_alias_hands_the_account_on() -> None:
    known = {user_key("web", HASHED("anon")): Belonging(account="acme", at=1)}
    found = judged({"type": "alias", "userId": "ana", "previousId": "anon"}, known=known)
    assert found.learned[user_key("web", ANA)].account == "acme"


def test_a_refused_group_teaches_nothing() -> None:
    found = judged({"type": "group", "userId": "ana", "groupId": "acme", "messageId": None})
    assert [one.reason for one in found.rejected] == [Reason.MISSING_ID]
    assert found.learned == {}


def test_what_is_learned_later_in_time_wins_whatever_comes_first() -> None:
    old, new = Belonging(account="a", at=1), Belonging(account="b", at=2)
    assert newer(None, old)
    assert newer(old, new)
    assert not newer(new, old)
    assert not newer(new, new)
    assert newer(old, Belonging(account="b", at=1))


def test_no_name_address_phone_or_ip_of_an_end_user_is_in_an_event() -> None:
    traits = {"email": "ana@acme.test", "name": "Ana", "phone": "+49 30", "role": "admin"}
    found = judged(
        {
            "type": "identify",
            "userId": "ana@acme.test",
            "traits": traits,
            "context": {"ip": "203.0.113.9", "groupId": "g"},
        },
        {"event": "Invite Sent", "userId": "ana@acme.test", "properties": {"invitee_email": "bo@acme.test"}},
    )
    written = msgspec.json.encode([*found.events, *found.learned, *(one.user for one in found.waiting)])
    for secret in (b"ana", b"Ana", b"bo@", b"+49", b"203."):
        assert secret not in written


def test_an_event_without_an_id_gets_one_from_its_content_that_a_retry_repeats() -> None:
    said = {**track("Export"), "messageId": None, "timestamp": "2026-11-22T06:00:00Z"}
    first, again = event({**said, "sentAt": "2026-11-22T06:00:01Z"}), event({**said, "sentAt": "2026-11-22T06:00:09Z"})
    assert first.id == again.id
    assert first.id.startswith("h_")
    assert event({**said, "event": "Import"}).id != first.id


def test_the_time_is_the_events_own_and_without_one_that_of_receipt() -> None:
    found = event({**track("Export"), "timestamp": "2026-11-22T06:00:00+00:00"})
    assert (found.time, found.receivedat) == ("2026-11-22T06:00:00.000Z", "2026-11-22T07:00:00.000Z")
    assert event(track("Export")).time == wire_time(NOW)


def test_a_source_may_have_its_own_names() -> None:
    content = {"default": {"events": {"login": "Signed In", "report.run": "Report Run"}, "traits": {"price": "mrr"}}}
    rules = read_sources(content).default
    assert event(track("login"), rules=rules).type == "churn.login.v1"
    assert data(event(track("report.run"), rules=rules))["name"] == "Report Run"
    assert data(event(track("Subscription Started", price=5), rules=rules))["mrr"] == 5
