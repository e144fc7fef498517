"""`churnwatch migrate`: move the event log and its state to another number of partitions."""

import subprocess
import sys
from typing import Annotated

from cyclopts import Parameter

from lab.trouble import Trouble

FLAG = Parameter(negative="")


def migrate(
    *,
    partitions: int | None = None,
    dry_run: Annotated[bool, FLAG] = False,
    end_imports: Annotated[bool, FLAG] = False,
    give_up: Annotated[bool, FLAG] = False,
    wait: float = 120.0,
) -> None:
    """Cut the event log into another number of partitions; scoring and the ingest stand still meanwhile.

    Broken off at any point, the same command goes on with it. Needs the scorer's settings, its secret among them.

    Parameters
    ----------
    partitions
        How many partitions the event log is to have.
    dry_run
        Only say what would be done.
    end_imports
        End imports that nobody has ended: rows of them sent again later may be left out.
    give_up
        Call off a move that has begun.
    wait
        Seconds to wait for running scorers to end.
    """
    if (partitions is None) is not give_up:
        raise Trouble("say how many: --partitions N, or --give-up alone to call a move off")
    words = ["--give-up"] if give_up else ["--partitions", str(partitions), "--wait-s", str(wait)]
    words += ["--dry-run"] * dry_run + ["--end-imports"] * end_imports
    # its own process: it is a scorer, the last of a generation, and lab/ imports no service
    done = subprocess.run([sys.executable, "-m", "services.scorer.migration", *words], check=False)
    sys.exit(done.returncode)
