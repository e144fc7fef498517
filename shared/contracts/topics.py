"""Name every Kafka topic and the settings it is created with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

EVENTS = "churn.events.v1"
CONTEXT = "churn.context.v1"
ACTIVITY = "churn.activity.v1"
SNAPSHOTS = "churn.snapshots.v1"
RISK = "churn.risk.v1"
SCORES = "churn.scores.v1"
FACTS = "churn.facts.v1"
KEYS = "churn.keys.v1"
IDENTITY = "churn.identity.v1"
UNATTRIBUTED = "churn.unattributed.v1"
COMMANDS = "churn.commands.v1"
ALERTS = "churn.alerts.v1"
NOTICES = "churn.notices.v1"
DEAD_LETTERS = "churn.dlq.v1"

SCORER_GROUP = "churn-scorer"
"""The consumer group of the scorers: its members own the partitions."""
PARTITIONS = 12
MAX_MESSAGE_BYTES = 1 << 20
ROLLED_AFTER = timedelta(days=7)
"""Kafka's own: a segment is closed at most so long after its first record, and only closed ones are cleaned."""
FORGETTING: Mapping[str, str] = {"max.compaction.lag.ms": str(int(ROLLED_AFTER.total_seconds() * 1000))}
"""Of compacted topics that know accounts or users: what was replaced or taken back must not stay for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic as it must exist: `retention` None means no expiry; compacted topics never expire."""

    name: str
    partitions: int = PARTITIONS
    retention: timedelta | None = None
    compacted: bool = False
    log_append_time: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)

    def config(self, *, min_insync: int = 1) -> dict[str, str]:
        """Return the broker's settings for this topic, as Kafka's own strings."""
        retention_ms = -1 if self.retention is None else int(self.retention.total_seconds() * 1000)
        return {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(retention_ms),
            "message.timestamp.type": "LogAppendTime" if self.log_append_time else "CreateTime",
            "max.message.bytes": str(MAX_MESSAGE_BYTES + 4096),
            "min.insync.replicas": str(min_insync),
            "unclean.leader.election.enable": "false",
            **self.extra,
        }


TOPICS: Mapping[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(name=EVENTS, retention=timedelta(days=120), log_append_time=True),
        Topic(name=CONTEXT, partitions=1),
        Topic(name=ACTIVITY),
        Topic(name=SNAPSHOTS, retention=timedelta(days=150)),
        Topic(name=RISK, retention=timedelta(days=800)),
        Topic(name=SCORES, retention=timedelta(days=800)),
        Topic(name=FACTS, compacted=True, extra=FORGETTING),
        Topic(name=KEYS, partitions=1, compacted=True),
        Topic(name=IDENTITY, compacted=True, extra=FORGETTING),
        Topic(name=UNATTRIBUTED, retention=timedelta(days=30)),
        Topic(name=COMMANDS, retention=timedelta(days=800)),
        Topic(name=ALERTS, compacted=True, extra=FORGETTING),
        Topic(name=NOTICES, partitions=1, compacted=True, extra=FORGETTING),
        Topic(name=DEAD_LETTERS, retention=timedelta(days=30)),
    )
}
