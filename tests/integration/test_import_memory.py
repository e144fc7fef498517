"""A history of ten million rows is checked in the memory of a small one."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROWS_A_BLOCK = 100_000
MORE_MB = 60


def history(folder: Path, *, blocks: int) -> Path:
    """Write `blocks` times 100,000 rows, gzipped member by member."""
    lines = (
        f"acct-{n % 5000},2026-10-{1 + n % 28:02d}T{n % 24:02d}:{n % 60:02d}:00Z,u{n % 9000},Report Viewed\n"
        for n in range(ROWS_A_BLOCK)
    )
    block = gzip.compress("".join(lines).encode(), compresslevel=1)
    file = folder / f"history-{blocks}.csv.gz"
    with file.open("wb") as out:
        out.write(gzip.compress(b"account,time,user,event\n"))
        for _ in range(blocks):
            out.write(block)
    return file


def peak_mb(file: Path, *, rows: int) -> float:
    """Return the greatest memory a dry run of a file took, by the system's own account."""
    words = [sys.executable, "-m", "lab.cli", "import", str(file), "--dry-run"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        said = running.stdout.read() if running.stdout else ""
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0, said
    assert f"{rows} rows of 5000 accounts" in said
    return used.ru_maxrss / 1024


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_ten_million_rows_are_checked_in_flat_memory(tmp_path: Path) -> None:
    small = peak_mb(history(tmp_path, blocks=1), rows=ROWS_A_BLOCK)
    large = peak_mb(history(tmp_path, blocks=100), rows=100 * ROWS_A_BLOCK)
    assert large - small < MORE_MB, f"{small:.0f} MB for 100,000 rows, {large:.0f} MB for 10,000,000"
