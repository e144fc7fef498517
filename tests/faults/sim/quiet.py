"""Run the effect loop's modules in simulated time, without logs and metrics: those would cost most."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from services.scorer import checkpoint, fence, lane, loop, mirror, outputs, quarantine
from tests.faults.sim.virtual import VirtualLoop

PATCHED = ("time", "metrics", "log")
LOOKED_UP = ("get_running_loop", "_get_running_loop")
"""Of asyncio: its own asks the kernel for the process each time, in case somebody forked."""
MODULES = (checkpoint, fence, lane, loop, mirror, outputs, quarantine)


class SimulatedTime:
    """The part of `time` that these modules read."""

    def monotonic(self) -> float:
        running = VirtualLoop.running
        return 0.0 if running is None else running.now

    perf_counter = monotonic


class Silence:
    """Takes every log line and metric."""

    def __getattr__(self, name: str) -> "Silence":
        setattr(self, name, self)  # found at once the next time
        return self

    def __call__(self, *_args: Any, **_options: Any) -> "Silence":
        return self


def _running() -> VirtualLoop | None:
    return VirtualLoop.running


@contextmanager
def simulated() -> Iterator[None]:
    """Put simulated time and silence in place of what these modules import."""
    put = dict.fromkeys(LOOKED_UP, _running) | {"time": SimulatedTime(), "metrics": Silence(), "log": Silence()}
    changes = [(module, name) for module in MODULES for name in PATCHED if hasattr(module, name)]
    changes += [(asyncio.events, name) for name in LOOKED_UP]
    before = [getattr(module, name) for module, name in changes]
    for module, name in changes:
        setattr(module, name, put[name])
    try:
        yield
    finally:
        for (module, name), value in zip(changes, before, strict=True):
            setattr(module, name, value)
