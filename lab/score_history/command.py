"""`churnwatch score-history`: what health every account would have had at the moments asked for."""

import csv
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from cyclopts import Parameter
from rich.console import Console

from lab.feature_history import configuration
from lab.importing.history import MOST_FAULTS, History
from lab.importing.mapping import BadMapping, Reading, mapped
from lab.importing.readers import Fault
from lab.importing.records import Held
from lab.score_history.cutoffs import Cutoff, read_cutoffs
from lab.score_history.replay import Score, scores_at
from lab.trouble import Trouble
from shared.contracts.events import wire_time
from shared.yaml_file import BadFiles

GUESSED: Final = ("account", "time", "user", "name", "source")
"""Of other people's streams a column `kind` is none of our kinds unless it is said so."""
HEADER: Final = ("account", "cutoff", "health", "band", "evidence")
SAY_EVERY_S: Final = 5.0


def score_history(  # noqa: PLR0913  one command, all its options
    events: Annotated[list[Path], Parameter(negative=())],
    *,
    at: Path,
    out: Path,
    map: Annotated[list[str] | None, Parameter(negative=())] = None,  # noqa: A002  the option's name
    mapping: Path | None = None,
    encoding: str = "utf-8",
    timezone: str = "UTC",
    day_first: Annotated[bool | None, Parameter(negative="--month-first")] = None,
    skip_bad: int = 0,
    config: Path = Path("config"),
) -> None:
    """Score a history at cut-offs with the scorer's own core: a tick a day, events strictly before each cut-off.

    Several files of events are one history; their rows may come in any order.

    Parameters
    ----------
    events
        CSV, TSV, JSON lines or Parquet, also gzipped.
    at
        Which accounts are scored when: a file with the columns account and cutoff.
    out
        CSV to write: account, cutoff, health (0-100), band, evidence (days).
    map
        Which column is what: account=COL,time=COL[,user=COL][,name=COL][,source=COL][,kind=COL].
    mapping
        The same and more as YAML: columns, kinds (event names by kind), kind (of all others), data, source.
    timezone
        Zone of times that name none, those of the cut-offs too.
    day_first
        What 03/04/2026 means.
    skip_bad
        Leave out up to so many rows that can't be read; they are listed.
    config
        Folder of scorecard.yaml, rules.yaml and calendars.yaml.
    """
    say = Console(highlight=False, soft_wrap=True)
    if not out.parent.is_dir():
        raise Trouble(f"--out {out}: there is no folder {out.parent}")
    try:
        bundle = configuration(config)
        reading = Reading(zone=_zone(timezone), day_first=day_first)
        cutoffs = read_cutoffs(at, reading=reading)
        columns = replace(mapped(map or [], file=mapping), guessed=GUESSED)
        history = History(files=events, mapping=columns, reading=reading, encoding=encoding)
        began = time.monotonic()
        held = _held(history, say=say, skip_bad=skip_bad)
        told = _teller(say, until=max(cutoff.at for cutoff in cutoffs))
        scores = dict(scores_at(cutoffs, history=held, bundle=bundle, tell=told))
    except (Fault, BadMapping, BadFiles) as fault:
        raise Trouble(str(fault)) from None
    except OSError as fault:
        raise Trouble(f"{fault.filename}: {fault.strerror}") from None
    _write(out, cutoffs=cutoffs, scores=scores)
    _conclude(scores, out=out, say=say, took=time.monotonic() - began)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError) as fault:
        raise Trouble(f"--timezone {name!r}: {fault}") from None


def _held(history: History, *, say: Console, skip_bad: int) -> Held:
    """Read everything; raises Trouble when more rows than `skip_bad` can't be read."""
    columns = history.columns().columns
    say.print("read as  " + ", ".join(f"{name} = {column}" for name, column in columns.items()))
    held, rows, faults = Held(), 0, 0
    for row in history.rows():
        if not isinstance(row, Fault):
            held.take(row)
            rows += 1
            continue
        faults += 1
        if faults <= MOST_FAULTS:
            say.print(str(row))
    if faults > skip_bad:
        remedy = f"mend them, or leave them out with --skip-bad {faults}"
        raise Trouble(f"{faults} of {faults + rows} rows can't be read; nothing was scored: {remedy}")
    say.print(f"{rows} events of {len(held.accounts)} accounts")
    return held


def _teller(say: Console, *, until: int) -> Callable[[int], None]:
    """Return what says every few seconds how far it came."""
    spoke = time.monotonic()

    def tell(moment: int) -> None:
        nonlocal spoke
        if time.monotonic() - spoke > SAY_EVERY_S:
            spoke = time.monotonic()
            say.print(f"{wire_time(moment)[:10]} of {wire_time(until)[:10]}")

    return tell


def _write(out: Path, *, cutoffs: list[Cutoff], scores: Mapping[Cutoff, Score]) -> None:
    with out.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HEADER)
        for cutoff in cutoffs:
            found = scores[cutoff]
            health = f"{(found.health or 0) / 1000:.3f}"
            rows.writerow((cutoff.account, cutoff.text, health, found.band.value, found.evidence_days))


def _conclude(scores: Mapping[Cutoff, Score], *, out: Path, say: Console, took: float) -> None:
    say.print(f"{out}: {len(scores)} scores in {took:.1f} s")
    if nothing := sum(found.health is None for found in scores.values()):
        say.print(f"{nothing} of accounts not heard of before their cut-off, or ended by then: unknown, with health 0")
