"""Rows become the records that the ingest would make of them."""

import json

import pytest

from lab.importing.records import Held, Lines


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("usage", None, {"user": "u1", "name": "Export"}),
        ("user", {"removed": True}, {"removed": True, "user": "u1"}),
        ("user", {"user": "somebody else", "removed": True}, {"removed": True, "user": "u1"}),
        ("user", {"user": "somebody else"}, {"user": "u1"}),
        ("survey", {"kind": "nps", "score": 3}, {"kind": "nps", "score": 3, "user": "u1"}),
    ],
)
def test_a_row_says_whose_it_is(kind: str, data: dict[str, object] | None, told: dict[str, object]) -> None:
    held = Held()
    held.take((0, "acme", 1_772_409_600_000, kind, "web", "u1", "Export", data))
    record = json.loads(Lines(held, held.rows()).of(0))
    assert (record["subject"], record["source"], record["data"]) == ("acme", "/sources/web", told)
