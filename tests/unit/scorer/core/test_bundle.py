"""A configuration is refused whole, each fault with its file and key, or accepted whole."""

import copy
from typing import Any

import pytest

from services.scorer.core.bundle import ConfigError
from services.scorer.core.compile import bundle_of, compile_bundle
from tests.support.histories import shipped

SCORECARD, RULES = shipped()
RECENCY = SCORECARD["dimensions"]["engagement"]["measures"]["recency_days"]


def changed(config: dict[str, Any], *path: str | int, to: object) -> dict[str, Any]:
    config = copy.deepcopy(config)
    place: Any = config
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return config


def faults(scorecard: dict[str, Any] = SCORECARD, rules: dict[str, Any] = RULES) -> str:
    with pytest.raises(ConfigError) as caught:
        bundle_of(scorecard, rules)
    return str(caught.value)


def test_the_shipped_configuration_is_accepted_and_its_version_follows_its_content() -> None:
    version = bundle_of(SCORECARD, RULES).version
    assert version == bundle_of(copy.deepcopy(SCORECARD), RULES).version
    assert version != bundle_of(changed(SCORECARD, "evidence", "days", to=15), RULES).version


@pytest.mark.parametrize(
    ("path", "to", "named"),
    [
        (("evidence", "days"), 0, "evidence.days"),
        (("evidense",), 1, "evidense"),
        (("dimensions", "engagement", "measures", "logins"), RECENCY, "logins: unknown feature"),
        (("dimensions", "engagement", "measures", "recency_days", "curve"), [[3, 1], [3, 2]], "curve: the first"),
        (("bands", "watch"), 90_000, "bands: needs"),
        (("key_features",), ["Export", "Export"], "key_features[1]: 'Export' stands twice"),
        (("signals",), {"exports": ["Out", "Out"]}, "signals.exports[1]: 'Out' stands twice"),
        (("signals",), {"exports": ["A"], "admin": ["A"]}, "signals.admin[0]: 'A' stands twice, also as exports"),
        (("signals",), {"errors": ["\0export"]}, "signals.errors[0]: '\\x00export' begins with NUL"),
        (("signals",), {"imports": []}, "signals.imports"),
        (
            ("dimensions", "adoption", "measures", "login_7"),
            RECENCY,
            "login_7: unknown feature 'login_7'; did you mean logins_7",
        ),
        (("dimensions", "adoption", "measures", "adoption:X"), RECENCY, "'X' is not among key_features"),
        (
            ("use",),
            [{"segments": ["smb"], "scorecard": "smal"}],
            "use[0].scorecard: no scorecard 'smal'; there are default",
        ),
        (("use",), [{"scorecard": "default"}], "use[0]: fits every account"),
        (("use",), [{"segments": [], "scorecard": "default"}], "use[0].segments"),
        (("scorecards",), {"big": {"dimensions": SCORECARD["dimensions"]}}, "scorecards.big: nobody is scored by it"),
        (
            ("scorecards",),
            {"default": {"dimensions": SCORECARD["dimensions"]}},
            "scorecards.default: 'default' is the one",
        ),
        (
            ("scorecards",),
            {"b": {"dimensions": {"d": {"weight": 1, "measures": {"x": RECENCY}}}}},
            "scorecards.b.dimensions.d.measures.x: unknown feature 'x'",
        ),
        (("bands", "margin"), 2**70, "bands.margin"),
        (("dimensions", "engagement", "measures", "recency_days", "curve"), [[2**70, 1]], "curve[0][0]"),
    ],
)
def test_a_fault_in_the_scorecard_is_named(path: tuple[str, ...], to: object, named: str) -> None:
    text = faults(scorecard=changed(SCORECARD, *path, to=to))
    assert text.startswith("scorecard.")
    assert named in text


@pytest.mark.parametrize(
    ("path", "to", "named"),
    [
        (("rules", 0, "all", 0, "feature"), "payed_days", "rules[0].all[0]: rule 'failed_payment': unknown feature"),
        (("rules", 1, "all", 0, "leave"), 5, "rules[1].all[0]: rule 'detractor': leave must not be below"),
        (("rules", 2, "all", 0, "at_most"), 5, "rules[2].all[0]: rule 'silence': needs exactly one"),
        (("rules", 3, "name"), "silence", "rules[3].name: 'silence' stands twice"),
        (("rules", 3, "severity"), "mild", "severity"),
        (("silence", "alpha_permille"), 0, "alpha_permille"),
    ],
)
def test_a_fault_in_the_rules_is_named(path: tuple[str | int, ...], to: object, named: str) -> None:
    text = faults(rules=changed(RULES, *path, to=to))
    assert text.startswith("rules.")
    assert named in text


SEATS = "seats_used"
MEANT: dict[str, Any] = {
    "name": "meant",
    "based_on": "fact",
    "all": [{"feature": SEATS, "at_least": 200, "leave": 100}],
    "any": [{"feature": "nps", "at_most": 6}, {"feature": "tickets_7", "at_least": 3}],
    "critical": [{"feature": SEATS, "at_least": 500}],
    "severity": "at_risk",
}


def test_a_rule_may_need_all_or_one_of_several_conditions() -> None:
    for rule in (MEANT, changed(MEANT, "all", to=[]), changed(MEANT, "any", to=[])):
        assert bundle_of(SCORECARD, {**RULES, "rules": [rule]})


@pytest.mark.parametrize(
    ("part", "to", "named"),
    [
        ("all", [{"feature": SEATS, "at_least": 1001}], "all[0]: rule 'meant': can never be met: seats_used is never"),
        ("all", [{"feature": "exports_7", "at_most": -1}], "all[0]: rule 'meant': can never be met: exports_7 is"),
        ("all", [{"feature": "recency_days", "at_most": -1}], "recency_days is never below 0"),
        ("all", [{"feature": "usage_change", "at_most": -1001}], "usage_change is never below -1000"),
        ("any", [{"feature": "active_days_7", "at_least": 8}], "any[0]: rule 'meant': can never be met: active_days_7"),
        (
            "all",
            [{"feature": SEATS, "at_least": 200}, {"feature": SEATS, "at_most": 199}],
            "all[1]: rule 'meant': can never be met: it also needs seats_used at_least 200",
        ),
        ("any", [{"feature": SEATS, "at_most": 199}], "any[0]: rule 'meant': can never be met: it also needs seats"),
        ("minimum", [{"feature": SEATS, "at_most": 100}], "minimum[0]: rule 'meant': can never be met: it also needs"),
        ("critical", [{"feature": SEATS, "at_most": 99}], "critical[0]: rule 'meant': can never be met: it also needs"),
        ("critical", [{"feature": SEATS, "at_least": 150}], "critical[0]: rule 'meant': is not stronger than what"),
        ("severity", "critical", "critical: rule 'meant': makes no difference: its severity is critical already"),
    ],
)
def test_a_rule_that_could_never_do_what_it_says_is_refused(part: str, to: object, named: str) -> None:
    rules = {**RULES, "rules": [changed(MEANT, part, to=to)]}
    assert named in faults(rules=rules)
    if part != "severity":  # what is in force already is not refused by a newer version
        assert compile_bundle("b", {"scorecard": SCORECARD, "rules": rules}).version == "b"


def test_a_rule_without_conditions_is_refused() -> None:
    rules = {**RULES, "rules": [{"name": "empty", "based_on": "fact", "severity": "at_risk"}]}
    assert "rules[0].all: rule 'empty': needs conditions under all, or under any" in faults(rules=rules)


def test_all_faults_are_named_at_once() -> None:
    text = faults(changed(SCORECARD, "evidence", "days", to=0), changed(RULES, "rules", 3, "name", to="silence"))
    assert len(text.splitlines()) == 2
