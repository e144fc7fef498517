"""Let things go wrong and see that nothing is lost or doubled: `python -m tests.faults.real --minutes 3 --seed 1`."""

import argparse
import asyncio
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.real.report import write
from tests.faults.real.run import Run, Told, say

SHOWN = 40


def main() -> int:
    """Run, print the table, and return 1 if anything was violated: then the folder is kept."""
    told = arguments().parse_args()
    if told.with_root and os.geteuid() != 0:
        sys.exit("--with-root mounts a small disk: only root may")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every broker we kill
    folder = told.folder or Path(tempfile.mkdtemp(prefix="churnwatch-faults-"))
    say(f"seed {told.seed}, {told.minutes:g} minutes, in {folder}")
    asked = Told(
        minutes=told.minutes,
        seed=told.seed,
        folder=folder,
        rate=told.rate,
        accounts=told.accounts,
        with_disk=told.with_root,
    )
    report = asyncio.run(Run(told=asked)())
    if told.report:
        write(report, told.report)
    write(report, folder / "report.json")
    print(report.summary() + "\n\n" + report.table())  # noqa: T201  a command line
    for violation in report.violations[:SHOWN]:
        print(f"VIOLATED  {violation}")  # noqa: T201  likewise
    if report.violations:
        print(f"{len(report.violations)} violations; ledger, logs and report are in {folder}")  # noqa: T201  likewise
        return 1
    if not told.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def arguments() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.real", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="how long faults come; start and checks come on top")
    parser.add_argument("--seed", type=int, default=1, help="what the faults are drawn from")
    parser.add_argument("--rate", type=float, default=150.0, help="events a second")
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--report", type=Path, help="where to write the report as JSON")
    parser.add_argument("--folder", type=Path, help="where to work; a new temporary folder by default")
    parser.add_argument("--keep", action="store_true", help="keep the folder even if nothing was violated")
    parser.add_argument("--with-root", action="store_true", help="fill the broker's disk as well: mounts a tmpfs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
