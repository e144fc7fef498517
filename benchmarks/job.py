"""The whole job: the scorer as it is, watched from a thread. `python -m benchmarks.job CORE RECORDS`.

Writes one JSON line with wall and CPU seconds once RECORDS are scored, their outputs durable and Redis caught up;
runs on until it is told to stop. The clock starts when the first record was folded.
"""

import json
import os
import sys
import threading
import time

from prometheus_client import REGISTRY

from services.scorer.__main__ import main

POLL_S = 0.02
FATES = ("applied", "duplicate", "dead", "moved", "ticks")


def watch(records: int) -> None:
    """Print the measurement when it is complete."""
    while not _scored():
        time.sleep(POLL_S / 10)
    began, cpu, first = time.perf_counter(), time.process_time(), _scored()
    while _scored() < records:
        time.sleep(POLL_S)
    folded = time.perf_counter()
    while _sample("churn_scorer_redis_waiting_accounts") or not _all_durable():
        time.sleep(POLL_S)
    ended = time.perf_counter()
    measured = {
        "wall_s": ended - began,
        "folded_s": folded - began,
        "cpu_s": time.process_time() - cpu,
        "records": _scored() - first,
        "fold_s": _sum("churn_scorer_step_duration_seconds_sum", phase="fold"),
        "tick_s": _sum("churn_scorer_step_duration_seconds_sum", phase="tick"),
        "redis_rows": _sum("churn_scorer_redis_rows_total", result="written"),
        "redis_s": _sample("churn_scorer_redis_write_duration_seconds_sum"),
        "checkpoint_bytes": _sample("churn_scorer_checkpoint_bytes_total"),
    }
    print(json.dumps(measured), flush=True)


def _scored() -> float:
    return sum(_sum("churn_scorer_records_total", fate=fate) for fate in FATES)


def _all_durable() -> bool:
    steps = sum(_sum("churn_scorer_step_duration_seconds_count", phase=phase) for phase in ("fold", "tick"))
    return _sample("churn_scorer_event_age_seconds_count") >= steps


def _sum(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def _sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    threading.Thread(target=watch, args=(int(sys.argv[2]),), daemon=True).start()
    main()
