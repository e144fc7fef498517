"""Run the scorer: `python -m services.scorer`."""

import asyncio
import logging
import sys

import uvloop

from services.scorer.app import run
from services.scorer.config import load_bundle
from services.scorer.settings import ScorerSettings
from shared import settings
from shared.telemetry import configure_logs
from shared.yaml_file import BadFiles

CHATTY = ("aiokafka", "faust", "mode", "uvicorn", "services.scorer.feed")
"""What speaks at every step of every service; the feed is one of Faust's."""


def main() -> None:
    """Score until told to stop; a configuration that can't be used is refused with every fault and exit code 2."""
    told = settings.load(ScorerSettings)
    try:
        bundle = load_bundle(told.config)
    except BadFiles as refused:
        for fault in refused.faults:
            print(fault, file=sys.stderr)  # noqa: T201  logs are not configured yet
        raise SystemExit(2) from None
    configure_logs("scorer", told.log_level)
    for library in CHATTY:
        logging.getLogger(library).setLevel(logging.DEBUG if told.log_level == "debug" else logging.WARNING)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    run(told, bundle)


if __name__ == "__main__":
    main()
