"""Configure Churnwatch as the demo's vendor would: the shipped files, with the names its own products use."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

SHIPPED: Final = Path("config")
KEY_FEATURES: Final = ("Report Viewed", "Record Edited", "Comment Added")
SIGNALS: Final[Mapping[str, Sequence[str]]] = {
    "automation": ["Sync Run"],
    "exports": ["Export Run", "Export All Records"],
    "admin": ["Role Changed", "User Removed"],
    "errors": ["Error Shown"],
}
ONBOARDING: Final = (("Team Invited", 7), ("Data Connected", 14), ("First Report Shared", 30), ("Went Live", 45))
"""Its milestones, and within how many days they are due."""


def write_configuration(folder: Path) -> Path:
    """Write the shipped configuration to a folder, the vendor's names in it; return the folder."""
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    scorecard = yaml.safe_load((folder / "scorecard.yaml").read_text("utf-8"))
    named = {"key_features": list(KEY_FEATURES), "signals": dict(SIGNALS)}
    _write(folder / "scorecard.yaml", {**scorecard, **named})
    milestones = [{"name": name, "asserted": True, "within": {"days": days}} for name, days in ONBOARDING]
    stage = {"name": "onboarding", "goal": "The whole team works in it", "milestones": milestones}
    _write(folder / "journey.yaml", {"stages": [stage]})
    return folder


def _write(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
