"""Run the effect loop's modules in simulated time, without logs and metrics: those would cost most."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from services.scorer import checkpoint, fence, lane, loop, mirror, outputs

PATCHED = ("time", "metrics", "log")
MODULES = (checkpoint, fence, lane, loop, mirror, outputs)


class SimulatedTime:
    """The part of `time` that these modules read."""

    def monotonic(self) -> float:
        running = asyncio._get_running_loop()
        return 0.0 if running is None else running.time()

    perf_counter = monotonic


class Silence:
    """Takes every log line and metric."""

    def __getattr__(self, name: str) -> "Silence":
        return self

    def __call__(self, *_args: Any, **_options: Any) -> "Silence":
        return self


@contextmanager
def simulated() -> Iterator[None]:
    """Put simulated time and silence in place of what these modules import."""
    put = {"time": SimulatedTime(), "metrics": Silence(), "log": Silence()}
    changes = [(module, name) for module in MODULES for name in PATCHED if hasattr(module, name)]
    before = [getattr(module, name) for module, name in changes]
    for module, name in changes:
        setattr(module, name, put[name])
    try:
        yield
    finally:
        for (module, name), value in zip(changes, before, strict=True):
            setattr(module, name, value)
