"""An event loop without a clock or a selector: callbacks in order, and time that jumps to whatever is next.

The same program takes the same steps in every run. Several loops can live side by side, each with its own time: that
is what a process that was stopped, and one that took over from it, are.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from itertools import count
from typing import Any, cast


class Timer:
    """A callback to come; what `call_at` returns."""

    __slots__ = ("args", "callback", "cancelled_", "when_")

    def __init__(self, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.when_ = when
        self.callback = callback
        self.args = args
        self.cancelled_ = False

    def cancel(self) -> None:
        self.cancelled_ = True

    def cancelled(self) -> bool:
        return self.cancelled_

    def when(self) -> float:
        return self.when_


class VirtualLoop:
    """Run callbacks until told to stop, or until nothing is left to do before a moment.

    It has what tasks, futures, time-outs and locks ask of a loop; no descriptor, signal or process is looked after.
    """

    running: "VirtualLoop | None" = None

    def __init__(self) -> None:
        self.now = 0.0
        self.stopping = False
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._number = count()
        self._tasks: list[asyncio.Task[Any]] = []

    def run(self, *, until: float) -> bool:
        """Run until `stopping` is set, and return True; False when the time is over first."""
        ready, timers = self._ready, self._timers
        asyncio._set_running_loop(cast("Any", self))
        VirtualLoop.running = self
        try:
            while not self.stopping:
                if ready:
                    callback, args = ready.popleft()
                    callback(*args)
                    continue
                if not timers or timers[0][0] > until:
                    return False
                when, _, timer = heapq.heappop(timers)
                if not timer.cancelled_:
                    self.now = max(self.now, when)
                    timer.callback(*timer.args)
            return True
        finally:
            asyncio._set_running_loop(None)
            VirtualLoop.running = None

    def drop(self) -> None:
        """Forget everything that was to come: the process is dead."""
        for task in self._tasks:
            cast("Any", task)._log_destroy_pending = False
            coroutine = task.get_coro()
            if coroutine is not None and not task.done():
                coroutine.close()
        self._tasks.clear()
        self._ready.clear()
        self._timers.clear()

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # noqa: ARG002
        self._ready.append((callback, args))

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,  # noqa: ARG002  there is only one
    ) -> Any:
        when = self.now + delay
        timer = Timer(when, callback, args)
        heapq.heappush(self._timers, (when, next(self._number), timer))
        return timer

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,  # noqa: ARG002  there is only one
    ) -> Any:
        timer = Timer(when, callback, args)
        heapq.heappush(self._timers, (when, next(self._number), timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast("Any", self))

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, **_options: Any) -> Any:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=cast("Any", self), name=name or "task")
        self._tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        """Do it at once: nothing of a core waits."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as fault:  # noqa: BLE001  the future hands it on
            future.set_exception(fault)
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Say nothing: tasks of a dead process are never awaited."""
