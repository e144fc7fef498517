"""End tasks for sure."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

AGAIN_S: Final = 3.0
"""Longer than what tasks still have to do when they are cancelled takes."""


async def cancel(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks and return when all are over, whatever they raised.

    Asks again and again: before Python 3.12 `asyncio.wait_for`, which the clients of Redis and Kafka stand on, loses a
    cancellation that comes in the moment in which what it waits for is done.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_S)
