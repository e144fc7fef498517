"""Read the shipped or edited configuration whole, or refuse it with every fault, its file and key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from services.scorer.core.bundle import ConfigError, bundle_of
from shared.contracts.context import Bundle

FILES = ("scorecard.yaml", "rules.yaml")


def load_bundle(folder: Path) -> Bundle:
    """Return the bundle of the YAML files in a folder; raises ConfigError naming every fault."""
    faults: list[str] = []
    read = [_read(folder / name, faults) for name in FILES]
    if faults:
        raise ConfigError(faults)
    scorecard, rules = read
    return bundle_of(scorecard, rules)


def _read(path: Path, faults: list[str]) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as fault:
        faults.append(f"{path}: {fault.strerror or fault}")
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        faults.append(f"{path}: {fault}")
    else:
        if isinstance(content, dict):
            return content
        faults.append(f"{path}: is not a mapping")
    return {}
