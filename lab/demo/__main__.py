"""Run the demo: `python -m lab.demo [--seconds 60]`, as `make demo` does."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from lab.demo.command import Options, demo
from lab.trouble import Trouble
from shared.kafka import KafkaProblem


def main() -> int:
    """Return 0 if every promise was kept, 1 if one was broken or the demo could not run."""
    told = arguments().parse_args()
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # it repeats what our message says once
    options = Options(
        seconds=told.seconds, data=told.data.resolve(), keep=told.keep, fault=os.environ.get("CHURNWATCH_DEMO_FAULT")
    )
    try:
        return asyncio.run(demo(options))  # which takes Ctrl-C as its end
    except asyncio.CancelledError:
        print("ended; nothing is left running")
    except (Trouble, KafkaProblem) as trouble:
        print(f"churnwatch: {trouble}", file=sys.stderr)
        return 1
    sys.stdout.flush()
    os._exit(0)  # a thread that still imports would be waited for, and nobody answers it any more


def arguments() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--seconds", type=int, help="press the buttons, and end by itself so long after the import")
    parser.add_argument("--data", type=Path, default=Path(".data/demo"), help="folder of its own; removed at the end")
    parser.add_argument("--keep", action="store_true", help="leave the folder, with its logs, where it is")
    return parser


if __name__ == "__main__":
    sys.exit(main())
