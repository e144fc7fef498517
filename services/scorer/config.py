"""Read the shipped or edited configuration whole, or refuse it with every fault, its file, line and key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from services.scorer.calendars import NAME as CALENDARS
from services.scorer.calendars import settings_of, tables_of
from services.scorer.core.bundle import ConfigError
from services.scorer.core.compile import bundle_of
from shared import clock
from shared.contracts.context import Bundle
from shared.contracts.fault import Fault
from shared.yaml_file import BadFiles, YamlFile, read_yaml

NAMES: Final = ("scorecard", "rules", "journey", "playbooks", "calendars")
OPTIONAL: Final = frozenset({"journey", "playbooks", "calendars"})
"""Files that may be absent: then there is no journey, or no playbook, or nobody is off but on public holidays."""


def load_bundle(folder: Path, *, year: int | None = None) -> Bundle:
    """Return the bundle of the YAML files in a folder; raises BadFiles naming every fault.

    Calendars cover the years around `year`, this one unless it is given.
    """
    read = {name: _read(folder / f"{name}.yaml", is_optional=name in OPTIONAL) for name in NAMES}
    contents = {name: _content(name, file) for name, file in read.items() if isinstance(file, YamlFile)}
    settings, faults = settings_of(contents.pop(CALENDARS, {}))
    contents[CALENDARS] = msgspec.to_builtins(tables_of(settings, year=year or clock.now().year))
    try:
        bundle = bundle_of(contents.pop("scorecard", None), contents.pop("rules", None), **contents)
    except ConfigError as refused:
        faults += refused.faults
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
