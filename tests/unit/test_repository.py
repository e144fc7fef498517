"""What is committed runs on any machine: no address of a registry, no path of one machine, one Python configuration."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# written so that this file does not contain what it looks for
FORBIDDEN = {
    "a package registry": r"py[p]i\.org|python[h]osted\.org|registry\.npm[j]s|repo1?\.mav[e]n|index\.crat[e]s",
    "an index address": r"--(extra-)?index[-]url|--trusted[-]host",
    "a path of one machine": r"(?<![\w.$}~/-])/(work|root|home/\w+|Users/\w+)(?=/)",
}
OTHER_CONFIGURATION = {
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "pytest.ini",
    "mypy.ini",
    ".flake8",
    "ruff.toml",
    ".coveragerc",
}
# k8s and containers have paths of their own, which are not those of the machine this was written on
PATHS_OF_CONTAINERS = ("Dockerfile", "docker-compose.yml", "deploy/k8s/")


def committed() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def faults(name: str, text: str) -> list[str]:
    if not any(re.search(pattern, text) for pattern in FORBIDDEN.values()):
        return []
    return [
        f"{name}:{number}: {what}: {line.strip()[:120]}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if re.search(pattern, line) and not (what == "a path of one machine" and name.startswith(PATHS_OF_CONTAINERS))
    ]


def test_no_registry_and_no_path_of_one_machine() -> None:
    found = [fault for name in committed() for fault in faults(name, text_of(ROOT / name))]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("line", ["see files.python" + "hosted.org", "pip --index" + "-url x", "cd /wo" + "rk/main"])
def test_a_planted_fault_is_found(line: str) -> None:
    assert faults("README.md", line)


def test_pyproject_is_the_only_python_configuration() -> None:
    assert [name for name in committed() if Path(name).name in OTHER_CONFIGURATION] == []


def test_every_dependency_is_pinned_with_its_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pins = re.findall(r"^[a-z0-9][^\n]*(?:\n[ ]+[^\n]*)*", lock, flags=re.MULTILINE)
    assert pins
    assert [pin.splitlines()[0] for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name
        for name in committed()
        if name.endswith(".py") and not text_of(ROOT / name).lstrip().startswith(('"""', 'r"""', "#!"))
    ]
    assert silent == []


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")
