"""Define what became of one event lately, as readers who plug a product in are shown it."""

from enum import StrEnum

import msgspec


class Stage(StrEnum):
    """Who said it."""

    INGEST = "ingest"
    SCORER = "scorer"


class Fated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one event, and what its sender can do about it; `at` is when that was said, epoch ms."""

    at: int
    id: str
    fate: str
    stage: Stage
    kind: str | None = None
    name: str | None = None
    account: str | None = None
    reason: str | None = None
    remedy: str | None = None
