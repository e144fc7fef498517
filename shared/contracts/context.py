"""Define the entries of `churn.context.v1`: what a partition can't know alone. The Kafka key is the entry's kind."""

from enum import StrEnum

import msgspec


class ContextKind(StrEnum):
    """What an entry tells."""

    BUNDLE = "bundle"
    FINGERPRINT = "fingerprint"


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the whole configuration that scoring reads; `version` is `b_` + 16 hex digits of its SHA-256.

    `config` is the parsed content of the shipped YAML files by name (scorecard, rules), as canonical JSON.
    """

    version: str
    config: msgspec.Raw


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """The first 16 hex digits of SHA-256 over a secret: a start with another secret fails with its reason."""

    name: str
    fingerprint: str
