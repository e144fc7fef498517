"""Run the alert service: `python -m services.alerts`."""

import sys

import uvicorn

from services.alerts.app import Alerts, build
from services.alerts.configuration import read_configuration
from services.alerts.outbox import Pace
from services.alerts.settings import AlertSettings
from shared import settings
from shared.telemetry import configure_logs
from shared.yaml_file import BadFiles

DRAIN_S = 15


def main() -> None:
    """Serve until told to stop; settings and files that can't be are all named, with exit code 2."""
    told = settings.load(AlertSettings)
    try:
        configuration = read_configuration(told.config)
    except BadFiles as bad:
        for line in bad.faults:
            print(line, file=sys.stderr)  # noqa: T201  logs are not configured yet
        raise SystemExit(2) from None
    configure_logs("alerts", told.log_level)
    alerts = Alerts(settings=told, configuration=configuration, pace=Pace(between_s=told.slack_interval_s))
    uvicorn.run(
        build(alerts),
        host=told.alerts_host,
        port=told.alerts_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )


if __name__ == "__main__":
    main()
