"""Nothing is lost and nothing doubled while real processes are killed, suspended and cut off."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.local.server import ROOT

FAULTS = 4
"""Fewest faults that make a run worth something on a machine busy with other tests; idle, it is some fourteen."""


def faults(folder: Path, *arguments: str, within_s: float) -> dict[str, Any]:
    """Run the harness as `make faults` does, see that nothing is violated, and return its report."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "tests.faults.real", "--folder", str(folder / "run"), "--report", str(report)]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=within_s, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return found


@pytest.mark.timeout(660)
def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    found = faults(tmp_path, "--minutes", "3", "--seed", "11", within_s=640)
    counts = found["counts"]
    assert len(found["faults"]) >= FAULTS
    assert counts["accepted"] > 1000
    assert counts["alerts"] > 10
    assert found["fates"]["duplicate"] > 0
    assert (counts["lost"], counts["differences"], counts["doubled in no call"]) == (0, 0, 0)


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount the small disk that is filled")
def test_nor_when_the_brokers_disk_is_full(tmp_path: Path) -> None:
    found = faults(tmp_path, "--minutes", "4", "--seed", "4", "--with-root", within_s=800)
    assert any(fault["fault"] == "broker's disk full" for fault in found["faults"])
