"""A service whose configuration has faults names all of them, each with file, line and key, and ends with 2."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.alerts.configuration import read_configuration
from shared.yaml_file import BadFiles

ROOT = Path(__file__).parents[2]
KEYS = {f"CHURNWATCH_{name}": "00" * 32 for name in ("DEAD_LETTER_KEY", "KEY_PEPPER", "USER_HASH_KEY")}
BROKEN = {
    "scorecard.yaml": [("margin: 2000", "margin: 2000, magrin: 1"), ("weight: 30", "weight: 0")],
    "rules.yaml": [
        ("feature: nps", "feature: mps"),
        ("severity: critical", "severity: critical\n    severity: at_risk"),
    ],
    "routes.yaml": [("receivers: [owner, team]", "receivers: [owner, slak]"), ("standing: hold", "standing: hld")],
    "people.yaml": [("09:00-18:00", "9 to 5")],
    "playbooks.yaml": [("silence:", "silence: [")],
    "journey.yaml": [("stages: []", "stages: [{ name: onboarding, gaol: x }]")],
    "sources.yaml": [("default: {}", "default:\n  events: {Login: 1}\n  trait: {}")],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a copy of the shipped configuration with faults in every file."""
    folder = Path(shutil.copytree(ROOT / "config", tmp_path / "config"))
    for name, changes in BROKEN.items():
        text = (folder / name).read_text("utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (
            "scorer",
            [
                "scorecard.yaml:12: bands.magrin: unknown key; known are healthy, watch, at_risk, margin",
                "scorecard.yaml:24: dimensions.adoption.weight: expected int >= 1",
                "rules.yaml:9: rules[0].severity: stands twice, first at line 8",
                "journey.yaml:17: stages[0].gaol: unknown key; known are name, goal",
                "journey.yaml:17: stages[0]: goal is missing",
                "playbooks.yaml:14: ",
            ],
        ),
        (
            "alerts",
            [
                "routes.yaml:24: standing: invalid enum value 'hld'",
                "people.yaml:9: people[0].hours: dana@example.com: '9 to 5' is not like 09:00-18:00",
                "playbooks.yaml:14: ",
                "rules.yaml:9: rules[0].severity: stands twice, first at line 8",
            ],
        ),
        (
            "ingest",
            [
                "sources.yaml:16: default.events.Login: is not text",
                "sources.yaml:17: default.trait: unknown key; known are events, traits, account_from, exclude",
            ],
        ),
    ],
)
def test_a_service_names_every_fault_with_file_line_and_key(config: Path, service: str, said: list[str]) -> None:
    told = {"CHURNWATCH_CONFIG": str(config), "CHURNWATCH_SOURCES": str(config / "sources.yaml")}
    environment = {**os.environ, **KEYS, **told}
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    lines = [line.removeprefix(f"{config}/") for line in ended.stderr.splitlines()]
    assert len(lines) == len(said), ended.stderr
    for line, wanted in zip(lines, said, strict=True):
        assert line.startswith(wanted)


def test_whom_alerts_can_not_reach_is_named_in_the_journey(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "config", tmp_path / "config"))
    stage = "{ name: onboarding, goal: In use, contact: eve@elsewhere.test }"
    journey = (folder / "journey.yaml").read_text("utf-8").replace("stages: []", f"stages:\n  - {stage}")
    (folder / "journey.yaml").write_text(journey, "utf-8")
    with pytest.raises(BadFiles) as refused:
        read_configuration(folder)
    (fault,) = refused.value.faults
    assert fault.removeprefix(f"{folder}/") == (
        "journey.yaml:18: stages[0].contact: 'eve@elsewhere.test' is nobody in people.yaml, nor an address of its"
        " domains; routes.yaml sends alerts there (stage_contact)"
    )


def test_the_shipped_configuration_has_no_faults() -> None:
    checks = (
        "from pathlib import Path;"
        "from services.scorer.config import load_bundle; from services.alerts.configuration import read_configuration;"
        "from services.ingest.core.sources import read_sources; from shared.yaml_file import read_yaml;"
        "folder = Path('config'); load_bundle(folder); read_configuration(folder);"
        "read_sources(read_yaml(folder / 'sources.yaml').content)"
    )
    subprocess.run([sys.executable, "-c", checks], cwd=ROOT, timeout=60, check=True)
