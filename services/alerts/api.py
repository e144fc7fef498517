"""Serve accounts and alerts over HTTP, and take acknowledgements, which are durable before they are answered."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Limited

from services.alerts.answer import Problem, Refused, answer, answers
from services.alerts.book import Book, NoticeBook
from services.alerts.core.alert import OPEN_STATES
from services.alerts.family_api import Family, tell_families
from services.alerts.milestones import Asserted, Milestones, take_assertions
from services.alerts.past_api import MOMENT, AccountChange, AccountThen, Past, tell_changes
from shared.contracts.alerts import Alert, AlertState, Command, CommandKind, Verdict
from shared.contracts.health import AccountHealth, Band
from shared.contracts.notices import Notice, NoticeKind
from shared.health_store import BadCursor, Filter, HealthStore, Point, Sort
from shared.keys import KeyRecord, Scope

MOST: Final = 500
MOST_NOTICES: Final = 50
"""A list may have a thousand accounts."""
INTERNAL: Final = frozenset({"positions", "forgotten", "earlier"})
AlertView = msgspec.defstruct(
    "AlertView",
    [(field.name, field.type) for field in msgspec.structs.fields(Alert) if field.name not in INTERNAL],
    kw_only=True,
)


class AccountDetail(AccountHealth, frozen=True, kw_only=True):
    """The health of an account with its history (changes and one point a day) and the id of its open alert."""

    history: list[Point]
    alert: str | None


class AccountPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some accounts, and what to pass as `cursor` for the next ones; null at the end."""

    accounts: list[AccountHealth]
    cursor: str | None


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some alerts, the last changed first, and what to pass as `cursor` for the next ones; null at the end."""

    alerts: list[AlertView]  # type: ignore[valid-type]  # made from Alert above
    cursor: str | None


class NoticePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some lists and incidents, the newest first, and what to pass as `cursor` for the next ones; null at the end."""

    notices: list[Notice]
    cursor: str | None


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is durable; it takes effect within seconds."""

    command: str
    alert: str


class Acknowledgement(BaseModel):
    """Who acknowledges, and what they say."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = Limited(None, max_length=200)
    text: str | None = Limited(None, max_length=1000)


class Judgement(Acknowledgement):
    """Whether an alert was right, who says so, and why."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What answering stands on, passed in by the composition root. `send` returns when a command is durable."""

    store: HealthStore
    past: Past
    book: Book
    notices: NoticeBook
    find_key: Callable[[str], KeyRecord | None]
    loaded: Callable[[], bool]
    send: Callable[[Command], Awaitable[None]]
    milestones: Milestones
    now_ms: Callable[[], int]
    new_id: Callable[[], str]


SCHEMAS: Final = (
    AccountPage,
    AccountDetail,
    AccountThen,
    AccountChange,
    Family,
    AlertPage,
    AlertView,
    NoticePage,
    Accepted,
    Asserted,
    Problem,
)


def router(api: Api) -> APIRouter:
    """Return the routes of the API."""
    routes = APIRouter(prefix="/v1")
    reads = Depends(_allowed(api, Scope.READ))

    @routes.get("/accounts", dependencies=[reads], responses=answers(AccountPage))
    async def list_accounts(
        band: Band | None = None,
        owner: Annotated[str | None, Query(max_length=320)] = None,
        segment: Annotated[str | None, Query(max_length=200)] = None,
        sort: Sort = Sort.HEALTH,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> Response:
        """List accounts: worst health first (`unknown` last), largest ARR first, or by name."""
        where = Filter(band=band, owner=owner, segment=segment)
        try:
            page = await api.store.page(where=where, sort=sort, limit=limit, cursor=cursor)
        except BadCursor as fault:
            raise Refused(400, "bad_cursor", str(fault)) from fault
        return answer(AccountPage(accounts=list(page.healths), cursor=page.cursor))

    tell_changes(api.past, routes, reads)
    tell_families(api.store, routes, reads, absent=lambda account: _absent(api, account))

    @routes.get(
        "/accounts/{account:path}",
        dependencies=[reads],
        responses=answers(AccountDetail, 404, 410, or_else=AccountThen),
    )
    async def get_account(
        account: str,
        as_of: Annotated[str | None, Query(max_length=40, description=f"What was known then. {MOMENT}")] = None,
    ) -> Response:
        """Return one account's health, contributions, open episodes, history and open alert.

        With `as_of` return what was published last at or before that moment, as it was then: within a point of the
        health of that moment, and at most a day older.
        """
        if as_of is not None:
            return Response(await api.past.then(account, as_of), media_type="application/json")
        health = await _health(api, account)
        alert = api.book.of(account)
        history = await api.store.history(account)
        known = msgspec.structs.asdict(health)
        return answer(AccountDetail(**known, history=history, alert=alert.id if alert else None))

    @routes.get("/alerts", dependencies=[reads], responses=answers(AlertPage))
    async def list_alerts(
        state: AlertState | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        """List the newest alert of every account, the last changed first."""
        alerts = api.book.page(state, after=_read_cursor(cursor), limit=limit)
        following = f"{alerts[-1].changed_at}.{alerts[-1].id}" if len(alerts) == limit else None
        return answer({"alerts": [_view(alert) for alert in alerts], "cursor": following})

    @routes.get("/alerts/{alert_id}", dependencies=[reads], responses=answers(AlertView, 404))
    async def get_alert(alert_id: str) -> Response:
        """Return one alert with its reasons and deliveries."""
        return answer(_view(_alert(api, alert_id)))

    @routes.get("/notices", dependencies=[reads], responses=answers(NoticePage))
    async def list_notices(
        kind: NoticeKind | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_NOTICES)] = 20,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        """List what was told that is no single account's alert: lists of an owner, and incidents."""
        notices = api.notices.page(kind, after=_read_cursor(cursor), limit=limit)
        following = f"{notices[-1].created_at}.{notices[-1].id}" if len(notices) == limit else None
        return answer(NoticePage(notices=list(notices), cursor=following))

    _take_commands(api, routes)
    take_assertions(
        api.milestones,
        routes,
        acts=Depends(_allowed(api, Scope.ACT)),
        known=lambda account: _health(api, account),
        now_ms=api.now_ms,
        new_id=api.new_id,
    )
    return routes


def _take_commands(api: Api, routes: APIRouter) -> None:
    """Add the routes on which people say something of an alert."""
    acts = _allowed(api, Scope.ACT)

    @routes.post("/alerts/{alert_id}/ack", status_code=202, responses=answers(Accepted, 404, 409, 413, status=202))
    async def acknowledge(
        alert_id: str,
        key: Annotated[KeyRecord, Depends(acts)],
        said: Annotated[Acknowledgement | None, Body()] = None,
        idempotency_key: Annotated[str | None, Header(min_length=8, max_length=64)] = None,
    ) -> Response:
        """Acknowledge an open alert. Repeating it is harmless."""
        alert = _alert(api, alert_id)
        if alert.state not in OPEN_STATES:
            raise Refused(409, "not_open", f"alert {alert_id} is {alert.state}")
        command = Command(
            id=idempotency_key or api.new_id(),
            kind=CommandKind.ACK,
            alert=alert.id,
            account=alert.account,
            by=(said.by if said else None) or f"key {key.id}",
            at=api.now_ms(),
            text=said.text if said else None,
        )
        await api.send(command)
        return answer(Accepted(command=command.id, alert=alert.id), status=202)

    @routes.post("/alerts/{alert_id}/verdict", status_code=202, responses=answers(Accepted, 404, 413, status=202))
    async def judge(
        alert_id: str,
        key: Annotated[KeyRecord, Depends(acts)],
        said: Annotated[Judgement, Body()],
        idempotency_key: Annotated[str | None, Header(min_length=8, max_length=64)] = None,
    ) -> Response:
        """Say whether an alert was right, also after it ended; the last word holds."""
        alert = _alert(api, alert_id)
        command = Command(
            id=idempotency_key or api.new_id(),
            kind=CommandKind.VERDICT,
            alert=alert.id,
            account=alert.account,
            by=said.by or f"key {key.id}",
            at=api.now_ms(),
            text=said.text,
            verdict=said.verdict,
        )
        await api.send(command)
        return answer(Accepted(command=command.id, alert=alert.id), status=202)


def _allowed(api: Api, scope: Scope) -> Callable[[Request], Awaitable[KeyRecord]]:
    async def allowed(request: Request) -> KeyRecord:
        if not api.loaded():
            raise Refused(503, "starting", "keys and alerts are still being read", retry_after_s=2)
        key = api.find_key(_presented(request.headers.get("authorization", "")))
        if key is None:
            raise Refused(401, "unauthorized", "no valid key: send it as a bearer token")
        if scope not in key.scopes:
            raise Refused(403, "scope", f"this key has no scope {scope.value!r}")
        return key

    return allowed


def _presented(authorization: str) -> str:
    """Return the key out of `Bearer <key>` or `Basic <key>:`, or nothing."""
    kind, _, rest = authorization.partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0]
        except (binascii.Error, ValueError):
            return ""
    return ""


async def _health(api: Api, account: str) -> AccountHealth:
    health = await api.store.get(account)
    if health is None:
        raise await _absent(api, account)
    return health


async def _absent(api: Api, account: str) -> Refused:
    """Return what to say of an account that Redis doesn't hold: unknown only if Redis is known to be complete."""
    if await api.store.is_filled(account):
        return Refused(404, "unknown_account", f"no account {account!r}")
    return Refused(503, "not_filled", "health is still being written; the account may exist", retry_after_s=5)


def _alert(api: Api, alert_id: str) -> Alert:
    alert = api.book.get(alert_id)
    if alert is None:
        raise Refused(404, "unknown_alert", f"no alert {alert_id!r}")
    return alert


def _view(alert: Alert) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(alert)
    return {name: value for name, value in values.items() if name not in INTERNAL}


def _read_cursor(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    at, _, alert_id = cursor.partition(".")
    if not at.isdigit() or not alert_id:
        raise Refused(400, "bad_cursor", "no listing gave this cursor")
    return int(at), alert_id
