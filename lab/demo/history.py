"""Bring the vendor's past in, the way any history comes: a file, `churnwatch import`'s own functions, the ingest."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from lab.demo.leavers import Leavers, leavers_of
from lab.demo.row import Row
from lab.demo.vendor import Past
from lab.importing import reconstruct
from lab.importing.command import carry
from lab.importing.history import History, Survey
from lab.importing.mapping import Row as Line
from lab.importing.mapping import mapped
from lab.importing.send import Ingest, chunks, send, send_days
from services.scorer.core.bundle import CompiledBundle
from shared.contracts.events import Kind, wire_time

COLUMNS: Final = ("account", "time", "kind", "source", "user", "name", "data")

NOBODY: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstructed:
    """What a replay of a past gave: each account's health day by day as the ingest takes it, and who was caught."""

    days: Sequence[Sequence[object]]
    leavers: Leavers


def write_history(past: Past, folder: Path) -> Path:
    """Write the past as JSON lines, and the customers as a CSV beside it; return the file of the past."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "history.jsonl"
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:
        file.writelines(encoder.encode(_named(row)) + b"\n" for row in past.rows)
    with (folder / "customers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("account", "name", "owner", "country", "fate"))
        writer.writerows((a.account, a.name, a.owner, a.country, a.fate) for a in past.accounts.values())
    return path


def import_file(path: Path, *, url: str, key: str, data: Path, say: Console) -> tuple[str, int]:
    """Send a history file with a progress bar and return its job and how many rows it had. Raises Trouble."""
    found = History(files=[path], mapping=mapped([f"{name}={name}" for name in COLUMNS]))
    survey = Survey()
    for row in found.rows():
        survey.take(row)
    sent = carry(found, survey, url=url, key=key, data=data, say=say)
    return found.job(), sent.rows


def import_rows(rows: Iterable[Row], *, job: str, url: str, key: str, bundle: CompiledBundle, now: int) -> int:
    """Send a few rows as a job of their own, their days reconstructed; return how many there were."""
    lines = list(lines_of(rows))
    ingest = Ingest(url, key=key, job=job)
    sent = send(chunks(lines), ingest, after=lambda _sent: None)
    days = reconstruct.replay([*lines, _nothing(now)], bundle=bundle)
    points = reconstruct.points(days, bundle=bundle.version, until=now)
    send_days([point for point in points if point[0] != NOBODY], ingest)
    ingest.post("end")
    ingest.close()
    return sent.rows


def replayed(past: Past, *, bundle: CompiledBundle, now: int) -> Reconstructed:
    """Replay a past through the scorer's core."""
    days = list(reconstruct.replay(lines_of(past.rows), bundle=bundle))
    leavers = leavers_of(past, (transition for day in days for transition in day.transitions))
    return Reconstructed(days=reconstruct.points(days, bundle=bundle.version, until=now), leavers=leavers)


def lines_of(rows: Iterable[Row]) -> Iterator[Line]:
    """Yield rows as the ingest takes them, numbered."""
    for number, row in enumerate(rows):
        yield (number, row.account, row.at, str(row.kind), row.source, row.user, row.name, row.data)


def _nothing(now: int) -> Line:
    """Return a row of nobody: a replay goes on to the day of its last row."""
    return (0, NOBODY, now, str(Kind.LOGIN), None, None, None, None)


def _named(row: Row) -> dict[str, object]:
    said = {
        "account": row.account,
        "time": wire_time(row.at),
        "kind": str(row.kind),
        "source": row.source,
        "user": row.user,
        "name": row.name,
        "data": row.data,
    }
    return {name: value for name, value in said.items() if value is not None}
