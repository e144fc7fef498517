"""Read a YAML file with the line of every key, so that whatever is wrong in it is named by file, line and key."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import ReaderError

from shared.contracts.fault import Fault, Key

_MERGE: Final = "tag:yaml.org,2002:merge"


class BadFiles(Exception):
    """One or more files can't be used; `faults` has one line each, with file, line and key."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlFile:
    """A parsed file: its content and the line (from 1) of every key in it."""

    path: Path
    content: Any
    lines: Mapping[Key, int]

    def in_words(self, faults: Iterable[Fault]) -> list[str]:
        """Return faults as `file:line: key: what is wrong`, from the top of the file down.

        What is missing is named at the line of what it is missing in.
        """
        return _in_words(self.path, ((self._line(fault.key), fault) for fault in faults))

    def _line(self, key: Key) -> int:
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read_yaml(path: Path) -> YamlFile:
    """Read a file; raises BadFiles when it can't be read as YAML, or when a mapping has one key twice."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = fault.object[: fault.start].count(b"\n") + 1
        raise BadFiles([f"{path}:{line}: is not UTF-8"]) from None
    except OSError as fault:
        raise BadFiles([f"{path}: {fault.strerror or fault}"]) from None
    try:
        return _parse(path, text)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        words = ", ".join(part for part in (fault.problem, fault.context) if part)
        raise BadFiles([f"{path}:{mark.line + 1 if mark else 1}: {words}"]) from None
    except ReaderError as fault:
        line = text[: fault.position].count("\n") + 1
        raise BadFiles([f"{path}:{line}: {fault.reason}"]) from None
    except RecursionError:
        raise BadFiles([f"{path}: is nested too deeply"]) from None


def _in_words(path: Path, placed: Iterable[tuple[int, Fault]]) -> list[str]:
    return [f"{path}:{line}: {fault}" for line, fault in sorted(placed, key=lambda one: one[0])]


def _parse(path: Path, text: str) -> YamlFile:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Key, int] = {}
        faults = list(_look(node, (), constructor=loader, lines=lines)) if node else []
        if faults:
            raise BadFiles(_in_words(path, faults))
        return YamlFile(path=path, content=loader.construct_document(node) if node else None, lines=lines)
    finally:
        loader.dispose()


def _look(
    node: yaml.Node, key: Key, *, constructor: SafeConstructor, lines: dict[Key, int]
) -> Iterator[tuple[int, Fault]]:
    """Note the line of every key below a node; yield keys that stand twice and values that are no values."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = yield from _take_key(name, key, constructor=constructor, lines=lines)
            if inner is not None:
                yield from _look(value, inner, constructor=constructor, lines=lines)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            lines[*key, place] = value.start_mark.line + 1
            yield from _look(value, (*key, place), constructor=constructor, lines=lines)
    else:
        try:
            constructor.construct_object(node)
        except ValueError as fault:  # such as the 13th month
            yield node.start_mark.line + 1, Fault(key, f"{node.value}: {fault}")


def _take_key(
    name: yaml.Node, key: Key, *, constructor: SafeConstructor, lines: dict[Key, int]
) -> Generator[tuple[int, Fault], None, Key | None]:
    line = name.start_mark.line + 1
    if name.tag == _MERGE:
        return None
    if not isinstance(name, yaml.ScalarNode):
        yield line, Fault(key, "has a key that is no text")
        return None
    inner = (*key, constructor.construct_object(name))
    if inner in lines:
        yield line, Fault(inner, f"stands twice, first at line {lines[inner]}")
        return None
    lines[inner] = line
    return inner
