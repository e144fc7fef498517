"""One version stands for all four files; two of them may be absent, or empty."""

import shutil
from pathlib import Path

import pytest

from services.scorer.config import load_bundle
from shared.yaml_file import BadFiles

SHIPPED = Path(__file__).parents[3] / "config"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "config"))


@pytest.mark.parametrize("name", ["scorecard", "rules", "journey", "playbooks"])
def test_each_file_is_in_the_version(folder: Path, name: str) -> None:
    with (folder / f"{name}.yaml").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert load_bundle(folder).version == load_bundle(SHIPPED).version
    old, new = {
        "scorecard": ("margin: 2000", "margin: 2001"),
        "rules": ("alpha_permille: 10", "alpha_permille: 11"),
        "journey": ("stages: []", "stages: [{ name: onboarding, goal: In use }]"),
        "playbooks": ("Read what they wrote", "Read all they wrote"),
    }[name]
    path = folder / f"{name}.yaml"
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    assert load_bundle(folder).version != load_bundle(SHIPPED).version


def test_without_a_journey_there_is_none(folder: Path) -> None:
    (folder / "journey.yaml").write_text("# later\n", "utf-8")
    assert load_bundle(folder)
    (folder / "journey.yaml").unlink()
    assert load_bundle(folder)


def test_without_playbooks_no_rule_may_name_one(folder: Path) -> None:
    (folder / "playbooks.yaml").unlink()
    with pytest.raises(BadFiles, match=r"rules\.yaml:9: rules\[0\]\.playbook: no playbook 'failed-payment'"):
        load_bundle(folder)
    rules = (folder / "rules.yaml").read_text("utf-8").splitlines()
    (folder / "rules.yaml").write_text("\n".join(line for line in rules if "playbook:" not in line), "utf-8")
    assert load_bundle(folder)
