"""`churnwatch scorecard check`: every fault of the scorecards and rules, or what there is."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from cyclopts import App

from lab.scorecard.case import CaseFile, read_cases
from lab.scorecard.expected import faults
from lab.scorecard.given import Accounts
from lab.scorecard.mutation import unnoticed
from lab.scorecard.page import page
from services.scorer.config import load_bundle
from services.scorer.core.compile import compile_bundle
from shared.contracts.fault import name_of
from shared.yaml_file import BadFiles, read_yaml

app = App(name="scorecard", help="Check how health is made of what an account does: config/scorecard.yaml and rules.")
CONFIG: Final = Path("config")
CASES: Final = "cases"
"""The folder of cases in that of the configuration."""


@app.command
def check(folder: Path = CONFIG, *, mutate: bool = False) -> None:
    """Name every fault with file, line and key, or show what the configuration holds; run the cases beside it.

    Exit code 1 if anything is wrong.

    Parameters
    ----------
    folder
        Folder of scorecard.yaml, rules.yaml and, if there are any, cases/*.yaml.
    mutate
        Change each value of the two files a little, one at a time, and list those that no case notices.
    """
    try:
        bundle = load_bundle(folder)
        config: dict[str, Any] = msgspec.json.decode(bundle.config)
        compiled = compile_bundle(bundle.version, config)
        files = [(file, Accounts(file.cases, given=file.given)) for file in read_cases(folder / CASES, bundle=compiled)]
    except BadFiles as bad:
        _refuse(bad.faults)
    print("\n".join(page(compiled)))
    wrong = [line for file, accounts in files for line in file.file.in_words(faults(file, accounts.judged(compiled)))]
    if wrong:
        _refuse(wrong)
    print(f"{sum(len(file.cases) for file, _ in files)} cases in {len(files)} files come out as they must")
    if mutate:
        _mutate(folder, config, files=files)


def _mutate(folder: Path, config: dict[str, Any], *, files: Sequence[tuple[CaseFile, Accounts]]) -> None:
    missed, tried = unnoticed(config, files=files)
    for mutation in missed:
        name, *key = mutation.key
        file = read_yaml(folder / f"{name}.yaml")
        print(f"{file.path}:{file.lines.get(tuple(key), 1)}: {name_of(tuple(key))}: {mutation}: no case notices")
    print(f"{tried - len(missed)} of {tried} changes of a value are noticed ({1 - len(missed) / max(tried, 1):.1%})")


def _refuse(wrong: Sequence[str]) -> None:
    print("\n".join(wrong))
    print(f"{len(wrong)} {'fault' if len(wrong) == 1 else 'faults'}")
    sys.exit(1)
