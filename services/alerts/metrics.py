"""Count what the alert service does: every label is an enum, made at start, so that zero is visible."""

from enum import StrEnum

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from services.alerts.core.alert import Outcome
from services.alerts.core.routing import ChannelName, Why
from shared.contracts.alerts import AlertState
from shared.telemetry import with_zeros

SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class Call(StrEnum):
    """What came of one call to a provider."""

    DELIVERED = "delivered"
    FOUND = "found"
    """It had arrived before: a repetition was avoided."""
    BUSY = "busy"
    BROKEN = "broken"
    DOUBTFUL = "doubtful"
    REFUSED = "refused"


class Stage(StrEnum):
    """What could not be read."""

    RISK = "risk"
    COMMANDS = "commands"


class Metrics:
    """The metrics of one alert service process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.alerts = with_zeros(
            Counter(
                "churn_alerts_total",
                "Alerts that entered a state; product owners watch how many open and how they end",
                ("state",),
                registry=registry,
            ),
            AlertState,
        )
        self.outcomes = with_zeros(
            Counter(
                "churn_alerts_inputs_total",
                "Transitions and commands by what they did; SREs look here when alerts are missing",
                ("outcome",),
                registry=registry,
            ),
            Outcome,
        )
        self.decisions = with_zeros(
            Counter(
                "churn_alerts_decisions_total",
                "Routing decisions by reason; product owners look here when somebody was not told",
                ("why",),
                registry=registry,
            ),
            Why,
        )
        self.calls = with_zeros(
            Counter(
                "churn_alerts_deliveries_total",
                "Calls to providers by what came of them; SREs watch the share that failed",
                ("channel", "outcome"),
                registry=registry,
            ),
            ChannelName,
            Call,
        )
        self.delay = with_zeros(
            Histogram(
                "churn_alerts_delivery_delay_seconds",
                "Time from a durable intent to its arrival; SREs watch the share above their objective",
                ("channel",),
                registry=registry,
                buckets=SECONDS,
            ),
            ChannelName,
        )
        self.unreadable = with_zeros(
            Counter(
                "churn_alerts_unreadable_total",
                "Records that could not be read and were dead-lettered; SREs expect zero",
                ("topic",),
                registry=registry,
            ),
            Stage,
        )
        self.absent = Counter(
            "churn_alerts_reasons_absent_total",
            "Reasons withdrawn because the scorer's list of open episodes lacked them; SREs expect zero",
            registry=registry,
        )
        self.unheard = Counter(
            "churn_alerts_episodes_unheard_total",
            "Episodes on a scorer's list of open ones that no open alert holds; SREs expect zero",
            registry=registry,
        )
        self.waiting = with_zeros(
            Gauge(
                "churn_alerts_deliveries_waiting",
                "Deliveries that wait for their turn or for a provider; SREs watch it grow when a provider fails",
                ("channel",),
                registry=registry,
            ),
            ChannelName,
        )
        self.active = Gauge(
            "churn_alerts_active",
            "1 on the process that folds transitions and delivers; SREs expect one over all replicas",
            registry=registry,
        )

    def stand_by(self) -> None:
        """Show that this process does not fold or deliver any more: what waits now waits with another."""
        self.active.set(0)
        for channel in ChannelName:
            self.waiting.labels(channel).set(0)
