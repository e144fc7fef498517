"""`churnwatch scorecard check` names what is wrong, runs the cases, and knows which values no case holds."""

import re
import shutil
from pathlib import Path

import msgspec
import pytest
import yaml

from lab.cli import main
from lab.scorecard.mutation import tried
from lab.scorecard.suite import read_suite
from services.scorer.config import load_bundle
from services.scorer.core.compile import compile_bundle
from shared.yaml_file import read_yaml

SHIPPED, DOCS = (Path(__file__).parents[4] / name for name in ("config", "docs"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a copy of the shipped configuration."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "config"))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def checked(config: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Return the exit code, and what was said, without the folder."""
    with pytest.raises(SystemExit) as ended:
        main(["scorecard", "check", str(config)])
    said = capsys.readouterr().out.splitlines()
    return int(ended.value.code or 0), [line.removeprefix(f"{config}/") for line in said]


def line_of(file: Path, text: str) -> int:
    return next(n for n, line in enumerate(file.read_text("utf-8").splitlines(), 1) if text in line)


def case_number(config: Path, file: str, name: str) -> int:
    cases = read_yaml(config / "cases" / f"{file}.yaml").content["cases"]
    return next(number for number, case in enumerate(cases) if case["name"] == name)


def test_what_there_is_is_shown_and_every_case_comes_out(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = checked(config, capsys)
    assert code == 0, said
    text = "\n".join(said)
    assert "scorecard default: accounts that no other fits" in text
    assert "scorecard enterprise: segment enterprise or" in text
    assert "sentiment                  19.1%  0 gives 0 … 100 gives 100, missing: 50 points" in text
    assert "rule failed_payment: critical, on fact" in text
    assert "note: features_used has nothing to count: name events under key_features of scorecard.yaml" in text
    assert said[-1].endswith("files come out as they must")


def test_every_fault_is_named_unknown_keys_included(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(config / "scorecard.yaml", "margin: 2000", "margin: 2000, magrin: 1")
    edit(config / "scorecard.yaml", "seats_used: { weight: 1", "seat_used: { weight: 1")
    edit(config / "rules.yaml", "feature: nps", "feature: mps")
    code, said = checked(config, capsys)
    assert code == 1
    scorecard, rules = config / "scorecard.yaml", config / "rules.yaml"
    assert said[0].startswith(f"scorecard.yaml:{line_of(scorecard, 'magrin')}: bands.magrin: unknown key; known are")
    assert said[1].startswith(f"rules.yaml:{line_of(rules, 'mps')}: rules[1]")
    assert said[-1] == "2 faults"
    edit(config / "scorecard.yaml", ", magrin: 1", "")
    _, said = checked(config, capsys)
    place = f"scorecard.yaml:{line_of(scorecard, 'seat_used: ')}: dimensions.adoption.measures.seat_used"
    assert said[0].startswith(f"{place}: unknown feature 'seat_used'; did you mean seats_used")


def test_a_case_that_comes_out_differently_says_what_is_and_what_was_expected(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(config / "scorecard.yaml", "curve: [[1, 100], [3, 90]", "curve: [[1, 99], [3, 90]")
    code, said = checked(config, capsys)
    assert code == 1
    line = line_of(config / "cases" / "default.yaml", "health: 94.355")
    assert f"cases/default.yaml:{line}: cases[0].health: A daily customer: expected 94.355, is 94.258" in said


def test_a_new_case_is_told_what_it_gives(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = config / "cases" / "mine.yaml"
    cases.write_text("cases:\n- { name: Ours, given: { override: 45, nps: 3 } }\n", "utf-8")
    code, said = checked(config, capsys)
    assert code == 1
    assert said[-2] == (
        "cases/mine.yaml:2: cases[0]: Ours: nothing is expected of it yet; "
        "it gives health: 45, band: at_risk, costs: [override], rules: { detractor: at_risk }"
    )


@pytest.mark.parametrize(
    ("case", "named"),
    [
        ("{ name: A, given: { seat_used: 1 } }", "cases[0].given.seat_used: unknown feature 'seat_used'; did you mean"),
        ("{ name: A, given: { nps: bad } }", "cases[0].given.nps: expected int, got 'bad'"),
        ("{ name: A, given: { trial: 1 } }", "cases[0].given.trial: expected bool, got 1"),
        ("{ name: A, like: B }", "cases[0].like: no case 'B' stands above it"),
        ("{ name: A, rules: { quiet: critical } }", "cases[0].rules.quiet: no rule 'quiet'"),
        ("{ name: A, rules: { silence: bad } }", "cases[0].rules.silence: invalid enum value 'bad'"),
        ("{ name: A, costs: [nonsense] }", "cases[0].costs[0]: no measure 'nonsense'"),
        ("{ name: A, scorecard: vip }", "cases[0].scorecard: no scorecard 'vip'; there are default"),
        ("{ name: A, until: 2026-05-01 }", "cases[0].until: is for a case with a habit, or like one that has it"),
        ("{ name: A, events: { Export: 1 } }", "cases[0].events.Export: no milestone needs it"),
        ("{ name: A, said: [kick-off] }", "cases[0].said[0]: no milestone 'kick-off'"),
        ("{ name: A, silent_on: may }", "cases[0].silent_on: invalid RFC3339"),
        ("{ name: A, given: { country: Japan } }", "cases[0].given.country: unknown country 'Japan'"),
        ("{ name: A, heatlh: 3 }", "cases[0].heatlh: unknown key; known are name"),
    ],
)
def test_a_case_that_cannot_be_read_is_named(
    config: Path, capsys: pytest.CaptureFixture[str], case: str, named: str
) -> None:
    shutil.rmtree(config / "cases")
    (config / "cases").mkdir()
    (config / "cases" / "mine.yaml").write_text(f"cases:\n- {case}\n", "utf-8")
    code, said = checked(config, capsys)
    assert code == 1
    assert said[0].startswith(f"cases/mine.yaml:2: {named}")


def test_days_of_other_years_belong_in_another_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "cases" / "mine.yaml").write_text(
        "cases:\n"
        "- { name: A, habit: { days: [mon], hours: [9], weeks: 8 }, until: 2026-05-04 }\n"
        "- { name: B, like: A, until: 2029-05-07 }\n",
        "utf-8",
    )
    code, said = checked(config, capsys)
    assert code == 1
    assert said[0] == (
        "cases/mine.yaml:3: cases[1].until: the calendars of this file are those of 2023-2028: take another file"
    )


def test_a_rule_that_holds_back_or_cools_down_is_told_since_when(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(config / "rules.yaml", "    based_on: fact\n", "    based_on: fact\n    hold_days: 3\n    cool_down_days: 9\n")
    (config / "cases" / "mine.yaml").write_text(
        "cases:\n"
        "- { name: First day, given: { payment_failed_days: 4 } }\n"
        "- { name: Third day, given: { payment_failed_days: 4 }, since: 2 }\n"
        "- { name: Fourth day, given: { payment_failed_days: 4 }, since: 3 }\n"
        "- { name: Told lately, given: { payment_failed_days: 4 }, since: 3, closed: { failed_payment: 8 } }\n"
        "- { name: Told long ago, given: { payment_failed_days: 4 }, since: 3, closed: { failed_payment: 9 } }\n",
        "utf-8",
    )
    _, said = checked(config, capsys)
    opened = [line for line in said if "mine.yaml" in line and "failed_payment: critical" in line]
    assert [line.split(": ")[2] for line in opened] == ["Fourth day", "Told long ago"]


def test_a_country_that_is_left_out_of_the_calendars_is_missed(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(config / "calendars.yaml", "      - { name: Obon, from: 08-13, to: 08-16 }\n", "")
    code, said = checked(config, capsys)
    assert code == 1
    line = line_of(config / "cases" / "calendars.yaml", "Japan, Obon")
    place = f"cases/calendars.yaml:{line}: cases[{case_number(config, 'calendars', 'Japan, Obon')}].silent_on"
    assert f"{place}: Japan, Obon: expected 2026-08-18, is 2026-08-13" in said


def test_a_journey_of_cases_takes_the_place_of_that_beside_them(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(config / "cases" / "journey.yaml", "within: { days: 10", "within: { days: 11")
    _, said = checked(config, capsys)
    number = case_number(config, "journey", "A customer of eleven days")
    (told,) = [line for line in said if f"cases[{number}].milestones" in line]
    assert told.endswith(
        "expected { kick-off held: overdue, first report shared: open }, "
        "is { kick-off held: open, first report shared: open }"
    )


def test_the_journey_in_the_documents_is_the_one_with_cases() -> None:
    with_cases = read_yaml(SHIPPED / "cases" / "journey.yaml").content["journey"]
    (in_docs,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "journey.md").read_text("utf-8"), re.DOTALL)
    assert yaml.safe_load(in_docs) == with_cases
    lines = (SHIPPED / "journey.yaml").read_text("utf-8").partition("# stages:\n")[2].splitlines()
    commented = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    assert yaml.safe_load("\n".join(["stages:", *commented])) == with_cases


@pytest.mark.parametrize("each", [5, pytest.param(1, marks=pytest.mark.proof)])
def test_the_cases_notice_almost_every_change_of_a_shipped_value(each: int) -> None:
    bundle = load_bundle(SHIPPED)
    suite = read_suite(SHIPPED, bundle=compile_bundle(bundle.version, msgspec.json.decode(bundle.config)))
    found = list(tried(suite, each=each))
    assert len(found) > 1000 // each
    for name in ("scorecard", "rules", "calendars", "cases/journey"):
        own = [(mutation, is_noticed) for mutation, is_noticed in found if mutation.key[0] == name]
        missed = [f"{mutation.key}: {mutation}" for mutation, is_noticed in own if not is_noticed]
        assert own
        assert len(missed) <= -(-len(own) // 20), missed
