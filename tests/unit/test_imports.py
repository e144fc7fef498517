"""The import rule: core decides, everything else carries, and services meet only in shared."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("services", "shared", "lab", "deploy")
OURS = {*SOURCES, "tests", "benchmarks"}

PURE = {"numpy", "msgspec"}
PURE_IN = {"services.scorer.core": {"xxhash"}}
# a core gets the time, ids and randomness as arguments, and talks to nobody
IMPURE = {
    *("asyncio", "http", "logging", "multiprocessing", "os", "random", "secrets", "select", "selectors", "signal"),
    *("smtplib", "socket", "sqlite3", "ssl", "subprocess", "threading", "time", "urllib", "uuid"),
}
CLOCK_CALLS = {"now", "utcnow", "today"}
UNSAFE = {"pickle", "cPickle", "marshal", "shelve", "joblib", "cloudpickle", "dill"}


def sources() -> Iterator[tuple[str, str]]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield module_name(path), path.read_text("utf-8")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def faults(module: str, text: str) -> list[str]:
    """Return what a module imports or calls against the rule, one line each."""
    tree = ast.parse(text)
    core = core_of(module)
    found = [f"{module} imports {name}: {why}" for name in imports(tree) if (why := fault(module, core, name))]
    if core:
        found += [f"{module} line {line} reads the clock" for line in clock_calls(tree)]
    return found


def fault(module: str, core: str | None, name: str) -> str | None:
    top = name.partition(".")[0]
    if name.startswith("."):
        return "imports are absolute"
    if top in UNSAFE:
        return "bytes from outside must never run code"
    if core:
        return core_fault(core, name)
    if top not in OURS:
        return None
    return shell_fault(module, name)


def core_fault(core: str, name: str) -> str | None:
    top = name.partition(".")[0]
    if inside(name, core) or inside(name, "shared.contracts") or top in PURE | PURE_IN.get(core, set()):
        return None
    if top in sys.stdlib_module_names:
        return "a core is pure" if top in IMPURE else None
    return "a core imports the standard library, numpy, msgspec, shared.contracts and itself"


def shell_fault(module: str, name: str) -> str | None:
    parts, imported = module.split("."), name.split(".")
    match parts[0]:
        case "shared":
            return None if imported[0] == "shared" else "shared knows nobody"
        case "services":
            own = imported[:2] == parts[:2] or name == "services"
            return None if own or imported[0] == "shared" else "a service knows itself and shared"
        case "lab":
            # a configuration is checked by what reads it at a start
            core = imported[0] == "services" and imported[2:3] in (["core"], ["config"], ["calendars"])
            return None if core or imported[0] in {"lab", "shared"} else "lab knows the cores and shared"
        case _:
            return None if imported[0] in {parts[0], "shared"} else f"{parts[0]} knows itself and shared"


def core_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[:2] == ["shared", "contracts"]:
        return "shared.contracts"
    if parts[0] == "services" and parts[2:3] == ["core"]:
        return ".".join(parts[:3])
    return None


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            # `from services.scorer import core` imports services.scorer.core
            is_package = (ROOT / Path(*base.split("."))).is_dir() and base.partition(".")[0] in OURS
            yield from ((f"{base}.{alias.name}" for alias in node.names) if is_package else [base])


def clock_calls(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS:
            yield node.lineno


def test_every_module_keeps_the_import_rule() -> None:
    found = [line for module, text in sources() for line in faults(module, text)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("services.scorer.core.step", "import time"),
        ("services.scorer.core.step", "from datetime import datetime\ndatetime.now()"),
        ("services.scorer.core.step", "import logging"),
        ("services.scorer.core.step", "def f():\n    from random import choice"),
        ("services.scorer.core.step", "import redis"),
        ("services.scorer.core.step", "from services.scorer.app import run"),
        ("services.scorer.core.step", "from services.ingest.core.identity import user"),
        ("services.scorer.core.step", "from shared.clock import now_ms"),
        ("services.scorer.core.step", "from .columns import Columns"),
        ("services.ingest.core.admission", "import xxhash"),
        ("shared.contracts.events", "import pydantic"),
        ("shared.contracts.events", "from shared import clock"),
        ("shared.kafka", "from services.ingest.core.identity import user"),
        ("services.ingest.api", "from services.scorer.core.step import step"),
        ("services.ingest.api", "from services import scorer"),
        ("services.ingest.api", "from lab.simulate import events"),
        ("lab.train", "from services.scorer.app import run"),
        ("lab.train", "import pickle"),
        ("lab.train", "import joblib"),
    ],
)
def test_a_planted_fault_is_found(module: str, text: str) -> None:
    assert faults(module, text)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("services.scorer.core.step", "import numpy as np\nimport xxhash\nfrom shared.contracts.events import Event"),
        ("services.scorer.core.step", "from services.scorer.core.features import FEATURES"),
        ("services.scorer.core.step", "from datetime import datetime, UTC\ndatetime.fromtimestamp(0, UTC)"),
        ("services.scorer.app", "import faust\nfrom shared.clock import now_ms\nfrom services.scorer.core import step"),
        ("lab.train", "import sklearn\nfrom services.scorer.core.features import FEATURES"),
        ("deploy.local.stack", "from shared.kafka import create_topics"),
    ],
)
def test_what_is_allowed_is_not_reported(module: str, text: str) -> None:
    assert faults(module, text) == []


def test_no_dependency_brings_our_top_level_names() -> None:
    brought = packages_distributions()
    assert set(brought.get("services", [])) <= {"churnwatch"}
    assert set(brought.get("shared", [])) <= {"churnwatch"}
