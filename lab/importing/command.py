"""`churnwatch import`: send a history through the ingest, or show how it would be read."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lab.feature_history import configuration
from lab.importing import progress as kept
from lab.importing.history import History, Survey
from lab.importing.mapping import BadMapping, Reading, Row, mapped
from lab.importing.readers import Fault
from lab.importing.reconstruct import points, replay
from lab.importing.send import Ingest, Sent, chunks, send, send_days
from lab.trouble import Trouble
from shared import clock
from shared.contracts.events import wire_time
from shared.settings import ServiceSettings, load
from shared.yaml_file import BadFiles

SAY_EVERY_S: Final = 5.0

Step = Callable[[int], None]
"""Say how many rows are done."""


def import_history(  # noqa: PLR0913  one command, all its options
    files: Annotated[list[Path], Parameter(negative=())],
    *,
    key: str | None = None,
    url: str = "http://127.0.0.1:8801",
    map: Annotated[list[str] | None, Parameter(negative=())] = None,  # noqa: A002  the option's name
    mapping: Path | None = None,
    source: str | None = None,
    encoding: str = "utf-8",
    timezone: str = "UTC",
    day_first: Annotated[bool | None, Parameter(negative="--month-first")] = None,
    as_of: str | None = None,
    dry_run: bool = False,
    skip_bad: int = 0,
    history: bool = True,
    config: Path = Path("config"),
) -> None:
    """Send a history through the ingest: CSV, TSV, JSON lines or Parquet, also gzipped; several files are one history.

    Rules stay quiet for its accounts while it runs; what is true at its end is shown in one list to each owner.
    Sending the same files again changes nothing; after an interruption the same command goes on.

    Parameters
    ----------
    key
        A key that may import: `churnwatch key create history --scope import` makes one.
    map
        Which column is what: account=COL,time=COL[,user=COL][,name=COL][,kind=COL][,source=COL][,data=COL].
    mapping
        The same and more as YAML: columns, kinds (event names by kind), kind (of all others), data, source.
    source
        The app the events came from, where no column says it.
    timezone
        Zone of times that name none.
    day_first
        What 03/04/2026 means.
    as_of
        A day (YYYY-MM-DD): move all times by whole weeks, so that the latest falls in the seven days up to it.
    dry_run
        Read everything, show the first rows as they would be sent, send nothing.
    skip_bad
        Leave out up to so many rows that can't be read; they are listed.
    history
        Whether to reconstruct each account's health day by day from the history.
    """
    say = Console(highlight=False, soft_wrap=True)
    try:
        found = History(
            files=files,
            mapping=mapped(map or [], file=mapping, source=source),
            reading=Reading(zone=ZoneInfo(timezone), day_first=day_first),
            encoding=encoding,
        )
        survey = _survey(found, say)
        if as_of is not None and survey.latest is not None:
            found = found.shifted_to(_day(as_of), latest=survey.latest)
        _show(found, survey, say)
        _refuse_faults(survey, skip_bad)
        if dry_run:
            say.print("dry run: nothing was sent")
            return
        if key is None:
            raise Trouble("--key is missing: `churnwatch key create history --scope import` makes one")
        carry(found, survey, url=url, key=key, data=load(ServiceSettings).data, say=say)
        if history:
            _reconstruct(found, url=url, key=key, config=config, say=say)
    except (Fault, BadMapping, BadFiles) as fault:
        raise Trouble(str(fault)) from None
    except (KeyError, ValueError) as fault:
        raise Trouble(f"--timezone {timezone!r}: {fault}") from None


def carry(found: History, survey: Survey, *, url: str, key: str, data: Path, say: Console) -> Sent:
    """Send all rows not answered before, and say that the history is complete. Raises Trouble."""
    job = found.job()
    file = kept.progress_file(data, job)
    done = kept.load(file, job)
    if done >= 0:
        say.print(f"going on after row {done} of job {job}")
    ingest = Ingest(url, key=key, job=job)
    began, last = time.monotonic(), done
    try:
        with _bar(survey.rows, say) as step:

            def after(sent: Sent) -> None:
                nonlocal last
                last = sent.last
                kept.save(file, kept.Progress(job=job, last=last))
                step(sent.rows)

            sent = send(chunks(row for row in _good(found) if row[0] > done), ingest, after=after)
    except (KeyboardInterrupt, Trouble) as fault:
        why = "interrupted" if isinstance(fault, KeyboardInterrupt) else str(fault)
        raise Trouble(f"{why}; rows up to {last} are safe: the same command goes on from there") from None
    ingest.post("end")
    ingest.close()
    file.unlink(missing_ok=True)
    took = time.monotonic() - began
    say.print(f"sent {sent.rows} rows as job {job} in {took:.1f} s ({sent.rows / max(took, 1e-9):,.0f} a second)")
    _tell_refused(sent)
    return sent


def _survey(found: History, say: Console) -> Survey:
    survey = Survey()
    with _bar(None, say) as step:
        for row in found.rows():
            survey.take(row)
            step(survey.rows)
    return survey


def _show(found: History, survey: Survey, say: Console) -> None:
    columns = found.columns()
    say.print("read as  " + ", ".join(f"{name} = {column}" for name, column in columns.columns.items()))
    shift = found.reading.shift_ms
    span = [wire_time(at + shift) for at in (survey.earliest, survey.latest) if at is not None]
    kinds = ", ".join(f"{count} {kind}" for kind, count in survey.kinds.most_common())
    say.print(f"{survey.rows} rows of {len(survey.accounts)} accounts, {' to '.join(span)}: {kinds or 'nothing'}")
    for row in survey.shown:
        number, account, at, kind, source, user, name, data = row
        said = [kind, name, f"user {user}" if user else None, f"from {source}" if source else None, data]
        shown = "  ".join(str(part) for part in said if part)
        say.print(f"  {number}  {wire_time(at + shift)}  {account}  {shown}")
    for fault in survey.first_faults:
        say.print(str(fault))


def _refuse_faults(survey: Survey, skip_bad: int) -> None:
    if survey.faults > skip_bad:
        remedy = f"mend them, or leave them out with --skip-bad {survey.faults}"
        raise Trouble(
            f"{survey.faults} of {survey.faults + survey.rows} rows can't be read; nothing was sent: {remedy}"
        )


def _good(found: History) -> Iterator[Row]:
    return (row for row in found.rows() if not isinstance(row, Fault))


def _tell_refused(sent: Sent) -> None:
    for one in sent.refused[:20]:
        print(f"row {one['row']}: {one['reason']} ({one['detail']}): {one['remedy']}", file=sys.stderr)
    if sent.refused:
        raise Trouble(f"{len(sent.refused)} rows were refused by the ingest; all others are imported")


def _reconstruct(found: History, *, url: str, key: str, config: Path, say: Console) -> None:
    say.print("reconstructing the health of past days")
    bundle = configuration(config)
    now = clock.now_ms()
    days = points(replay(_good(found), bundle=bundle), bundle=bundle.version, until=now)
    ingest = Ingest(url, key=key, job=found.job())
    send_days(days, ingest)
    ingest.close()
    say.print(f"{len(days)} days of health")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Trouble(f"--as-of {text!r}: is no day; write it as 2026-01-31") from None


@contextmanager
def _bar(total: int | None, say: Console) -> Iterator[Step]:
    """Show progress: a bar on a terminal, a line every few seconds elsewhere."""
    if say.is_terminal:
        columns: Sequence[TextColumn | BarColumn | MofNCompleteColumn | TimeRemainingColumn] = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=say, transient=True) as progress:
            task = progress.add_task("checking" if total is None else "sending", total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    spoke = time.monotonic()

    def step(done: int) -> None:
        nonlocal spoke
        if time.monotonic() - spoke > SAY_EVERY_S:
            spoke = time.monotonic()
            say.print(f"{done} rows {'read' if total is None else f'of {total} sent'}")

    yield step
