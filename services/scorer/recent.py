"""Say what became of the last events of each source, for people who plug a product in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from services.scorer.core.batch import Batch
from services.scorer.core.decode import Reason
from services.scorer.core.fates import FATES, Fate
from services.scorer.core.step import Outputs
from shared.contracts.recent import Fated, Stage

SHOWN: Final = 100
PAUSE_MS: Final = 250
"""Between two looks at full batches: they come so fast that nobody could read them."""
SMALL: Final = 50
REMEDY: Final[Mapping[str, str]] = {
    Reason.NO_VALUE: "send a value: records without one say nothing",
    Reason.BAD_JSON: "send each event as one JSON object in UTF-8",
    Reason.SCHEMA: "send the fields docs/sending-events.md names, in their types",
    Reason.UNKNOWN_VERSION: "send types that end in .v1",
    Reason.TICK_AHEAD: "set the clock of the machine that writes ticks",
    Reason.WRONG_PARTITION: "use the murmur2 partitioner (librdkafka: murmur2_random) over the account id",
    Reason.IN_FUTURE: "set the sender's clock: the event lies more than five minutes ahead",
    Reason.BUG: "nothing: the scorer failed on it; whoever runs it was told",
    Reason.TOO_LATE: "send older events with `churnwatch import`",
}
_WORDS: Final[Mapping[Fate, str | None]] = {
    Fate.APPLIED: None,
    Fate.DUPLICATE: "came before: counted once",
    Fate.DEAD: None,
    Fate.MOVED: "was sent to another account's partition and is moved to its own",
    Fate.TICK: None,
}


class _Seen(msgspec.Struct):
    id: str = ""
    source: str = ""
    type: str = ""
    subject: str | None = None
    importjob: str | None = None


class Recents:
    """Looks at batches now and then; `note` takes the fates of one source and never waits."""

    def __init__(self, note: Callable[[str, Sequence[Fated]], None], *, now_ms: Callable[[], int]) -> None:
        self._note = note
        self._now_ms = now_ms
        self._next_ms = 0

    def look(self, batch: Batch, outputs: Outputs) -> None:
        """Tell the fates of a batch's last live events, unless the last look was just now."""
        now = self._now_ms()
        if now < self._next_ms and len(outputs.fates) > SMALL:
            return
        self._next_ms = now + PAUSE_MS
        for source, fates in fates_of(batch, outputs, at_ms=now).items():
            self._note(source, fates)


def fates_of(batch: Batch, outputs: Outputs, *, at_ms: int) -> Mapping[str, Sequence[Fated]]:
    """Return the fates of a batch's last events by source, oldest first; histories and ticks are not told."""
    reasons = {dead.row: dead.reason for dead in outputs.dead}
    found: dict[str, list[Fated]] = {}
    for row in range(max(outputs.first, len(batch) - SHOWN), len(batch)):
        fate = FATES[outputs.fates[row - outputs.first]]
        seen = None if fate is Fate.TICK else _read(batch.value(row))
        if seen is None or not seen.id or not seen.source.startswith("/sources/") or seen.importjob is not None:
            continue
        reason = reasons.get(row)
        fated = Fated(
            at=at_ms,
            id=seen.id,
            fate=fate.value,
            stage=Stage.SCORER,
            kind=seen.type.removeprefix("churn.").rpartition(".v")[0] or None,
            account=seen.subject,
            reason=reason,
            remedy=REMEDY[reason] if reason else _WORDS[fate],
        )
        found.setdefault(seen.source.removeprefix("/sources/"), []).append(fated)
    return found


def _read(value: bytes | None) -> _Seen | None:
    try:
        return _DECODER.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


_DECODER: Final = msgspec.json.Decoder(_Seen)
