"""Run the simulator: `python -m tests.faults.sim --schedules 5000000 --columnar 20000 --seed 1 --report FILE`."""

import argparse
import os
import sys
from pathlib import Path

from tests.faults.sim.plan import Report, simulate


def main() -> None:
    """Run as many schedules as asked for; exit 1 when one of them violates something."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sim", description=__doc__)
    parser.add_argument("--schedules", type=int, default=5_000_000, help="schedules with the oracle as core")
    parser.add_argument("--columnar", type=int, default=20_000, help="schedules with the columnar core")
    parser.add_argument("--seed", type=int, default=1, help="where the random ones begin")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--report", type=Path, help="write the closing table here as well")
    options = parser.parse_args()
    lines: list[str] = [f"seed {options.seed}, {options.cores} cores, simulated: no Kafka, no Redis, no clock"]
    failed = False
    for columnar, wanted in ((False, options.schedules), (True, options.columnar)):
        if wanted:
            report = simulate(
                wanted,
                seed=options.seed,
                columnar=columnar,
                piece_most=wanted // 50 if columnar else 10**9,
                cores=options.cores,
                say=say,
            )
            lines += report.lines()
            failed |= is_short(report, wanted)
    say("\n".join(lines))
    if options.report:
        options.report.write_text("\n".join(lines) + "\n", "utf-8")
    sys.exit(1 if failed else 0)


def say(line: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def is_short(report: Report, wanted: int) -> bool:
    """Say whether a run found something or did not do what was asked."""
    return bool(report.violations) or report.total < wanted


if __name__ == "__main__":
    main()
