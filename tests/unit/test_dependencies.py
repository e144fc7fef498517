"""The libraries this project is built on do the work they were chosen for."""

import ast
import inspect
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USES = {
    "faust": ("faust-streaming", ["services/scorer"]),
    "aiokafka": ("aiokafka", ["services/ingest", "services/scorer", "services/alerts", "shared"]),
    "fastapi": ("fastapi", ["services/ingest", "services/alerts", "shared"]),
    "uvicorn": ("uvicorn", ["services/ingest", "services/alerts", "shared"]),
    "redis": ("redis", ["shared", "services/scorer"]),
    "sklearn": ("scikit-learn", ["lab"]),
    "prometheus_client": ("prometheus-client", ["services/ingest", "services/scorer", "services/alerts", "shared"]),
}


@pytest.mark.parametrize(
    ("module", "folder"), [(name, folder) for name, (_, folders) in USES.items() for folder in folders]
)
def test_a_library_is_used_where_it_is_meant_to_be(module: str, folder: str) -> None:
    assert module in imported(ROOT / folder)


def test_a_library_comes_from_the_distribution_it_is_named_after() -> None:
    found = metadata.packages_distributions()
    for module, (distribution, _) in USES.items():
        assert distribution in {name.replace("_", "-") for name in found[module]}


async def test_tests_may_be_coroutines_because_of_pytest_asyncio(request: pytest.FixtureRequest) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    assert settings["asyncio_mode"] == "auto"
    assert request.config.pluginmanager.hasplugin("asyncio")
    assert inspect.iscoroutinefunction(test_tests_may_be_coroutines_because_of_pytest_asyncio)


@cache
def imported(folder: Path) -> frozenset[str]:
    return frozenset(name for path in folder.rglob("*.py") for name in imported_by(path))


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
