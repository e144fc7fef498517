"""Run a command that ends when whoever started it ends: `python -m deploy.local.tether COMMAND…`.

The starter holds the other end of our standard input. When it dies, however it dies, the pipe closes and the command
is ended; so tests leave nothing running, not even after kill -9.
"""

import os
import signal
import subprocess
import sys
import threading

GRACE_S = 5.0


def main() -> int:
    """Run the command of our arguments and return its exit code."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: child.send_signal(number))
    threading.Thread(target=_end_with_starter, args=(child,), daemon=True).start()
    return child.wait()


def _end_with_starter(child: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main())
