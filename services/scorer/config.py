"""Read the shipped or edited configuration whole, or refuse it with every fault, its file, line and key."""

from pathlib import Path
from typing import Final

from services.scorer.core.bundle import ConfigError
from services.scorer.core.compile import bundle_of
from shared.contracts.context import Bundle
from shared.contracts.fault import Fault
from shared.yaml_file import BadFiles, YamlFile, read_yaml

NAMES: Final = ("scorecard", "rules")


def load_bundle(folder: Path) -> Bundle:
    """Return the bundle of the YAML files in a folder; raises BadFiles naming every fault."""
    read = {name: _read(folder / f"{name}.yaml") for name in NAMES}
    contents = {name: file.content if isinstance(file, YamlFile) else None for name, file in read.items()}
    try:
        return bundle_of(contents["scorecard"], contents["rules"])
    except ConfigError as refused:
        raise BadFiles([line for name, file in read.items() for line in _in_words(name, file, refused)]) from None


def _read(path: Path) -> YamlFile | BadFiles:
    try:
        return read_yaml(path)
    except BadFiles as bad:
        return bad


def _in_words(name: str, file: YamlFile | BadFiles, refused: ConfigError) -> list[str]:
    if isinstance(file, BadFiles):
        return list(file.faults)
    return file.in_words(Fault(key[1:], text) for key, text in refused.faults if key[0] == name)
