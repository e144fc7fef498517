"""Measure `churnwatch simulate` on one core: events a second into a file, and the memory of short and long runs.

`make bench-simulate`. Each run is a process of its own, pinned; it writes 2,000 accounts' events and their truth to a
real file. The floor is a loop on the same core that writes as many lines, each encoded by msgspec from a dict.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from lab.simulate.run import write
from lab.simulate.vendor import Vendor

RUNS = 3
ACCOUNTS = 2_000
DAYS = (15, 60)
ASKED = 100_000


def main() -> None:
    """Measure three times each, print every figure, the median and the worst."""
    results = []
    for run in range(RUNS):
        for days in DAYS:
            found = _in_a_process("--days", str(days), "--seed", str(run))
            results.append({"days": days, **found})
            print(json.dumps(results[-1]))
    for what, rates in (
        (f"simulated (asked: {ASKED:,})", [result["a_second"] for result in results]),
        ("floor", [result["floor_a_second"] for result in results]),
    ):
        print(f"{what}: median {statistics.median(rates):,.0f} events/s, worst {min(rates):,.0f}")
    for days in DAYS:
        peaks = [result["peak_mb"] for result in results if result["days"] == days]
        print(f"{days} days: peak memory median {statistics.median(peaks):.0f} MB, worst {max(peaks):.0f} MB")
    print(f"load {os.getloadavg()[0]:.1f}")


def _in_a_process(*words: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", "benchmarks.simulate", *words], capture_output=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _one(days: int, seed: int) -> dict[str, float]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        began, cpu = time.perf_counter(), time.process_time()
        vendor = Vendor(accounts=ACCOUNTS, days=days, seed=seed)
        events = write(vendor, out=Path(folder, "events"), truth=Path(folder, "truth"))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = Path(folder, "events").stat().st_size
        floor = _floor(Path(folder, "floor"))
    return {
        "events": events,
        "bytes_an_event": round(size / events),
        "a_second": round(events / took),
        "a_cpu_second": round(events / cpu),
        "floor_a_second": round(floor),
        "peak_mb": round(peak),
    }


def _floor(path: Path, lines: int = 300_000) -> float:
    encode = msgspec.json.Encoder().encode
    began = time.perf_counter()
    with path.open("wb") as file:
        for n in range(lines):
            event = {
                "specversion": "1.0",
                "id": f"e{n}",
                "source": "/sources/web",
                "type": "churn.usage.v1",
                "time": "2026-01-05T07:00:00.000Z",
                "subject": "acct-000001",
                "data": {"user": "u1_314d15df9ba4c3c2dccbfa8968a80f56", "name": "Report Viewed"},
            }
            file.write(encode(event) + b"\n")
    return lines / (time.perf_counter() - began)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    if told.days is None:
        main()
    else:
        print(json.dumps(_one(told.days, told.seed)))
