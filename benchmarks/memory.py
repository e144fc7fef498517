"""Measure what an account costs in memory, for 10⁴, 10⁵ and 10⁶ accounts, each in a process of its own.

Accounts have three signals and ten users. Beside the budget: 700 B an account + 200 B a signal + 32 B a user.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.states import SIGNALS, USERS, arrays_of, filled, names_by_partition, ticked
from shared import clock

RESULTS = Path(__file__).parent / "results" / "memory.json"
SIZES = (10_000, 100_000, 1_000_000)
BUDGET = 700 + 200 * len(SIGNALS) + 32 * USERS
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure each size in a fresh process, print and write the results."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--one", type=int, help="measure this many accounts in this process")
    arguments.add_argument("--rounds", type=int, default=1, help="with --one: ten events an account each")
    given = arguments.parse_args()
    if given.one:
        print(json.dumps(_measured(given.one, rounds=given.rounds)))
        return
    plans = [(size, 1) for size in SIZES] + [(SIZES[1], 5)]
    results = [_in_fresh_process(size, rounds=rounds) for size, rounds in plans]
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    for result in results:
        print(json.dumps(result))


def _in_fresh_process(size: int, *, rounds: int) -> object:
    command = [sys.executable, "-m", "benchmarks.memory", "--one", str(size), "--rounds", str(rounds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _measured(accounts: int, *, rounds: int) -> dict[str, object]:
    names, now = names_by_partition(accounts), clock.now_ms()
    before = _resident()
    began = time.perf_counter()
    states = [filled(number, some, seed=7, now=now, rounds=rounds) for number, some in enumerate(names)]
    built_s = time.perf_counter() - began
    began = time.perf_counter()
    for state in states:
        ticked(state, at=now)
    arrays = sum(array.nbytes for state in states for array in arrays_of(state))
    return {
        "accounts": accounts,
        "events": accounts * USERS * rounds,
        "resident_bytes_per_account": round((_resident() - before) / accounts),
        "array_bytes_per_account": round(arrays / accounts),
        "budget_bytes_per_account": BUDGET,
        "built_s": round(built_s, 1),
        "first_tick_s": round(time.perf_counter() - began, 1),
    }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE


if __name__ == "__main__":
    main()
