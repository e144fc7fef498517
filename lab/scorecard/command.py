"""`churnwatch scorecard check`: every fault of the scorecards and rules, or what there is."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from cyclopts import App

from lab.scorecard.expected import faults
from lab.scorecard.mutation import Mutation, tried
from lab.scorecard.page import page
from lab.scorecard.suite import Suite, read_suite
from services.scorer.config import load_bundle
from services.scorer.core.compile import compile_bundle
from shared.contracts.fault import name_of
from shared.yaml_file import BadFiles, read_yaml

app = App(name="scorecard", help="Check how health is made of what an account does: config/scorecard.yaml and rules.")
CONFIG: Final = Path("config")


@app.command
def check(folder: Path = CONFIG, *, mutate: bool = False) -> None:
    """Name every fault with file, line and key, or show what the configuration holds; run the cases beside it.

    Exit code 1 if anything is wrong.

    Parameters
    ----------
    folder
        Folder of scorecard.yaml, rules.yaml and, if there are any, journey.yaml, calendars.yaml and cases/*.yaml.
    mutate
        Change each value of these files a little, one at a time, and list those that no case notices.
    """
    try:
        bundle = load_bundle(folder)
        compiled = compile_bundle(bundle.version, msgspec.json.decode(bundle.config))
        suite = read_suite(folder, bundle=compiled)
    except BadFiles as bad:
        _refuse(bad.faults)
    print("\n".join(page(compiled)))
    wrong = [line for file, found in suite.judged(suite.contents) for line in file.file.in_words(faults(file, found))]
    if wrong:
        _refuse(wrong)
    count = sum(len(file.cases) for file, _ in suite.files.values())
    print(f"{count} cases in {len(suite.files)} files come out as they must")
    if mutate:
        _mutate(folder, suite)


def _mutate(folder: Path, suite: Suite) -> None:
    found = list(tried(suite))
    for name in suite.contents:
        own = [one for one in found if one[0].key[0] == name]
        if own:
            file = read_yaml(folder / f"{name}.yaml")
            for mutation in (mutation for mutation, is_noticed in own if not is_noticed):
                key = mutation.key[1:]
                print(f"{file.path}:{file.lines.get(key, 1)}: {name_of(key)}: {mutation}: no case notices")
            print(f"{file.path}: {_share(own)}")
    print(_share(found))


def _share(found: Sequence[tuple[Mutation, bool]]) -> str:
    noticed = sum(is_noticed for _, is_noticed in found)
    return f"{noticed} of {len(found)} changes of a value are noticed ({noticed / max(len(found), 1):.1%})"


def _refuse(wrong: Sequence[str]) -> None:
    print("\n".join(wrong))
    print(f"{len(wrong)} {'fault' if len(wrong) == 1 else 'faults'}")
    sys.exit(1)
