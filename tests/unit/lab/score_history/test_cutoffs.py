"""Which accounts are scored when is read as people write it; what can't be read is named by row and column."""

import gzip
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lab.importing.mapping import Reading
from lab.importing.readers import Fault
from lab.score_history.cutoffs import Cutoff, read_cutoffs

AT = 1_772_409_600_000
"""2026-03-02T00:00:00Z."""


def written(folder: Path, content: str) -> Path:
    path = folder / "at.csv"
    path.write_text(content, "utf-8")
    return path


def test_a_day_is_its_first_moment_and_other_columns_are_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "cutoff,churned,account\n2026-03-02,1,acme\n2026-03-02T05:00:00+05:00,0, globex \n")
    assert read_cutoffs(path, reading=Reading()) == [
        Cutoff(account="acme", at=AT, text="2026-03-02"),
        Cutoff(account="globex", at=AT, text="2026-03-02T05:00:00+05:00"),
    ]


def test_a_zone_moves_the_days_that_name_none(tmp_path: Path) -> None:
    path = written(tmp_path, "account,cutoff\nacme,2026-03-02\n")
    (cutoff,) = read_cutoffs(path, reading=Reading(zone=ZoneInfo("Asia/Tokyo")))
    assert cutoff.at == AT - 9 * 3_600_000


def test_a_packed_file_is_read_and_a_cutoff_asked_twice_is_one(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv.gz"
    path.write_bytes(gzip.compress(b"account,cutoff\nacme,2026-03-02\nacme,2026-03-02T00:00:00Z\n"))
    assert len(read_cutoffs(path, reading=Reading())) == 1


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("account,at\nacme,2026-03-02\n", "at.csv: has no column cutoff; it has account, at: name two of them"),
        ("account,cutoff\nacme,soon\n", "at.csv, row 1, column cutoff: 'soon' is no time: write it as 2026-01-31"),
        ("account,cutoff\nacme,2026-03-02\n,2026-03-02\n", "at.csv, row 2, column account: is empty"),
        ("account,cutoff\n", "at.csv: has no rows: each one is an account and a cutoff"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: str, fault: str) -> None:
    with pytest.raises(Fault) as raised:
        read_cutoffs(written(tmp_path, content), reading=Reading())
    assert str(raised.value).removeprefix(f"{tmp_path}/").startswith(fault)
