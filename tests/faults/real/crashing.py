"""Run a service that kills itself at a named point: `python -m tests.faults.real.crashing POINT:N services.scorer`."""

import runpy
import sys

from tests.faults.real.points import EXIT_UNKNOWN_POINT, NoSuchPoint, arm_named


def main() -> None:
    """Arm the point, then become the service."""
    told, module, *arguments = sys.argv[1:]
    name, _, number = told.partition(":")
    try:
        arm_named(name, number=int(number))
    except NoSuchPoint as missing:
        sys.stderr.write(f"crashing: no such point: {missing}\n")
        raise SystemExit(EXIT_UNKNOWN_POINT) from None
    sys.stderr.write(f"crashing: {module} dies at {told}\n")
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
