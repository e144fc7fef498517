"""`churnwatch simulate` writes both files, and says in one line what can't be simulated."""

from pathlib import Path

import pytest

from lab.cli import main
from lab.simulate.truth import AtRisk, truths_in


def test_it_writes_events_and_truth_and_says_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "events.jsonl"
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "simulate",
                "--out",
                str(out),
                "--accounts",
                "9",
                "--days",
                "2",
                "--joining",
                "0",
                "--source",
                "desk",
                "--country",
                "JP",
            ]
        )
    assert ended.value.code == 0
    lines = out.read_bytes().splitlines()
    assert f"{len(lines)} events of 9 accounts in 2 days" in capsys.readouterr().out
    assert any(b"/sources/desk" in line for line in lines)
    assert not any(b"/sources/web" in line or b"Europe/" in line for line in lines)
    truth = list(truths_in(tmp_path / "events.jsonl.truth"))
    assert {one.account for one in truth if isinstance(one, AtRisk)} == {f"acct-{n:06d}" for n in range(9)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--accounts", "0"], "must be at least 1"),
        (["--days", "0"], "must be at least 1"),
        (["--start", "05/01/2026"], "is no day"),
        (["--country", "XX"], "--country XX"),
        (["--source", 'a"b'], "--source"),
        (["--events-a-user", "0"], "above 0"),
        (["--joining", "1.5"], "--joining"),
    ],
)
def test_what_can_not_be_simulated_is_said(tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        main(["simulate", "--out", str(tmp_path / "events"), *words])
    assert list(tmp_path.iterdir()) == []
