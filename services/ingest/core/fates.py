"""Say in a few words what became of each item of a request, and what its sender can do about it."""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.ingest.core.admission import Admission
from services.ingest.core.item import Reason
from shared.contracts.recent import Fated, Stage

NO_ACCOUNT: Final = "no account: call group(userId, accountId)"


def fates_of(admission: Admission, *, at_ms: int, is_test: bool) -> Sequence[Fated]:
    """Return what became of the items of one request."""
    test = "test_" if is_test else ""
    return [
        *(
            Fated(
                at=at_ms,
                id=event.id,
                fate=f"{test}accepted",
                stage=Stage.INGEST,
                kind=_kind(event.type),
                name=_name(event.data),
                account=event.subject,
            )
            for event in admission.events
        ),
        *(
            Fated(
                at=at_ms,
                id=waiting.event.id,
                fate=f"{test}unattributed",
                stage=Stage.INGEST,
                kind=_kind(waiting.event.type),
                name=_name(waiting.event.data),
                remedy=NO_ACCOUNT,
            )
            for waiting in admission.waiting
        ),
        *(
            Fated(
                at=at_ms,
                id=rejection.id or f"#{number}",
                fate=f"{test}rejected",
                stage=Stage.INGEST,
                reason=rejection.reason,
                remedy=NO_ACCOUNT if rejection.reason is Reason.MISSING_ACCOUNT else rejection.remedy,
            )
            for number, rejection in enumerate(admission.rejected)
        ),
        *(
            Fated(
                at=at_ms,
                id=excluded.id or f"#{number}",
                fate="excluded",
                stage=Stage.INGEST,
                name=excluded.name,
                reason=excluded.reason,
                remedy=f"sources.yaml excludes {excluded.path}",
            )
            for number, excluded in enumerate(admission.excluded)
        ),
    ]


def _kind(type_: str) -> str:
    return type_.removeprefix("churn.").removesuffix(".v1")


def _name(data: msgspec.Raw) -> str | None:
    return msgspec.json.decode(data, type=_Named).name


class _Named(msgspec.Struct):
    name: str | None = None
