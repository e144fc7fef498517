"""Measure ticks: nothing due, 10,000 accounts touched, and all accounts judged again, for 10⁴, 10⁵ and 10⁶ accounts.

All accounts lie in one partition, as they would with a single one; they have three signals and ten users. A tick is
measured with its outputs, and without the fold of the events that touched the accounts. On a new day, that is, at the
first event of a day, an account's silence deadline is worked out; after that it only moves with its last event.
Targets (design): 10,000 of 1,000,000 within 80 ms, all of them within 5 s, and nobody waits over 100 ms for his turn.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.states import filled, shipped, tick_batch
from services.scorer.core.days import NO_DAY
from services.scorer.core.partition import Partition
from services.scorer.core.step import step_in_slices
from shared import clock

RESULTS = Path(__file__).parent / "results" / "tick.json"
SIZES = (10_000, 100_000, 1_000_000)
TOUCHED = 10_000
RUNS = 5
ALL_RUNS = 3
CASES = ("nothing_due", "touched_10000", "touched_10000_on_a_new_day", "all", "all_on_a_new_day")


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
    rng, columns, turns = np.random.default_rng(3), state.activity.accounts, count(now)
    found: dict[str, list[list[float]]] = {"first": [_ticked(state, at=next(turns))]}
    for run in range(RUNS):
        for name in CASES if run < ALL_RUNS else CASES[:3]:
            some = np.arange(accounts)
            if name.startswith("touched"):
                some = rng.choice(accounts, min(TOUCHED, accounts), replace=False)
            if name != "nothing_due":
                columns["touched"][some] = True
            if name.endswith("new_day"):
                columns["patience_of"][some] = NO_DAY
            found.setdefault(name, []).append(_ticked(state, at=next(turns)))
    return {"accounts": accounts} | {
        name: {"ms": _figures([sum(slices) for slices in runs]), "slice_ms": _figures([max(slices) for slices in runs])}
        for name, runs in found.items()
    }


def _ticked(state: Partition, *, at: int) -> list[float]:
    """Return how long each slice of a tick took, in ms."""
    known, took, outputs = shipped(), [], None
    slices = step_in_slices(state, tick_batch(state, at=at), known_at=lambda _offset, _partition: known)
    while outputs is None:
        began = time.perf_counter()
        try:
            next(slices)
        except StopIteration as done:
            outputs = done.value  # kept until the clock has stopped
        took.append((time.perf_counter() - began) * 1000)
    return took


def _figures(runs: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(runs), 1), "worst": round(max(runs), 1)}


if __name__ == "__main__":
    main()
