"""Remember how far an import came, so that the same command goes on after an interruption."""

import os
from pathlib import Path

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job came: the last row answered, by its number in the history."""

    job: str
    last: int


def progress_file(data: Path, job: str) -> Path:
    """Return where the progress of a job is kept."""
    return data / "imports" / f"{job}.json"


def load(path: Path, job: str) -> int:
    """Return the last row answered in an earlier run, -1 if there is none or it can't be read."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Progress)
    except (OSError, msgspec.MsgspecError):
        return -1
    return found.last if found.job == job else -1


def save(path: Path, progress: Progress) -> None:
    """Keep progress durably: either the old or the new one is there, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(msgspec.json.encode(progress))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
