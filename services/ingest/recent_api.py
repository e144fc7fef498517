"""Show a product team the last events of its own key and what became of each, and how its accounts stand."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response
from redis.exceptions import RedisError

from services.ingest.answer import Refused
from services.ingest.api import Ingest, header_key
from shared.contracts.health import AccountHealth, Band
from shared.contracts.recent import Fated
from shared.keys import Scope


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How an account stands, as far as who sends its events needs to know; times are epoch ms."""

    account: str
    band: Band | None
    health: int | None = None
    evidence_days: int | None = None
    evidence_needed: int | None = None
    active_days: int | None = None
    active_days_needed: int | None = None
    last_activity: int | None = None
    silence_deadline: int | None = None


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """The last events of a source, newest first, and the accounts they were about."""

    source: str
    events: list[Fated]
    accounts: list[Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Where recent fates and healths are read."""

    last: Callable[[str], Awaitable[list[Fated]]]
    health: Callable[[str], Awaitable[AccountHealth | None]]


def router(ingest: Ingest, readers: Readers) -> APIRouter:
    """Return the one route."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/v1/events/recent")
    async def recent(request: Request) -> Response:
        """Return the last 100 events of the key's source; any key that sends may ask."""
        if not ingest.loaded():
            raise Refused(503, "not_ready", "keys are still being read from kafka", retry_after_s=2)
        key = ingest.find_key(header_key(request.headers) or "")
        if key is None:
            raise Refused(401, "unauthorized", "the write key is missing, unknown or revoked")
        if not {Scope.INGEST, Scope.IMPORT} & key.scopes:
            raise Refused(403, "forbidden", "this key sends nothing; use the one your product sends with")
        try:
            events = await readers.last(key.source)
            accounts = list(dict.fromkeys(one.account for one in events if one.account))
            standing = [_standing(account, await readers.health(account)) for account in accounts]
        except (RedisError, OSError) as fault:
            raise Refused(503, "unavailable", "recent events are kept in redis, which does not answer") from fault
        found = Recent(source=key.source, events=events, accounts=standing)
        return Response(msgspec.json.encode(found), media_type="application/json")

    return routes


def _standing(account: str, health: AccountHealth | None) -> Standing:
    if health is None:
        return Standing(account=account, band=None)
    known = {name: getattr(health, name) for name in Standing.__struct_fields__}
    return Standing(**known)
