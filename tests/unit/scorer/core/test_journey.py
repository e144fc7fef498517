"""A journey is refused with every fault named, or is part of the bundle; so are playbooks, which rules name."""

from typing import Any

import pytest

from services.scorer.core.bundle import ConfigError
from services.scorer.core.compile import bundle_of
from tests.support.histories import shipped

SCORECARD, RULES = shipped()
STEPS = {"steps": ["Call them"]}
PLAYBOOKS = {rule["playbook"]: STEPS for rule in RULES["rules"] if "playbook" in rule}


def journey(*milestones: dict[str, Any]) -> dict[str, Any]:
    return {"stages": [{"name": "onboarding", "goal": "In use", "milestones": list(milestones)}]}


def faults(**others: object) -> str:
    with pytest.raises(ConfigError) as caught:
        bundle_of(SCORECARD, RULES, **others)
    return str(caught.value)


SHARED = {"name": "shared", "all_of": [{"event": "Report Shared", "users": 3}], "within": {"days": 14}}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (journey({"name": "a"}), "stages[0].milestones[0]: nothing reaches it"),
        (journey({"name": "a", "all_of": [], "any_of": []}), "stages[0].milestones[0]: nothing reaches it"),
        (journey({**SHARED, "asserted": True}), "milestones[0].asserted: is for milestones without events"),
        (journey(SHARED, SHARED), "milestones[1].name: milestone 'shared' stands twice"),
        (journey({**SHARED, "al_of": []}), "milestones[0].al_of: unknown key"),
        (journey({**SHARED, "within": {"days": -1}}), "within.days"),
        (journey({**SHARED, "within": {"days": 1, "of": "contract"}}), "within.of"),
        (journey({**SHARED, "any_of": [{"event": "\0x"}]}), "any_of[0]: '\\x00x' begins with NUL"),
        (journey({**SHARED, "any_of": [{"event": "X", "users": 0}]}), "any_of[0].users"),
        ({"stages": [*journey()["stages"], *journey()["stages"]]}, "stages[1].name: stage 'onboarding' stands twice"),
        (
            journey(*({"name": f"m{n}", "asserted": True} for n in range(65))),
            "stages[0].milestones[64]: there are more than 64 milestones",
        ),
        ({"stages": [{"name": "onboarding"}]}, "stages[0]: goal is missing"),
        ([], "journey"),
    ],
)
def test_a_fault_in_the_journey_is_named(content: object, named: str) -> None:
    text = faults(journey=content)
    assert text.startswith("journey")
    assert named in text


def test_a_rule_names_a_playbook_that_is_there() -> None:
    bundle_of(SCORECARD, RULES, playbooks=PLAYBOOKS)
    others = {name: steps for name, steps in PLAYBOOKS.items() if name != "detractor"}
    assert faults(playbooks=others).startswith("rules.rules[1].playbook: no playbook 'detractor'; there are ")
    assert "did you mean detracter?" in faults(playbooks={**others, "detracter": STEPS})
    assert faults(playbooks={}).endswith("there are none")
    assert faults(playbooks={**PLAYBOOKS, "x": {"step": []}}).startswith("playbooks.x")


def test_journey_and_playbooks_are_part_of_the_version() -> None:
    versions = {
        bundle_of(SCORECARD, RULES).version,
        bundle_of(SCORECARD, RULES, playbooks=PLAYBOOKS).version,
        bundle_of(SCORECARD, RULES, playbooks={**PLAYBOOKS, "more": STEPS}).version,
        bundle_of(SCORECARD, RULES, journey=journey(SHARED), playbooks=PLAYBOOKS).version,
    }
    assert len(versions) == 4
