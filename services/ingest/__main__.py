"""Run the ingest: `python -m services.ingest`."""

import sys

import uvicorn

from services.ingest.app import build, load_sources
from services.ingest.settings import IngestSettings
from shared import settings
from shared.telemetry import configure_logs
from shared.yaml_file import BadFiles

KEEP_ALIVE_S = 65
DRAIN_S = 15


def main() -> None:
    """Serve until told to stop; settings that can't be are all named, with exit code 2."""
    told = settings.load(IngestSettings)
    try:
        sources = load_sources(told)
    except BadFiles as bad:
        for line in bad.faults:
            print(line, file=sys.stderr)  # noqa: T201  logs are not configured yet
        raise SystemExit(2) from None
    configure_logs("ingest", told.log_level)
    uvicorn.run(
        build(told, sources),
        host=told.ingest_host,
        port=told.ingest_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )


if __name__ == "__main__":
    main()
