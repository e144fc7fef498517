"""What no customer did is left out at the edge: counted, shown, never stored."""

from collections.abc import Mapping

import pytest

from services.ingest.core.sources import BadSources, read_sources
from shared.contracts.fault import name_of
from tests.support.ingest import Bench

RULES = [
    {"reason": "staff", "path": "traits.email", "ends_with": "@vendor.example"},
    {"reason": "impersonation", "path": "properties.impersonated", "equals": True},
    {"reason": "bot", "path": "context.userAgent", "contains": "bot"},
    {"reason": "test_user", "path": "userId", "matches": ["u-robot", "u-smoke"]},
]


def track(**said: object) -> Mapping[str, object]:
    return {"type": "track", "event": "Exported", "messageId": "m-1", "context": {"groupId": "acme"}, **said}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (track(userId="u", context={"groupId": "acme", "traits": {"email": "Dana@Vendor.Example"}}), "staff"),
        (track(userId="u", properties={"impersonated": True}), "impersonation"),
        (track(userId="u", properties={"impersonated": "TRUE"}), "impersonation"),
        (track(userId="u", context={"groupId": "acme", "userAgent": "GoogleBot/2"}), "bot"),
        (track(userId="U-Smoke"), "test_user"),
        (track(userId="u", properties={"impersonated": False}), None),
        (track(userId="u-robotics"), None),
        (track(userId="u", context={"groupId": "acme", "userAgent": ["bot"]}), None),
    ],
)
async def test_an_event_is_left_out_by_what_it_says(said: Mapping[str, object], reason: str | None) -> None:
    bench = Bench(read_sources({"default": {"exclude": RULES}}))
    answer = await bench.send({"batch": [said]})
    assert answer.json() == {"success": True}
    assert len(bench.events) == (0 if reason else 1)
    assert bench.sample("churn_ingest_excluded_total", reason=reason or "staff") == (1 if reason else 0)
    assert [fated.reason for fated in bench.recent if fated.fate == "excluded"] == ([reason] if reason else [])
    assert bench.publisher.records == [] or reason is None


def test_a_source_adds_to_the_default() -> None:
    sources = read_sources({"default": {"exclude": RULES[:1]}, "sources": {"web": {"exclude": RULES[1:2]}}})
    assert [one.reason for one in sources.of("web").exclude] == ["staff", "impersonation"]
    assert [one.reason for one in sources.of("app").exclude] == ["staff"]
    assert sources.reasons() == {"staff", "impersonation"}


def test_every_fault_of_an_exclusion_is_named_with_its_place() -> None:
    wrong = [
        {"reason": "staff", "path": "email", "equals": "x"},
        {"reason": "two words", "path": "userId", "equals": "x"},
        {"reason": "both", "path": "userId", "equals": "x", "contains": "y"},
        {"reason": "empty", "path": "userId", "equals": ""},
        {"reason": "odd", "path": "userId", "equals": "x", "why": 1},
        "bots",
    ]
    with pytest.raises(BadSources) as caught:
        read_sources({"default": {"exclude": wrong}})
    assert [name_of(fault.key) for fault in caught.value.faults] == [
        "default.exclude[0].path",
        "default.exclude[1].reason",
        "default.exclude[2]",
        "default.exclude[3].equals",
        "default.exclude[4].why",
        "default.exclude[5]",
    ]
