"""The shipped rules look at the shape of use: volume alone would blame who automates and miss who prepares to leave."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from lab.importing.reconstruct import replay
from services.scorer.core.compile import compile_bundle
from shared.contracts.risk import Change, Severity
from tests.support.histories import shipped
from tests.support.log import START
from tests.support.shapes import AUTOMATION, EXIT, EXPORT, PROGRAMS, rows_of

SCORECARD, RULES = shipped()
MOST_FALSE = 0.05
LEAST_CAUGHT = 0.9
OF_VOLUME = {"volume": "usage_change", "volume_by_hand": "hand_use_change"}
"""Rules that look at nothing but how much there is, by the feature they look at."""


def volume_rule(name: str, feature: str) -> dict[str, Any]:
    return {
        "name": name,
        "based_on": "activity",
        "all": [{"feature": feature, "at_most": -500, "leave": -300}],
        "minimum": [{"feature": "tenure_days", "at_least": 36}, {"feature": "usage_normal_28", "at_least": 100}],
        "severity": "at_risk",
    }


def told_of(accounts: int, *, seed: int) -> Mapping[str, Mapping[str, set[str]]]:
    """Return of each family whom each rule ever named as a risk; `shipped` stands for all rules that are shipped."""
    signals = {**SCORECARD["signals"], "automation_sources": [PROGRAMS], "exports": [EXPORT]}
    rules = [*RULES["rules"], *(volume_rule(name, feature) for name, feature in OF_VOLUME.items())]
    bundle = compile_bundle(
        "b_shapes", {"scorecard": {**SCORECARD, "signals": signals}, "rules": {**RULES, "rules": rules}}
    )
    rows = [row for family in (AUTOMATION, EXIT) for row in rows_of(family, accounts=accounts, start=START, seed=seed)]
    told: dict[str, dict[str, set[str]]] = {AUTOMATION: defaultdict(set), EXIT: defaultdict(set)}
    for day in replay(rows, bundle=bundle):
        for one in day.transitions:
            if one.change is Change.OPENED and one.severity is not Severity.OPPORTUNITY:
                of_family = told[one.account.split("-")[0]]
                of_family[one.rule].add(one.account)
                if one.rule not in OF_VOLUME:
                    of_family["shipped"].add(one.account)
    return told


@pytest.mark.parametrize("accounts", [40, pytest.param(600, marks=pytest.mark.proof)])
def test_shape_tells_what_volume_does_not(accounts: int) -> None:
    told = told_of(accounts, seed=3)
    automation, leaving = told[AUTOMATION], told[EXIT]
    assert len(automation["shipped"]) <= MOST_FALSE * accounts, automation
    assert len(leaving["exit_intent"]) >= LEAST_CAUGHT * accounts, leaving
    for rule in OF_VOLUME:  # and looking at nothing else fails both
        assert len(automation[rule]) > MOST_FALSE * accounts, rule
        assert len(leaving[rule]) < LEAST_CAUGHT * accounts, rule
