"""Say which applied events outlive the log: facts, told again on `churn.facts.v1` (docs/scoring.md §9)."""

from typing import Final, NamedTuple

import numpy as np

from services.scorer.core.batch import Batch
from services.scorer.core.decode import Code, Decoded
from services.scorer.core.table import Ints
from shared.contracts.events import Kind, type_of
from shared.contracts.topics import MAX_MESSAGE_BYTES

_KINDS: Final = (
    Kind.ACCOUNT,
    Kind.BILLING,
    Kind.GOAL,
    Kind.MILESTONE,
    Kind.OUTCOME,
    Kind.SUBSCRIPTION,
    Kind.SURVEY,
)
_KIND_OF: Final = {type_of(kind): kind.value for kind in _KINDS}
_CODES: Final = np.array([Code.OUTCOME, Code.FACT, Code.KEPT_AT_ANY_AGE])


class Fact(NamedTuple):
    """An event that is published again: its key, and its row in the batch, whose value stays as it is."""

    offset: int
    account: bytes
    key: bytes
    row: int


def facts_of(batch: Batch, decoded: Decoded, *, rows: Ints) -> list[Fact]:
    """Return the facts among rows that were applied and are not erased, in their order."""
    found = []
    for row in rows[np.isin(decoded.code[rows], _CODES)].tolist():
        envelope = decoded.envelopes[row]
        kind = _KIND_OF.get(envelope.type)
        if kind is not None and batch.value_length[row] <= MAX_MESSAGE_BYTES:
            account = envelope.subject.encode()
            key = b"%b/%b/%b" % (account, kind.encode(), envelope.id.encode())
            found.append(Fact(int(batch.offsets[row]), account, key, row))
    return found
