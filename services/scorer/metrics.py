"""Count what the scorer does, for those who run it."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from services.scorer.core.decode import Reason
from shared.contracts.context import GuardState
from shared.health_store import Written
from shared.telemetry import with_zeros

FATES: Final = ("applied", "duplicate", "dead", "moved", "ticks")
PHASES: Final = ("fold", "tick")

RECORDS = with_zeros(
    Counter("churn_scorer_records", "Records of the event log by fate (SRE: dead or moved rising)", ["fate"]), FATES
)
LOG = with_zeros(
    Gauge("churn_scorer_log_records", "Records scored since the log began, by fate, restarts included (SRE)", ["fate"]),
    FATES,
)
DEAD_LETTERS = with_zeros(
    Counter("churn_scorer_dead_letters", "Events nobody could read, by reason (SRE, and whoever sends)", ["reason"]),
    [reason.value for reason in Reason],
)
EVENT_AGE = Histogram(
    "churn_scorer_event_age_seconds",
    "From the broker's receipt of an event to durable outputs of its batch (SRE: the freshness objective)",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 1.5, 3, 5, 10, 30, 60, 300, 3600),
)
QUARANTINED_AT = Gauge(
    "churn_scorer_quarantined_timestamp_seconds",
    "When a record was last set aside because the core failed on it twice, 0: never (SRE: page; a bug of ours)",
)
SEEN_HORIZON = Gauge(
    "churn_scorer_seen_horizon_hours", "For how many hours of arrival a retry counts once; below 24: memory (SRE)"
)
STEP = with_zeros(
    Histogram(
        "churn_scorer_step_duration_seconds",
        "Folding a batch, with evaluation when it holds a tick; the loop stands still so long (SRE)",
        ["phase"],
        buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    ),
    PHASES,
)
LAG = Gauge("churn_scorer_lag_records", "Records of the event log not scored yet (SRE)", ["partition"])
OWNED = Gauge("churn_scorer_partitions", "Partitions this process scores (SRE)")
PARTITIONS = Gauge("churn_scorer_log_partitions", "Partitions the event log has, by the topology in use (SRE)")
ACCOUNTS = Gauge("churn_scorer_accounts", "Accounts this process remembers (SRE: memory)")
RECOVERY_ACTIVE = Gauge("churn_scorer_recovery_active", "Partitions whose state is being loaded (SRE)")
RECOVERY = Histogram(
    "churn_scorer_recovery_duration_seconds",
    "Loading the state of one partition (SRE: recovery objective)",
    buckets=(0.05, 0.25, 1, 2.5, 5, 10, 20, 60, 120),
)
CHECKPOINT_AT = Gauge(
    "churn_scorer_checkpoint_timestamp_seconds",
    "When the last checkpoint cycle of a partition was closed (SRE: older than 5 min means long replays)",
    ["partition"],
)
CHECKPOINT_BYTES = Counter("churn_scorer_checkpoint_bytes", "Bytes of state written to Kafka (SRE: broker load)")
TRANSITIONS = Counter("churn_scorer_transitions", "Transitions of episodes published (whoever owns the rules)")
REDIS_ROWS = with_zeros(
    Counter(
        "churn_scorer_redis_rows",
        "Accounts written to Redis by result; conflict pages: scoring was not deterministic (SRE)",
        ["result"],
    ),
    [result.name.lower() for result in Written],
)
REDIS_FAILURES = Counter("churn_scorer_redis_failures", "Writes to Redis that failed and are tried again (SRE)")
REDIS_WAITING = Gauge("churn_scorer_redis_waiting_accounts", "Accounts scored and not yet in Redis (SRE)")
REDIS_WRITE = Histogram(
    "churn_scorer_redis_write_duration_seconds",
    "One write of many accounts to Redis (SRE)",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
GUARDED = Gauge("churn_scorer_source_guarded", "1 while the rules of a silent source are held (SRE: page)", ["source"])
EVENTS_LOST = Gauge(
    "churn_scorer_events_lost",
    "Event names of a source that are missing while their users are there (SRE: page)",
    ["source"],
)
GUARDS = with_zeros(
    Counter("churn_scorer_guards", "Sources that fell silent (held) or came back (over) (SRE)", ["state"]),
    [state.value for state in GuardState],
)
HOLDS_EXPIRED = Counter(
    "churn_scorer_holds_expired", "Holds ended by their four hours: judged on incomplete data (SRE: page)"
)
IMPORTS_RUNNING = Gauge("churn_scorer_imports_running", "Imports whose accounts' rules are quiet (whoever imports)")
IMPORTS_LAPSED = Counter(
    "churn_scorer_imports_lapsed", "Imports given up because nothing was heard of them for 10 min (whoever imports)"
)
CORE = Gauge("churn_scorer_core_active", "Which fold runs: 1 for the one in use (SRE)", ["core"])
