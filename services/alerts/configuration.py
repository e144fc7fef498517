"""Read the YAML files that say whom to tell what, and name every fault in them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from services.alerts.core.message import Background, Playbook
from services.alerts.core.people import People, faults_of
from services.alerts.core.routing import Routes, faults

T = TypeVar("T")


class BadConfiguration(Exception):
    """One or more files can't be used; `faults` has one line each."""

    def __init__(self, found: Sequence[str]) -> None:
        super().__init__("; ".join(found))
        self.faults = found


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything the files say."""

    routes: Routes
    people: People
    background: Background


def read_configuration(folder: Path) -> Configuration:
    """Read routes, people and playbooks, and the silence rule's alpha out of rules. Raises BadConfiguration."""
    found: list[str] = []
    routes = _read(folder / "routes.yaml", Routes, found)
    people = _read(folder / "people.yaml", People, found)
    playbooks = _read(folder / "playbooks.yaml", dict[str, Playbook], found)
    rules = _read(folder / "rules.yaml", dict[str, Any], found)
    alpha = _alpha(rules or {}, found)
    if routes is not None:
        found += [f"{folder / 'routes.yaml'}: {fault}" for fault in faults(routes)]
    if people is not None:
        found += [f"{folder / 'people.yaml'}: {fault}" for fault in faults_of(people)]
    if found or routes is None or people is None or playbooks is None:
        raise BadConfiguration(found)
    return Configuration(routes=routes, people=people, background=Background(playbooks=playbooks, alpha_permille=alpha))


def _read(path: Path, shape: type[T], found: list[str]) -> T | None:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text("utf-8")), shape)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as fault:
        found.append(f"{path}: {' '.join(str(fault).split())}")
        return None


def _alpha(rules: Mapping[str, Any], found: list[str]) -> int:
    silence = rules.get("silence")
    alpha = silence.get("alpha_permille") if isinstance(silence, dict) else None
    if not isinstance(alpha, int) or not 0 < alpha <= 1000:
        if rules:
            found.append(f"rules.yaml: silence.alpha_permille: {alpha!r} is no number from 1 to 1000")
        return 1000
    return alpha
