"""`churnwatch score-history` says of any CSV how healthy its accounts would have looked at the moments asked for."""

import csv
import gzip
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIRST = datetime(2025, 1, 6, tzinfo=UTC)
LAST = FIRST + timedelta(days=120)
MAP = "account=customer,time=when,user=member,name=action"

Row = tuple[str, str, str, str, str]


def rows() -> list[Row]:
    """Return the life of three customers: one steady, one who stops after 60 days, one who came two days ago."""
    lives = {"steady": range(120), "gone": range(60), "new": range(118, 120)}
    return [
        (account, (FIRST + timedelta(days=day, hours=9 + n)).isoformat(), f"m{n}", "Report", "person")
        for account, days in lives.items()
        for day in days
        for n in range(3)
    ]


def written(path: Path, found: list[Row]) -> Path:
    lines = ["customer,when,member,action,kind", *(",".join(row) for row in found)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()) if path.suffix == ".gz" else "\n".join(lines).encode())
    return path


def asked(path: Path, *cutoffs: tuple[str, datetime]) -> Path:
    path.write_text("account,cutoff\n" + "".join(f"{a},{at:%Y-%m-%d}\n" for a, at in cutoffs), "utf-8")
    return path


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab.cli", "score-history", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def scores(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["account"], row["cutoff"]): row for row in csv.DictReader(file)}


def test_accounts_are_scored_by_what_was_known_before_each_cut_off(tmp_path: Path) -> None:
    found = rows()
    random.Random(3).shuffle(found)
    one, other = written(tmp_path / "one.csv.gz", found[:200]), written(tmp_path / "other.csv", found[200:])
    middle = FIRST + timedelta(days=60)
    at = asked(
        tmp_path / "at.csv",
        *((account, moment) for moment in (LAST, middle) for account in ("new", "gone", "steady")),
        ("never heard of", LAST),
    )
    done = run(one, other, "--map", MAP, "--at", at, "--out", tmp_path / "preds.csv")
    assert done.returncode == 0, done.stderr
    got = scores(tmp_path / "preds.csv")
    then, now = f"{middle:%Y-%m-%d}", f"{LAST:%Y-%m-%d}"
    assert list(got) == [*((a, t) for t in (now, then) for a in ("new", "gone", "steady")), ("never heard of", now)]
    # what comes after a cut-off is not known at it: there was no difference yet
    assert got["gone", then]["health"] == got["steady", then]["health"]
    assert got["steady", now]["band"] == "healthy"
    assert got["gone", now]["band"] in ("at_risk", "critical")
    assert float(got["gone", now]["health"]) < float(got["steady", now]["health"])
    # thin evidence has a number and is still unknown; nothing heard at all is no health
    assert (got["new", now]["band"], got["new", now]["evidence"]) == ("unknown", "2")
    assert float(got["new", now]["health"]) > float(got["gone", now]["health"])
    for unheard in (got["new", then], got["never heard of", now]):
        assert (unheard["health"], unheard["band"], unheard["evidence"]) == ("0.000", "unknown", "0")
    assert "2 of accounts not heard of" in done.stdout


@pytest.mark.parametrize(
    ("map_", "at", "fault"),
    [
        (
            "account=company",
            "account,cutoff\nsteady,2025-03-01\n",
            "has no column for account=company; it has customer",
        ),
        (MAP, "account,cutoff\nsteady,someday\n", "at.csv, row 1, column cutoff: 'someday' is no time"),
        (MAP, "account\nsteady\n", "at.csv: has no column cutoff"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(tmp_path: Path, map_: str, at: str, fault: str) -> None:
    events = written(tmp_path / "events.csv", rows())
    (tmp_path / "at.csv").write_text(at, "utf-8")
    done = run(events, "--map", map_, "--at", tmp_path / "at.csv", "--out", tmp_path / "preds.csv")
    assert done.returncode == 1
    assert fault in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "preds.csv").exists()
