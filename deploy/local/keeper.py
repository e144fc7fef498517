"""Start a command again whenever it dies, as Kubernetes and Docker do: `python -m deploy.local.keeper COMMAND…`.

A service exits on what nobody planned for and recovers when it is started again. A command that dies young the first
time can't be started at all: that is reported instead, with its exit code.
"""

import signal
import subprocess
import sys
import threading
import time

YOUNG_S = 5.0
PAUSE_S = 1.0


class Keeper:
    """The command, which runs until we are told to end it."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._ending = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Keep the command running; return its exit code once it ended in order, on demand, or young."""
        lived = False
        while True:
            began = time.monotonic()
            self._child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
            if self._ending.is_set():  # told so while it was starting
                self._child.terminate()
            code = self._child.wait()
            lived = lived or time.monotonic() - began > YOUNG_S
            if self._ending.is_set() or code == 0 or not lived:
                return code
            print(f"keeper: exited with {code}, starting it again", file=sys.stderr, flush=True)
            self._ending.wait(PAUSE_S)
            if self._ending.is_set():
                return code

    def end(self) -> None:
        """Ask the command to end and start it no more."""
        self._ending.set()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()


def main() -> int:
    """Keep the command of our arguments."""
    keeper = Keeper(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: keeper.end())
    return keeper.run()


if __name__ == "__main__":
    sys.exit(main())
