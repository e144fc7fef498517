"""End the process when going on would be worse: crash-only, with a code that tells why.

    75  something nobody planned for            77  recovery makes no progress
    76  the loop stood still (SIGSTOP, swap):   78  outputs of a batch are not durable for too long
        another worker may own our partitions   79  the event log is cut into other partitions than our state
                                                80  events lie unread and nothing moves

Restarting is the recovery path, and so the path that is tested most.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NoReturn, Protocol

import structlog

BEAT_S: Final = 0.25
RECOVERY_STALLED_S: Final = 60.0
UNACKED_S: Final = 120.0

log = structlog.get_logger(__name__)


class Exit(IntEnum):
    """Why a process ended itself."""

    UNPLANNED = 75
    STALLED_LOOP = 76
    STALLED_RECOVERY = 77
    OLD_BATCH = 78
    TOPOLOGY = 79
    NO_PROGRESS = 80


def end_process(code: Exit, **fields: object) -> NoReturn:
    """Log why and end at once, without clean-up: nothing may be sent or acknowledged any more."""
    log.critical("scorer_exit", code=int(code), reason=code.name.lower(), **fields)
    os._exit(code)


class Client(Protocol):
    """What writes requests: aiokafka's client."""

    def send(self, *args: Any, **kwargs: Any) -> Any: ...


class Fence:
    """Watch the loop from a thread, and let the loop check itself before it sends.

    `oldest_unacked` and `oldest_recovery` return the monotonic time at which the oldest one began or last made
    progress, or None.
    """

    def __init__(
        self,
        *,
        stall_s: float,
        oldest_unacked: Callable[[], float | None],
        oldest_recovery: Callable[[], float | None],
        end: Callable[..., NoReturn] = end_process,
    ) -> None:
        self._stall_s = stall_s
        self._watched = (
            (oldest_unacked, UNACKED_S, Exit.OLD_BATCH),
            (oldest_recovery, RECOVERY_STALLED_S, Exit.STALLED_RECOVERY),
        )
        self._end = end
        self._last_beat = time.monotonic()
        self._stopped = threading.Event()

    async def run(self) -> None:
        """Beat until cancelled, watched by a thread of its own."""
        self._last_beat = time.monotonic()
        self._stopped.clear()
        watcher = threading.Thread(target=self._watch, name="fence", daemon=True)
        watcher.start()
        try:
            while True:
                self.check()
                self._last_beat = time.monotonic()
                await asyncio.sleep(BEAT_S)
        finally:
            self._stopped.set()

    def check(self) -> None:
        """End the process if the loop stood still so long that our partitions may have another owner."""
        stood_still_s = time.monotonic() - self._last_beat
        if stood_still_s > self._stall_s:
            self._end(Exit.STALLED_LOOP, stood_still_s=round(stood_still_s, 1))

    def enclose(self, client: Client) -> None:
        """Check before every request that a client writes to a socket: what was queued before a pause never leaves."""
        send = client.send

        def checked(*args: Any, **kwargs: Any) -> Any:
            self.check()
            return send(*args, **kwargs)

        client.send = checked  # type: ignore[method-assign]

    def _watch(self) -> None:
        while not self._stopped.wait(BEAT_S):
            self.check()
            now = time.monotonic()
            for oldest, limit_s, code in self._watched:
                since = oldest()
                if since is not None and now - since > limit_s:
                    self._end(code, seconds=round(now - since, 1))
