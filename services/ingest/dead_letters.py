"""Make the dead letter of a refused event: its original bytes sealed, the reasons in headers."""

from services.ingest.core.item import Rejection
from shared.contracts.events import wire_time
from shared.contracts.topics import DEAD_LETTERS
from shared.dead_letters import Cause, dead_letter
from shared.publish import Record

STAGE = "ingest"


def letter(rejection: Rejection, *, key: bytes, source: str, received_ms: int) -> Record:
    """Return the record for a refused event; no account is known of it, so its source is its Kafka key."""
    cause = Cause(reason=rejection.reason, detail=rejection.detail, stage=STAGE)
    sealed = dead_letter(rejection.raw, cause, key=key)
    headers = [*sealed.headers, ("first-seen", wire_time(received_ms).encode())]
    return Record(topic=DEAD_LETTERS, key=source.encode(), value=sealed.value, headers=headers)
