"""Read the shipped or edited configuration whole, or refuse it with every fault, its file, line and key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.scorer.core.bundle import ConfigError
from services.scorer.core.compile import bundle_of
from shared.contracts.context import Bundle
from shared.contracts.fault import Fault
from shared.yaml_file import BadFiles, YamlFile, read_yaml

NAMES: Final = ("scorecard", "rules", "journey", "playbooks")
OPTIONAL: Final = frozenset({"journey", "playbooks"})
"""Files that may be absent: then there is no journey, or no playbook."""


def load_bundle(folder: Path) -> Bundle:
    """Return the bundle of the YAML files in a folder; raises BadFiles naming every fault."""
    read = {name: _read(folder / f"{name}.yaml", is_optional=name in OPTIONAL) for name in NAMES}
    contents = {name: _content(name, file) for name, file in read.items() if isinstance(file, YamlFile)}
    faults: Sequence[Fault] = ()
    try:
        bundle = bundle_of(contents.pop("scorecard", None), contents.pop("rules", None), **contents)
    except ConfigError as refused:
        faults = refused.faults
    found = [line for name, file in read.items() for line in _in_words(name, file, faults)]
    if found:
        raise BadFiles(found)
    return bundle


def _read(path: Path, *, is_optional: bool) -> YamlFile | BadFiles:
    if is_optional and not path.exists():
        return YamlFile(path=path, content={}, lines={})
    try:
        return read_yaml(path)
    except BadFiles as bad:
        return bad


def _content(name: str, file: YamlFile) -> object:
    return {} if file.content is None and name in OPTIONAL else file.content


def _in_words(name: str, file: YamlFile | BadFiles, faults: Sequence[Fault]) -> list[str]:
    if isinstance(file, BadFiles):
        return list(file.faults)
    return file.in_words(Fault(key[1:], text) for key, text in faults if key[0] == name)
