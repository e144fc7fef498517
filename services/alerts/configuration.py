"""Read the YAML files that say whom to tell what, and name every fault in them at once."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from services.alerts.core.message import Background
from services.alerts.core.people import People, faults_of
from services.alerts.core.routing import Routes, faults, stage_targets
from services.alerts.core.signals import Signals
from services.alerts.core.stage import Journey
from services.alerts.core.stage import faults_of as faults_of_stages
from shared.contracts.fault import Fault, faults_of_shape
from shared.contracts.playbook import Playbook
from shared.yaml_file import BadFiles, read_yaml

T = TypeVar("T")

MOST_ALPHA = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything the files say."""

    routes: Routes
    people: People
    background: Background
    signals: Signals


def read_configuration(folder: Path) -> Configuration:
    """Read routes, people and playbooks, of rules the silence rule's alpha, of the scorecard what it calls events.

    Playbooks and journey may be absent; whom the journey names is looked at where routes send alerts there. Raises
    BadFiles.
    """
    found: list[str] = []
    routes = _read(folder / "routes.yaml", Routes, found, faults)
    people = _read(folder / "people.yaml", People, found, faults_of)
    playbooks = _playbooks(folder / "playbooks.yaml", found)
    if routes is not None and people is not None:
        _judge_stages(folder / "journey.yaml", found, targets=stage_targets(routes), people=people)
    rules = _read(folder / "rules.yaml", dict[str, Any], found, _alpha_faults)
    signals = _read(folder / "scorecard.yaml", Signals, found)
    if found or routes is None or people is None or playbooks is None or rules is None or signals is None:
        raise BadFiles(found)
    background = Background(playbooks=playbooks, alpha_permille=rules["silence"]["alpha_permille"])
    return Configuration(routes=routes, people=people, background=background, signals=signals)


def _playbooks(path: Path, found: list[str]) -> dict[str, Playbook] | None:
    return _read(path, dict[str, Playbook], found) if path.exists() else {}


def _judge_stages(path: Path, found: list[str], *, targets: Collection[str], people: People) -> None:
    if targets and path.exists():
        _read(path, Journey, found, partial(faults_of_stages, targets=targets, is_staff=people.is_staff))


def _none(_content: object) -> Iterable[Fault]:
    return ()


def _read(path: Path, shape: type[T], found: list[str], judge: Callable[[T], Iterable[Fault]] = _none) -> T | None:
    """Return a file's content, or None and add every fault; `judge` finds those that types don't tell."""
    try:
        file = read_yaml(path)
    except BadFiles as bad:
        found += bad.faults
        return None
    wrong = list(faults_of_shape(file.content, shape))
    content = None if wrong else msgspec.convert(file.content, shape)
    if content is not None:
        wrong = list(judge(content))
    found += file.in_words(wrong)
    return content


def _alpha_faults(rules: dict[str, Any]) -> Iterable[Fault]:
    silence = rules.get("silence")
    alpha = silence.get("alpha_permille") if isinstance(silence, dict) else None
    if not isinstance(alpha, int) or not 0 < alpha <= MOST_ALPHA:
        yield Fault(("silence", "alpha_permille"), f"{alpha!r} is no number from 1 to {MOST_ALPHA}")
