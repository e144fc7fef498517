"""`churnwatch sources suggest`: propose key features and log-in names from the events that came."""

import sys
from pathlib import Path
from typing import Annotated, Final

import yaml
from cyclopts import App, Parameter
from cyclopts.types import PositiveInt
from rich.console import Console

from lab.sources.counts import DAY_MS, Counts
from lab.sources.page import page
from lab.sources.reading import MOST_EVENTS, read_seen, starts
from lab.sources.suggestion import suggest as suggestion_of
from lab.trouble import Trouble
from shared import clock
from shared.kafka import wait_ready
from shared.settings import ServiceSettings, load

PATIENCE_S: Final = 5.0

app = App(name="sources", help="Propose how the events of your product should be read.")


@app.command
async def suggest(
    *,
    source: str | None = None,
    days: PositiveInt = 28,
    most: Annotated[PositiveInt, Parameter(show=False)] = MOST_EVENTS,
    config: Path = Path("config"),
) -> None:
    """Propose, as YAML to paste, key features and log-ins; name traffic that may be no customer's, and personal data.

    Reads the event log and changes nothing.

    Parameters
    ----------
    source
        Only events of this source (the name given to `churnwatch key create`).
    days
        How many days back.
    config
        The folder of scorecard.yaml, to say which key features are there already.
    """
    say = Console(stderr=True, highlight=False)
    kafka = load(ServiceSettings).kafka
    await wait_ready(kafka, PATIENCE_S)
    since = clock.now_ms() - days * DAY_MS
    counts = Counts(since)
    found = await starts(kafka, since=since, most=most)
    for number, start in enumerate(found, 1):
        if say.is_terminal:
            say.print(f"reading partition {number} of {len(found)}", end="\r")
        async for seen in read_seen(kafka, start, source=source):
            counts.take(seen)
    totals = counts.totals()
    if not totals.events:
        whose = f"source {source!r}" if source else "any source"
        raise Trouble(f"no events of {whose} in the last {days} days; `churnwatch key list` shows the sources")
    if any(start.is_cut for start in found):
        print(f"# only the newest {most} events were read", file=sys.stdout)
    for line in page(
        suggestion_of(counts.names(), counts.users(), totals), totals, source=source, known=_known(config)
    ):
        print(line)


def _known(config: Path) -> list[str]:
    try:
        said = yaml.safe_load((config / "scorecard.yaml").read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return []
    names = said.get("key_features") if isinstance(said, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else []
