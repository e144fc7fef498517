"""Press a button as Slack does: a signed form sent to the app's interactions URL."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from lab.slack_double.workspace import Said

TIMEOUT_S: Final = 3.0
"""Slack waits no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactivity:
    """Where presses go, and the secret they are signed with."""

    url: str
    secret: str

    async def press(self, message: Said, action_id: str, *, user: str, name: str) -> tuple[int, str]:
        """Press a button of a message as a person; return the app's answer: its status (0: none) and text."""
        element = next((e for e in _elements(message) if e.get("action_id") == action_id), None)
        if element is None:
            return 404, "the message has no such button"
        body = form(message, element, user=user, name=name)
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url, data=body, headers=signed(body, secret=self.secret)) as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as fault:
            return 0, f"no answer: {type(fault).__name__}"


def form(message: Said, element: Mapping[str, Any], *, user: str, name: str) -> bytes:
    """Return the body of a press, as Slack writes it."""
    action = {
        "type": "button",
        "action_id": element["action_id"],
        "block_id": "alert",
        "value": element.get("value", ""),
        "text": element["text"],
        "action_ts": f"{time.time():.6f}",
    }
    payload = {
        "type": "block_actions",
        "user": {"id": user, "name": name, "username": name, "team_id": "T1"},
        "team": {"id": "T1", "domain": "double"},
        "container": {"type": "message", "message_ts": message.ts, "channel_id": message.channel},
        "channel": {"id": message.channel, "name": "directmessage"},
        "message": {"ts": message.ts, "text": message.text},
        "actions": [action],
        "trigger_id": "1.2.3",
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def signed(body: bytes, *, secret: str, at: int | None = None) -> dict[str, str]:
    """Return the headers Slack sends with a body."""
    timestamp = str(int(time.time()) if at is None else at)
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def _elements(message: Said) -> list[dict[str, Any]]:
    return [element for block in message.blocks if block.get("type") == "actions" for element in block["elements"]]
