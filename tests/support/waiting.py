"""Wait for something to become true, with a deadline: the only way a test waits."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 30.0
POLL_S = 0.05


def eventually(holds: Callable[[], bool], *, within_s: float = DEADLINE_S) -> None:
    """Return once `holds()` is true; fail the test after the deadline."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not so within {within_s:g} s: {_words(holds)}"
        time.sleep(POLL_S)


async def soon(holds: Callable[[], Awaitable[bool]], *, within_s: float = DEADLINE_S) -> None:
    """Return once `await holds()` is true; fail the test after the deadline."""
    deadline = time.monotonic() + within_s
    while not await holds():
        assert time.monotonic() < deadline, f"not so within {within_s:g} s: {_words(holds)}"
        await asyncio.sleep(POLL_S)


def _words(holds: Callable[[], object]) -> str:
    try:
        return inspect.getsource(holds).strip()
    except (OSError, TypeError):
        return repr(holds)
