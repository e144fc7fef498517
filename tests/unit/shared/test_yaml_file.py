"""A file is read with the line of every key, and what is wrong in it is named by file, line and key."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from shared.contracts.fault import Fault, faults_of_shape
from shared.yaml_file import BadFiles, read_yaml


def read(folder: Path, text: str | bytes) -> list[str]:
    """Return the faults of a file, without its path."""
    path = folder / "some.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadFiles) as bad:
        read_yaml(path)
    return [fault.removeprefix(str(path)) for fault in bad.value.faults]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("a: 1\nb: [1, 2\n", [":3: expected ',' or ']', but got '<stream end>', while parsing a flow sequence"]),
        (
            "a: 1\n\tb: 2\n",
            [":2: found character '\\t' that cannot start any token, while scanning for the next token"],
        ),
        ("a: 1\nb: 2\na: 3\n", [":3: a: stands twice, first at line 1"]),
        (
            "a: [{x: 1,\n x: 2}]\nb: {y: 1,\n\n y: 1}\n",
            [":2: a[0].x: stands twice, first at line 1", ":5: b.y: stands twice, first at line 3"],
        ),
        ("a: b\n---\nc: d\n", [":2: but found another document, expected a single document in the stream"]),
        ("a:\n  - 2026-13-01\n", [":2: a[0]: 2026-13-01: month must be in 1..12"]),
        ("a:\n  ? [1]\n  : 2\n", [":2: a: has a key that is no text"]),
        ("a: 1\nb: !<!!x> 1\n", [":2: could not determine a constructor for the tag '!!x'"]),
        (b"a: 1\nb: \xff\n", [":2: is not UTF-8"]),
        ("a: 1\nb: \x07\n", [":2: special characters are not allowed"]),
        ("[" * 5000, [": is nested too deeply"]),
        ("a: &a [*a]\n", [": is nested too deeply"]),
    ],
)
def test_what_is_no_yaml_is_named_with_its_line(tmp_path: Path, text: str | bytes, faults: list[str]) -> None:
    assert read(tmp_path, text) == faults


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFiles, match=r"gone\.yaml: No such file"):
        read_yaml(tmp_path / "gone.yaml")


def test_every_key_has_its_line_and_what_is_missing_that_of_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("base: &b {x: 1}\nother:\n  <<: *b\n  list:\n    - one\n    - {deep: 2}\nempty:\n", "utf-8")
    file = read_yaml(path)
    assert file.content == {"base": {"x": 1}, "other": {"x": 1, "list": ["one", {"deep": 2}]}, "empty": None}
    keys = [("empty",), ("other", "list", 1, "deep"), ("other", "list", 7), ("other", "x"), ("base", "x"), ("none",)]
    assert file.in_words(Fault(key, "!") for key in keys) == [
        f"{path}:1: base.x: !",
        f"{path}:1: none: !",
        f"{path}:2: other.x: !",
        f"{path}:4: other.list[7]: !",
        f"{path}:6: other.list[1].deep: !",
        f"{path}:7: empty: !",
    ]


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("# nothing yet\n", "utf-8")
    assert read_yaml(tmp_path / "some.yaml").content is None


class Leaf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"first": "from"}):
    """Something with a renamed field and a bound."""

    first: Annotated[int, msgspec.Meta(ge=1)]
    pair: tuple[int, str] = (1, "")


class Tree(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that holds itself."""

    name: str
    leaves: dict[str, Leaf] = {}
    inner: list["Tree"] = []
    maybe: Leaf | None = None


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ({"name": "a", "leaves": {"x": {"from": 1, "pair": [1, "a"]}}, "inner": [{"name": "b"}]}, []),
        (None, ["expected object, got null"]),
        ({}, ["name is missing"]),
        (
            {"name": 1, "nam": 2, "leaves": {"x": {"from": 0}, "y": {"first": 1}}, "maybe": {"from": "1"}},
            [
                "name: expected str, got int",
                "nam: unknown key; known are name, leaves, inner, maybe",
                "leaves.x.from: expected int >= 1",
                "leaves.y.first: unknown key; known are from, pair",
                "leaves.y: from is missing",
                "maybe.from: expected int, got str",
            ],
        ),
        (
            {"name": "a", "inner": [{"name": "b"}, {"name": "c", "inner": [{"name": None}, 5]}]},
            ["inner[1].inner[0].name: expected str, got null", "inner[1].inner[1]: expected object, got int"],
        ),
        (
            {"name": "a", "leaves": {"x": {"from": 1, "pair": [1]}}},
            ["leaves.x.pair: expected array of length 2, got 1"],
        ),
        (
            {"name": "a", "leaves": {"x": {"from": 1, "pair": ["1", 2]}}},
            ["leaves.x.pair[0]: expected int, got str", "leaves.x.pair[1]: expected str, got int"],
        ),
        ({"name": "a", "leaves": {3: {"from": 1}}}, ["leaves[3]: expected str, got int"]),
    ],
)
def test_every_fault_of_a_shape_is_named_with_its_key(content: object, faults: list[str]) -> None:
    assert [str(fault) for fault in faults_of_shape(content, Tree)] == faults
