"""Read people.yaml, and say everything that is wrong with it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import yaml

from lab.trouble import Trouble
from services.alerts.core.people import People, faults_of


def read_people(path: Path) -> People:
    """Return the people of a file. Raises Trouble for one that is missing or can't be read as people."""
    try:
        return msgspec.convert(yaml.safe_load(path.read_text("utf-8")) or {}, People)
    except OSError as fault:
        raise Trouble(f"{path}: {fault.strerror}; say where people.yaml is with --people") from None
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as fault:
        raise Trouble(f"{path}: {' '.join(str(fault).split())}") from None


def file_faults(people: People, *, segments: Iterable[str] | None = None) -> Sequence[str]:
    """Return what is wrong in the file itself; `segments` are those accounts have, None if nobody told."""
    found = [str(fault) for fault in faults_of(people)]
    if segments is None:
        return found
    known = {segment.casefold() for segment in segments}
    return found + [
        f"{person.email}: segments: no account is of segment {segment!r}"
        for person in people.people
        for segment in person.segments
        if segment.casefold() not in known
    ]
