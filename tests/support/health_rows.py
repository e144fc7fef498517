"""Make rows for the health store."""

from typing import Final

import msgspec

from shared.contracts.health import AccountHealth, Attributes, Band
from shared.health_store import HealthRow

DAY_MS: Final = 86_400_000


def health_of(account: str, health: int | None, band: Band, attributes: Attributes, at: int) -> AccountHealth:
    return AccountHealth(
        account=account,
        at=at,
        partition=0,
        offset=0,
        generation=1,
        bundle="b_0",
        health=health,
        band=band,
        evidence_days=0,
        evidence_needed=0,
        active_days=0,
        active_days_needed=0,
        last_activity=None,
        silence_deadline=None,
        contributions=[],
        episodes=[],
        attributes=attributes,
    )


def row(
    account: str, health: int | None = 50_000, band: Band = Band.WATCH, *, at: int = DAY_MS, **attributes: object
) -> HealthRow:
    known = msgspec.convert(attributes, Attributes)
    return HealthRow(
        account=account,
        payload=msgspec.json.encode(health_of(account, health, band, known, at)),
        health=health,
        band=band,
        at=at,
        owner=known.owner,
        segment=known.segment,
        arr=known.arr,
        name=known.name,
        parent=known.parent,
    )


def removal(account: str, *, at: int) -> HealthRow:
    return HealthRow(account, b"", None, Band.UNKNOWN, at, erased=at)
