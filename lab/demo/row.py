"""One row of the demo's history: what happened to an account, before it is an event."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`at` is epoch ms; `user` is the app's own id of a user, which the ingest hashes; `source` the app's name."""

    account: str
    at: int
    kind: str
    source: str | None = None
    user: str | None = None
    name: str | None = None
    data: Mapping[str, object] | None = None
