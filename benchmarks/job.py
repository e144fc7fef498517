"""The whole job: the scorer as it is, watched from a thread. `python -m benchmarks.job CORE RECORDS`.

Writes one JSON line with wall and CPU seconds once RECORDS are scored, their outputs durable and Redis caught up;
runs on until it is told to stop. The clock starts when the first record was folded.
"""

import json
import os
import sys
import threading
import time

from prometheus_client import REGISTRY, Counter, Gauge

from services.scorer import metrics
from services.scorer.__main__ import main

POLL_S = 0.02


def watch(records: int) -> None:
    """Print the measurement when it is complete."""
    while not _scored():
        time.sleep(POLL_S)
    began, cpu, first = time.perf_counter(), time.process_time(), _scored()
    while _scored() < records:
        time.sleep(POLL_S)
    folded = time.perf_counter()
    while _value(metrics.REDIS_WAITING) or not _all_durable():
        time.sleep(POLL_S)
    ended = time.perf_counter()
    measured = {
        "wall_s": ended - began,
        "folded_s": folded - began,
        "cpu_s": time.process_time() - cpu,
        "records": _scored() - first,
        "fold_s": _sample("churn_scorer_step_duration_seconds_sum", phase="fold"),
        "tick_s": _sample("churn_scorer_step_duration_seconds_sum", phase="tick"),
        "redis_rows": _sample("churn_scorer_redis_rows_total", result="written"),
        "redis_s": _sample("churn_scorer_redis_write_duration_seconds_sum"),
        "checkpoint_bytes": _sample("churn_scorer_checkpoint_bytes_total"),
    }
    print(json.dumps(measured), flush=True)


def _scored() -> float:
    return sum(_value(metrics.RECORDS.labels(fate)) for fate in metrics.FATES)


def _all_durable() -> bool:
    steps = sum(_sample("churn_scorer_step_duration_seconds_count", phase=phase) for phase in metrics.PHASES)
    return _sample("churn_scorer_event_age_seconds_count") >= steps


def _value(metric: Counter | Gauge) -> float:
    # asking the registry for it would collect everything each time: 16 % of the core measured
    return float(metric._value.get())  # noqa: SLF001


def _sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    threading.Thread(target=watch, args=(int(sys.argv[2]),), daemon=True).start()
    main()
