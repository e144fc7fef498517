"""Define the entries of `churn.context.v1`: what a partition can't know alone. The Kafka key is the entry's kind."""

from enum import StrEnum
from typing import Final

import msgspec

LONGEST_HOLD: Final = 4 * 3_600_000
"""How long (ms) rules are held at most: then their accounts are judged on incomplete data."""


class ContextKind(StrEnum):
    """What an entry tells."""

    BUNDLE = "bundle"
    FINGERPRINT = "fingerprint"
    IMPORT = "import"
    GUARD = "guard"
    TOPOLOGY = "topology"
    CRASH = "crash"
    QUARANTINE = "quarantine"
    SUMMARY = "summary"


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the whole configuration that scoring reads; `version` is `b_` + 16 hex digits of its SHA-256.

    `config` is the parsed content of the shipped YAML files by name (scorecard, rules, journey,
    playbooks), as canonical JSON.
    """

    version: str
    config: msgspec.Raw


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """The first 16 hex digits of SHA-256 over a secret: a start with another secret fails with its reason."""

    name: str
    fingerprint: str


class ImportState(StrEnum):
    """Where an import stands."""

    RUNNING = "running"
    ENDED = "ended"


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """A history begins, goes on (said again at least every five minutes) or ends; `at` is wall time, epoch ms."""

    job: str
    state: ImportState
    at: int


class GuardState(StrEnum):
    """Whether the rules fed by a source, or by one of its event names, are held."""

    HELD = "held"
    OVER = "over"


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """A source fell silent for many accounts at once, or is back: its rules are held in these partitions meanwhile.

    `source` as events carry it (`/sources/<name>`); with an `event` only events of that name are missing (`login` and
    `outcome` are called so where they have none). `at` is wall time and `last_event` the arrival of the last event
    (epoch ms), `accounts` how many accounts the source feeds there, or came without the event.
    """

    source: str
    partitions: list[int]
    state: GuardState
    at: int
    last_event: int | None = None
    accounts: int = 0
    event: str | None = None

    @property
    def key(self) -> str:
        """What is guarded: entries with another key are about something else."""
        return key_of(self.source, event=self.event)


def key_of(source: str, *, event: str | None) -> str:
    """Return the key of the guards of a source, or of one of its event names."""
    return source if event is None else f"{source}\0{event}"


def source_in(key: str) -> str:
    """Return the source that a guard's key names."""
    return key.partition("\0")[0]


class Crash(msgspec.Struct, frozen=True, kw_only=True):
    """A scorer ended because its core raised on records `first` to `last` of a partition; `fault` names the type."""

    topic: str
    partition: int
    first: int
    last: int
    fault: str
    at: int


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """A record on which the core raised twice: it is dead from now on, in every replay, and nothing reads it."""

    topic: str
    partition: int
    offset: int
    fault: str
    at: int


class SegmentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How the accounts of one segment are spread: for each feature, how many are in each bin (docs/scoring.md §11)."""

    segment: str
    accounts: int
    histograms: dict[str, list[int]]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The segments of a partition on a day (UTC, days since 1970-01-01), written when its clock was `at` (epoch ms)."""

    partition: int
    partitions: int
    day: int
    at: int
    segments: list[SegmentSummary]
