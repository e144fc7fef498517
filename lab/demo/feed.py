"""Be the customers of a stack that runs already: `python -m lab.demo.feed --url http://ingest:8801`, as compose does.

The history is written once and kept: sent again after a restart it is the same job, which changes nothing.
"""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import Final

import aiohttp
from pydantic import Field
from rich.console import Console

from lab.demo.access import make_keys
from lab.demo.customers import SOURCES
from lab.demo.history import import_file, write_history
from lab.demo.traffic import Traffic, recent
from lab.demo.vendor import past_of
from lab.trouble import Trouble
from shared import clock
from shared.kafka import KafkaProblem
from shared.settings import HexKey, ServiceSettings, load

FOLDER: Final = "demo"


class FeedSettings(ServiceSettings):
    """What making keys needs."""

    key_pepper: HexKey = Field(description="Key of the hashes under which API keys are kept")


async def feed(settings: FeedSettings, *, url: str) -> None:
    """Import the vendor's history, then send live events until cancelled. Raises Trouble."""
    now = clock.now_ms()
    past = past_of(now=now)
    async with aiohttp.ClientSession() as session:
        pepper = settings.key_pepper.get_secret_value()
        keys = await make_keys(settings.kafka, session, pepper=pepper, ingest=url, api=None, sources=SOURCES)
        folder = settings.data / FOLDER
        path = _kept(folder) or write_history(past, folder)
        say = Console(highlight=False, soft_wrap=True)
        await asyncio.to_thread(lambda: import_file(path, url=url, key=keys.history, data=settings.data, say=say))
        like = recent(past, now=now, sources=SOURCES)
        await Traffic(session, url=url, keys=keys.sources, like=like, now_ms=clock.now_ms).run()


def _kept(folder: Path) -> Path | None:
    path = folder / "history.jsonl"
    return path if path.exists() else None


def main() -> None:
    """Feed until told to stop; what goes wrong is one line with its remedy."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo.feed", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8801", help="address of the ingest")
    told = parser.parse_args()
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # it repeats what our message says once
    try:
        asyncio.run(feed(load(FeedSettings), url=told.url))
    except (Trouble, KafkaProblem) as trouble:
        sys.exit(f"churnwatch: {trouble}")
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
