"""Segment's dialect: what real and careless senders write becomes items, or a rejection with its reason."""

import json
from typing import Any

import pytest

from services.ingest.core.dialects.segment import Unreadable, mend, open_envelope, read
from services.ingest.core.item import Call, Item, Reason, Rejection


def items(*events: Any, **around: Any) -> list[Item | Rejection]:
    body = json.dumps({"batch": events, **around}).encode()
    return list(read(open_envelope(body), body, call=None))


def item(event: dict[str, Any], **around: Any) -> Item:
    (found,) = items(event, **around)
    assert isinstance(found, Item), found
    return found


def reason(event: Any) -> Reason:
    (found,) = items(event)
    assert isinstance(found, Rejection), found
    return found.reason


TRACK = {"type": "track", "event": "Export", "messageId": "m1", "userId": "u1"}


def test_one_bad_event_does_not_cost_its_batch() -> None:
    found = items(TRACK, {**TRACK, "messageId": {"no": 1}}, TRACK)
    assert [isinstance(one, Item) for one in found] == [True, False, True]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ([], Reason.MALFORMED),
        (None, Reason.MALFORMED),
        ("track", Reason.MALFORMED),
        ({**TRACK, "type": "purchase"}, Reason.UNKNOWN_CALL),
        ({**TRACK, "type": None}, Reason.UNKNOWN_CALL),
        ({**TRACK, "type": ["track"]}, Reason.UNKNOWN_CALL),
        ({**TRACK, "messageId": 1.5}, Reason.INVALID_ID),
        ({**TRACK, "userId": ["u1"]}, Reason.INVALID_FIELD),
        ({**TRACK, "properties": "all"}, Reason.INVALID_FIELD),
        ({**TRACK, "context": []}, Reason.INVALID_FIELD),
        ({**TRACK, "properties": {"text": "x" * 33_000}}, Reason.TOO_LARGE),
    ],
)
def test_a_bad_event_is_refused_with_its_reason(event: Any, expected: Reason) -> None:
    assert reason(event) == expected


def test_a_rejection_keeps_the_bytes_and_tells_nothing_of_them() -> None:
    (found,) = items({**TRACK, "userId": ["ana@acme.test"]})
    assert isinstance(found, Rejection)
    assert b"ana@acme.test" in found.raw
    assert "ana" not in found.detail
    assert found.remedy


def test_bytes_that_are_no_text_are_refused_alone() -> None:
    good = json.dumps(TRACK).encode()
    body = b'{"batch":[' + good + b',{"type":"track","event":"\xff"},' + good + b"]}"
    found = read(open_envelope(body), body, call=None)
    assert [isinstance(one, Item) for one in found] == [True, False, True]


def test_explicit_nulls_and_empty_ids_are_absent() -> None:
    found = item({**TRACK, "anonymousId": None, "userId": "", "properties": None, "context": None})
    assert (found.anonymous, found.user, found.properties, found.context) == (None, None, {}, {})


def test_whole_numbers_are_ids() -> None:
    assert item({**TRACK, "userId": 42, "messageId": 7}).user == "42"


def test_the_batch_context_is_merged_and_the_event_wins() -> None:
    found = item({**TRACK, "context": {"groupId": "mine"}}, context={"groupId": "theirs", "zone": "eu"})
    assert found.context == {"groupId": "mine", "zone": "eu"}


def test_rudder_python_sends_traits_only_in_the_context() -> None:
    found = item({"type": "identify", "userId": "u1", "context": {"traits": {"role": "admin"}}})
    assert found.traits == {"role": "admin"}


def test_the_own_timestamp_is_preferred_over_the_original_and_sent_at_over_the_batchs() -> None:
    found = item({**TRACK, "timestamp": "a", "originalTimestamp": "b", "sentAt": "c"}, sentAt="d")
    assert (found.timestamp, found.sent_at) == ("a", "c")
    found = item({**TRACK, "originalTimestamp": "b"}, sentAt="d")
    assert (found.timestamp, found.sent_at) == ("b", "d")


def test_a_path_that_names_the_call_takes_the_body_as_the_event() -> None:
    body = b'{"event":"Export","userId":"u1"}'
    (found,) = read(open_envelope(body), body, call=Call.TRACK)
    assert isinstance(found, Item)
    assert (found.call, found.name) == (Call.TRACK, "Export")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'"x"', b"null", b'{"batch":{}}', b"\xff\xfe", b"a=1"])
def test_what_is_no_object_of_events_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        open_envelope(body)


def test_nesting_without_end_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        open_envelope(b'{"batch":[' + b"[" * 200_000)


def test_an_event_nested_too_deeply_for_python_is_refused() -> None:
    deep = b'{"type":"track","event":"x","properties":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}"
    (found,) = read(open_envelope(deep), deep, call=Call.TRACK)
    assert isinstance(found, Item) or found.reason is Reason.TOO_DEEP


def test_values_that_python_and_javascript_write_although_they_are_no_json_do_not_cost_the_batch() -> None:
    properties = (
        '{"nan": NaN, "inf": [-Infinity], "half": "\\ud83d!", "pair": "\\ud83d\\ude00", "said": "NaN \\\\ud83d"}'
    )
    body = b'{"batch":[{"type":"track","event":"x","properties":' + properties.encode() + b"}]}"
    (found,) = read(open_envelope(body), body, call=None)
    assert isinstance(found, Item)
    assert found.properties == {
        "nan": None,
        "inf": [None],
        "half": "\N{REPLACEMENT CHARACTER}!",
        "pair": "\N{GRINNING FACE}",
        "said": "NaN \\ud83d",
    }


def test_mending_leaves_sound_json_as_it_is() -> None:
    sound = rb'{"a": "\ud83d\ude00 \\ud83d \" NaN", "b": [1, -2.5e3, null]}'
    assert mend(sound) == sound
