"""Take what people press in Slack: checked, durable as a command, and only then answered."""

import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response
from redis.asyncio import Redis
from redis.exceptions import RedisError
from slack_bolt.adapter.fastapi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.signature import SignatureVerifier

from services.alerts.answer import Refused
from services.alerts.channels.buttons import MILESTONE, Button, Buttons, Pressed
from services.alerts.core.alert import OPEN_STATES
from services.alerts.core.milestone import Word
from shared.contracts.alerts import Alert, Command, CommandKind, Verdict

REMEMBERED_S: Final = 600
"""Twice as long as a signature is good for."""
MOST_DIGITS: Final = 12
"""Of a time in seconds; the verifier fails over a number larger than any."""
_KIND_OF: Final = {
    Button.ACK: (CommandKind.ACK, None),
    Button.RIGHT: (CommandKind.VERDICT, Verdict.RIGHT),
    Button.NOT_A_RISK: (CommandKind.VERDICT, Verdict.NOT_A_RISK),
}


@dataclass(slots=True, kw_only=True)
class Seen:
    """Signatures of requests taken lately, here and by the other replicas: a request counts once."""

    redis: Redis
    now_s: Callable[[], float] = time.monotonic
    _here: dict[str, float] = field(default_factory=dict)

    async def is_new(self, signature: str) -> bool:
        """Return whether a signature comes for the first time, and remember it. With Redis away only we remember."""
        name, now = hashlib.sha256(signature.encode()).hexdigest(), self.now_s()
        self._here = {known: at for known, at in self._here.items() if now - at < REMEMBERED_S}
        if name in self._here:
            return False
        self._here[name] = now
        try:
            return bool(await self.redis.set(f"churn:slack:seen:{name}", b"1", nx=True, ex=REMEMBERED_S))
        except (RedisError, OSError):
            return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """What taking presses stands on.

    `send` and `take` return when a command or a word is durable and raise Refused otherwise, as `find` does as long
    as alerts are still being read.
    """

    signing_secret: str
    buttons: Buttons
    seen: Seen
    send: Callable[[Command], Awaitable[None]]
    take: Callable[[Word], Awaitable[object]]
    find: Callable[[str], Alert | None]
    now_ms: Callable[[], int]


def router(interactions: Interactions) -> APIRouter:
    """Return the one route, for `request_url` of Slack's interactivity."""
    routes = APIRouter(include_in_schema=False)
    handler = AsyncSlackRequestHandler(_bolt(interactions))
    verifier = SignatureVerifier(interactions.signing_secret)

    @routes.post("/slack/interactions")
    async def interact(request: Request) -> Response:
        body = await request.body()
        signature = request.headers.get("x-slack-signature", "")
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        is_readable = timestamp.isdecimal() and timestamp.isascii() and len(timestamp) <= MOST_DIGITS
        if not is_readable or not signature.isascii() or not verifier.is_valid(body, timestamp, signature):
            raise Refused(401, "unauthorized", "the request is not signed by this workspace's Slack, or it is too old")
        if not await interactions.seen.is_new(signature):
            raise Refused(401, "repeated", "this request was taken before")
        if not _is_interaction(body):
            raise Refused(400, "malformed", "the body is no interaction of Slack's")
        return await handler.handle(request)

    return routes


def _bolt(interactions: Interactions) -> AsyncApp:
    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id)  # nothing is called in Slack's name here

    app = AsyncApp(signing_secret=interactions.signing_secret, authorize=authorize, process_before_response=True)
    for button in Button:
        app.action(button.value)(_pressed(interactions, button))
    app.action(re.compile(rf"{MILESTONE}\d+"))(_asserted(interactions))

    @app.error
    async def failed(error: Exception) -> BoltResponse:
        if not isinstance(error, Refused):
            raise error
        return BoltResponse(status=error.status, body=error.message)

    return app


def _is_interaction(body: bytes) -> bool:
    said = parse_qs(body.decode("utf-8", "replace")).get("payload", [""])[0]
    try:
        return isinstance(msgspec.json.decode(said), dict)
    except (msgspec.MsgspecError, RecursionError):
        return False


def _pressed(interactions: Interactions, button: Button) -> Callable[..., Awaitable[None]]:
    async def pressed(ack: Callable[[], Awaitable[None]], action: dict[str, Any], body: dict[str, Any]) -> None:
        known = _read(interactions, action)
        kind, verdict = _KIND_OF[button]
        command = Command(
            id=f"slack_{action.get('action_ts')}_{(body.get('user') or {}).get('id')}_{button}",
            kind=kind,
            alert=known.alert,
            account=known.account,
            by=_person(body),
            at=interactions.now_ms(),
            verdict=verdict,
        )
        await interactions.send(command)
        structlog.get_logger(__name__).info("button_pressed", button=button, alert=known.alert)
        await ack()

    return pressed


def _asserted(interactions: Interactions) -> Callable[..., Awaitable[None]]:
    async def asserted(ack: Callable[[], Awaitable[None]], action: dict[str, Any], body: dict[str, Any]) -> None:
        """Take a word. Whoever presses again, or the same button beside another, says the same: it counts once."""
        known = _read(interactions, action)
        if known.milestone is None:
            raise Refused(403, "forbidden", "this button is about no milestone")
        alert = interactions.find(known.alert)
        if alert is None:
            raise Refused(404, "unknown_alert", "there is no such alert any more")
        if alert.state in OPEN_STATES:  # what is over needs nobody's word, and an erased account must get none
            word = Word(
                account=known.account,
                milestone=known.milestone,
                by=_person(body),
                at=interactions.now_ms(),
                once=known.alert,
            )
            await interactions.take(word)
        structlog.get_logger(__name__).info(
            "milestone_asserted", alert=known.alert, was_open=alert.state in OPEN_STATES
        )
        await ack()

    return asserted


def _read(interactions: Interactions, action: dict[str, Any]) -> Pressed:
    known = interactions.buttons.read(str(action.get("value", "")))
    if known is None:
        raise Refused(403, "forbidden", "no message of ours has this button")
    return known


def _person(body: dict[str, Any]) -> str:
    user = body.get("user") or {}
    return str(user.get("name") or user.get("username") or user.get("id") or "somebody in Slack")[:200]
