"""The README's table of settings is complete and says what the code says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.alerts.settings import AlertSettings
from services.ingest.settings import IngestSettings
from services.scorer.settings import ScorerSettings
from shared.settings import ServiceSettings, variables

ROOT = Path(__file__).parents[2]
SERVICES = {"all": ServiceSettings, "ingest": IngestSettings, "scorer": ScorerSettings, "alerts": AlertSettings}


def rows() -> Iterator[str]:
    """Yield the rows the table must have: name, services, default, meaning."""
    found: dict[str, tuple[list[str], str, str]] = {}
    for service, settings in SERVICES.items():
        for variable in variables(settings):
            default = "required" if variable.default is None else f"`{variable.default}`" if variable.default else ""
            services, _, _ = found.setdefault(variable.name, ([], default, variable.description))
            if services[:1] != ["all"]:
                services.append(service)
    for name, (services, default, meaning) in found.items():
        yield f"| `{name}` | {', '.join(services)} | {default.replace('`None`', '')} | {meaning} |"


def test_the_readme_names_every_setting() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.partition("## Settings")[2].partition("\n## ")[0]
    stands = [line for line in table.splitlines() if line.startswith("| `CHURNWATCH_")]
    assert stands == list(rows())


def commands(name: str) -> set[str]:
    """Return the lines of a README's shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text("utf-8"), flags=re.DOTALL)
    return {line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()}


def test_both_readmes_show_the_same_commands_and_lead_to_one_another() -> None:
    assert commands("README.ja.md") == commands("README.md")
    assert "(README.ja.md)" in (ROOT / "README.md").read_text("utf-8")
    assert "(README.md)" in (ROOT / "README.ja.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_every_file_a_readme_leads_to_is_there(name: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text("utf-8"))
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
    assert "docs/images/demo.png" in targets


def test_every_file_of_ours_that_a_page_names_is_there() -> None:
    known = {path.name for folder in ("tests", "services", "lab", "shared") for path in (ROOT / folder).rglob("*.py")}
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        text = page.read_text("utf-8")
        paths = re.findall(r"\b(?:tests|services|lab|shared|benchmarks|config|deploy)/[\w./-]*\w", text)
        assert [path for path in paths if not (ROOT / path).exists()] == [], page
        assert [name for name in re.findall(r"\btest_\w+\.py\b", text) if name not in known] == [], page
