"""`churnwatch scorecard check` names what is wrong, runs the cases, and knows which values no case holds."""

import shutil
from pathlib import Path

import msgspec
import pytest

from lab.cli import main
from lab.scorecard.case import read_cases
from lab.scorecard.given import Accounts
from lab.scorecard.mutation import unnoticed
from services.scorer.config import load_bundle
from services.scorer.core.compile import compile_bundle

SHIPPED = Path(__file__).parents[4] / "config"


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


@pytest.mark.parametrize("each", [5, pytest.param(1, marks=pytest.mark.proof)])
def test_the_cases_notice_almost_every_change_of_a_shipped_value(each: int) -> None:
    bundle = load_bundle(SHIPPED)
    config = msgspec.json.decode(bundle.config)
    compiled = compile_bundle(bundle.version, config)
    files = [(file, Accounts(file.cases, given=file.given)) for file in read_cases(SHIPPED / "cases", bundle=compiled)]
    missed, tried = unnoticed(config, files=files, each=each)
    assert tried > 700 // each
    assert len(missed) <= tried // 20, [f"{mutation.key}: {mutation}" for mutation in missed]
