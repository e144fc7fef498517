"""The demo in its 60-second form: every promise on its page is kept, it ends by itself, and it leaves nothing behind.

It runs as `make demo DEMO_SECONDS=60` runs it, as a process of its own: real Kafka, Redis, services, kill -9 included.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.server import ROOT
from tests.support.waiting import eventually

DEMO_S = 240.0
START_S = 120.0

pytestmark = pytest.mark.timeout(600)


def demo(folder: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "lab.demo", "--data", str(folder / "demo"), *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_of(folder: Path) -> list[str]:
    """Return the command lines of processes that were told the demo's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if str(folder / "demo").encode() in told and process.name != str(os.getpid()):
                found.append((process / "cmdline").read_text("utf-8").replace("\0", " "))
        except OSError:
            continue  # it ended meanwhile, or is none of ours
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    eventually(lambda: left_of(tmp_path) == [])


def test_every_promise_of_the_demo_is_kept_and_it_ends_by_itself(folder: Path) -> None:
    running = demo(folder, "--seconds", "60")
    said, _ = running.communicate(timeout=DEMO_S)
    assert running.returncode == 0, said
    summary = said.partition("What was promised")[2]
    assert "every promise was kept" in summary
    assert "BROKEN" not in summary
    for shown in (
        "さくら物流株式会社: its owner is told in time, once",
        "Nordwind Hotels: its owner is told in time, once",
        "Brightside Clinics: its owner is told in time, once",
        "its alert resolves itself",
        "disturbs nobody",
        "exactly one incident",
        "though the scorer was killed",
        "simulated leavers had an alert before they left",
    ):
        assert shown in summary
    assert left_of(folder) == []
    assert not (folder / "demo").exists()


def test_a_broken_promise_is_named_and_fails_the_demo(folder: Path) -> None:
    running = demo(folder, "--seconds", "60", CHURNWATCH_DEMO_FAULT="lose-event")
    said, _ = running.communicate(timeout=DEMO_S)
    assert running.returncode == 1, said
    assert "broken: every event answered 200 is in Kafka" in said.splitlines()[-1]


def test_ctrl_c_leaves_nothing_behind(folder: Path) -> None:
    running = demo(folder)
    assert running.stdout is not None
    page = next(line.split()[1] for line in running.stdout if line.startswith("open  http"))
    assert "Three customers are about to fall silent" in httpx.get(page).text
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=START_S)
    assert running.returncode == 0, said
    assert said.splitlines()[-1] == "ended; nothing is left running"
    assert left_of(folder) == []
