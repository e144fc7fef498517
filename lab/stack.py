"""`churnwatch up` and `churnwatch down`: start and stop everything on this machine."""

import subprocess
import sys


def up() -> None:
    """Start Kafka, Redis, a mail catcher, a Slack double and the services on this machine, and make secrets once."""
    _run("up")


def down() -> None:
    """Stop what `churnwatch up` started."""
    _run("down")


def _run(action: str) -> None:
    # its own process: deploy/ is no part of the installed command, and lab/ does not import it
    done = subprocess.run([sys.executable, "-m", "deploy.local.stack", action], check=False)
    sys.exit(done.returncode)
