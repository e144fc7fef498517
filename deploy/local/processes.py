"""Remember which processes `make up` started, and end those and no others."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

GRACE_S = 20.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A process by its pid and the moment it began: a pid alone may be somebody else's by now."""

    name: str
    pid: int
    began: str

    def is_running(self) -> bool:
        return began(self.pid) == self.began


def remember(folder: Path, *, name: str, pid: int) -> None:
    """Write down a process that was started a moment ago."""
    folder.mkdir(parents=True, exist_ok=True)
    started = Started(name=name, pid=pid, began=began(pid) or "")
    temporary = folder / f".{name}"
    temporary.write_bytes(msgspec.json.encode(asdict(started)))
    temporary.replace(folder / f"{name}.json")


def remembered(folder: Path, name: str) -> Started | None:
    """Return a process written down, running or not, or None; a file that can't be read counts as none."""
    try:
        return msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Started)
    except (OSError, msgspec.DecodeError):
        return None


def running(folder: Path) -> list[Started]:
    """Return the processes written down that still run."""
    names = sorted(path.stem for path in folder.glob("*.json"))
    return [found for name in names if (found := remembered(folder, name)) and found.is_running()]


def end(folder: Path, started: Iterable[Started]) -> None:
    """End processes together, by force those that stay for 20 s, and forget them."""
    ending = list(started)
    for process in ending:
        _send(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while any(process.is_running() for process in ending) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for process in ending:
        _send(process, signal.SIGKILL)
        (folder / f"{process.name}.json").unlink(missing_ok=True)


def began(pid: int) -> str | None:
    """Return when a process began, as its system words it, or None when there is no such process any more."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        with contextlib.suppress(OSError):
            # the name, in parentheses, may contain anything; the state is the first field after it
            state, *fields = stat.read_text("utf-8", errors="replace").rpartition(")")[2].split()
            return None if state in "ZX" else fields[18]
        return None
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip() or None


def _send(process: Started, number: signal.Signals) -> None:
    if process.is_running():
        with contextlib.suppress(ProcessLookupError):
            # a keeper passes SIGTERM on to what it keeps; SIGKILL has to reach both, which are a process group
            is_group = number == signal.SIGKILL and os.getpgid(process.pid) == process.pid
            (os.killpg if is_group else os.kill)(process.pid, number)
