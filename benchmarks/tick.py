"""Measure ticks: nothing due, 10,000 accounts touched, and all accounts judged anew, for 10⁴, 10⁵ and 10⁶ accounts.

All accounts lie in one partition, as they would with a single one; they have three signals and ten users. A tick is
measured with its outputs, and without the fold of the events that touched the accounts. Targets (design): 10,000 of
1,000,000 within 80 ms, all of them within 5 s.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.states import filled, ticked
from shared import clock

RESULTS = Path(__file__).parent / "results" / "tick.json"
SIZES = (10_000, 100_000, 1_000_000)
TOUCHED = 10_000
RUNS = 5


def main() -> None:
    """Measure each size in a fresh process, print and write the results."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--one", type=int, help="measure this many accounts in this process")
    given = arguments.parse_args()
    if given.one:
        print(json.dumps(measured(given.one)))
        return
    command = [sys.executable, "-m", "benchmarks.tick", "--one"]
    outputs = [subprocess.run([*command, str(size)], check=True, capture_output=True, text=True) for size in SIZES]
    results = [json.loads(output.stdout) for output in outputs]
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    for result in results:
        print(json.dumps(result))


def measured(accounts: int) -> dict[str, object]:
    """Return how long ticks take, in ms: median and worst of RUNS."""
    now = clock.now_ms()
    state = filled(0, [f"account-{number:07d}" for number in range(accounts)], seed=7, now=now)
    began = time.perf_counter()
    ticked(state, at=now)
    all_ms = [_ms_since(began)]
    rng, columns = np.random.default_rng(3), state.activity.accounts
    idle_ms, touched_ms = [], []
    for run in range(RUNS):
        began = time.perf_counter()
        ticked(state, at=now + 2 * run + 1)
        idle_ms.append(_ms_since(began))
        columns["touched"][rng.choice(accounts, min(TOUCHED, accounts), replace=False)] = True
        began = time.perf_counter()
        ticked(state, at=now + 2 * run + 2)
        touched_ms.append(_ms_since(began))
    for run in range(2):
        columns["touched"][:accounts] = True
        began = time.perf_counter()
        ticked(state, at=now + 100 + run)
        all_ms.append(_ms_since(began))
    return {
        "accounts": accounts,
        "nothing_due_ms": _figures(idle_ms),
        "touched_10000_ms": _figures(touched_ms),
        "all_ms": _figures(all_ms),
    }


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _figures(runs: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(runs), 1), "worst": round(max(runs), 1)}


if __name__ == "__main__":
    main()
