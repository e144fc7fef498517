"""Count what the ingest does: every label is an enum, made at start, so that zero is visible."""

from enum import StrEnum

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from services.ingest.core.fields import Field
from services.ingest.core.item import Reason
from shared.contracts.topics import IDENTITY, KEYS
from shared.places import Cut
from shared.telemetry import with_zeros

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CODES = ("200", "204", "400", "401", "403", "404", "405", "408", "413", "429", "500", "503")


class Route(StrEnum):
    """A place to send events to, whichever of its spellings was used."""

    BATCH = "batch"
    TRACK = "track"
    IDENTIFY = "identify"
    GROUP = "group"
    PAGE = "page"
    SCREEN = "screen"
    ALIAS = "alias"
    OTHER = "other"


class Outcome(StrEnum):
    """What became of an event that was answered 200."""

    ACCEPTED = "accepted"
    UNATTRIBUTED = "unattributed"
    REJECTED = "rejected"
    TEST = "test"


class ImportOutcome(StrEnum):
    """What became of a row of a history that was answered 200."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Metrics:
    """The metrics of one ingest process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.requests = with_zeros(
            Counter(
                "churn_ingest_http_requests_total",
                "Requests answered; SREs watch the share of 5xx, integrators their 4xx",
                ("route", "code"),
                registry=registry,
            ),
            Route,
            CODES,
        )
        self.duration = Histogram(
            "churn_ingest_request_duration_seconds",
            "Time from a request's first byte to its answer, Kafka's acknowledgement included; SREs watch its p99",
            registry=registry,
            buckets=SECONDS,
        )
        self.events = with_zeros(
            Counter(
                "churn_ingest_events_total",
                "Events answered 200, by what became of them; integrators look here first",
                ("outcome",),
                registry=registry,
            ),
            Outcome,
        )
        self.imported = with_zeros(
            Counter(
                "churn_ingest_imported_rows_total",
                "Rows of histories answered 200, by what became of them; whoever imports looks here",
                ("outcome",),
                registry=registry,
            ),
            ImportOutcome,
        )
        self.excluded = Counter(
            "churn_ingest_excluded_total",
            "Events left out because sources.yaml says no customer did them; integrators look here",
            ("reason",),
            registry=registry,
        )
        self.rejected = with_zeros(
            Counter(
                "churn_ingest_rejected_total",
                "Events refused and dead-lettered, by reason; integrators look here when something is missing",
                ("reason",),
                registry=registry,
            ),
            Reason,
        )
        self.dropped = with_zeros(
            Counter(
                "churn_ingest_fields_dropped_total",
                "Fields left out of accepted events because they could not be read; integrators look here",
                ("field",),
                registry=registry,
            ),
            Field,
        )
        self.resent = Counter(
            "churn_ingest_resent_total",
            "Events sent on after their user's account became known; SREs compare it with the unattributed",
            registry=registry,
        )
        self.waiting = Gauge(
            "churn_ingest_unattributed_waiting",
            "Events of this process's partitions that still wait for their account; integrators look here",
            registry=registry,
        )
        self.unreadable = with_zeros(
            Gauge(
                "churn_ingest_unreadable_records",
                "Records of our own topics that could not be read and are not obeyed; SREs expect zero",
                ("topic",),
                registry=registry,
            ),
            (KEYS, IDENTITY),
        )
        self.topology = with_zeros(
            Gauge(
                "churn_ingest_event_log",
                "1 for how the event log stands; mismatch pages SREs: somebody changed its partitions in place",
                ("state",),
                registry=registry,
            ),
            Cut,
        )
        self.mapped_users = Gauge(
            "churn_ingest_mapped_users",
            "Users whose account is known; SREs watch it for memory",
            registry=registry,
        )
