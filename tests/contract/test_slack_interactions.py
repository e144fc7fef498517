"""A press in Slack counts once, if Slack signed it lately and the button is one of ours."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from msgspec.structs import replace
from redis.asyncio import Redis

from lab.slack_double.press import form, signed
from lab.slack_double.workspace import Said
from services.alerts.answer import Refused, install_errors
from services.alerts.channels.buttons import Buttons
from services.alerts.core.alert import Position, fold
from services.alerts.core.milestone import Word, event_of
from services.alerts.interactions import Interactions, Seen, router
from shared.contracts.alerts import Alert, AlertState, Command, CommandKind, Verdict
from tests.support.risk import transition

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BUTTONS = Buttons(SECRET.encode())
MESSAGE = Said(channel="D1", ts="1.000001", text="Acme", blocks=[], metadata={}, thread_ts=None, posted_at=1.0)


class Desk:
    """The route over a Redis that is away, and what it sent."""

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.words: list[Word] = []
        opened = fold(None, transition(), position=Position(topic="r", partition=0, offset=0)).alert
        assert opened is not None
        self.alerts: dict[str, Alert] = {"ep_1": opened}
        self.fault: Refused | None = None
        redis: Redis = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
        interactions = Interactions(
            signing_secret=SECRET,
            buttons=BUTTONS,
            seen=Seen(redis=redis),
            send=self._send,
            take=self._take,
            find=self.alerts.get,
            now_ms=lambda: 5,
        )
        self.app = FastAPI()
        install_errors(self.app)
        self.app.include_router(router(interactions))

    async def post(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://alerts") as client:
            return await client.post("/slack/interactions", content=body, headers=_encoded(headers))

    async def _send(self, command: Command) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent.append(command)

    async def _take(self, word: Word) -> None:
        if self.fault is not None:
            raise self.fault
        self.words.append(word)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def press(action: str = "ack", *, value: str | None = None) -> bytes:
    element: dict[str, Any] = {
        "action_id": action,
        "text": {"type": "plain_text", "text": action},
        "value": BUTTONS.value("ep_1", "acme") if value is None else value,
    }
    return form(MESSAGE, element, user="U1", name="Dana")


@pytest.mark.parametrize(
    ("action", "kind", "verdict"),
    [
        ("ack", CommandKind.ACK, None),
        ("right", CommandKind.VERDICT, Verdict.RIGHT),
        ("not_a_risk", CommandKind.VERDICT, Verdict.NOT_A_RISK),
    ],
)
async def test_a_press_becomes_a_command(desk: Desk, action: str, kind: CommandKind, verdict: Verdict | None) -> None:
    body = press(action)
    answer = await desk.post(body, signed(body, secret=SECRET))
    assert (answer.status_code, answer.text) == (200, "")
    (command,) = desk.sent
    assert (command.kind, command.verdict, command.alert, command.account, command.by) == (
        kind,
        verdict,
        "ep_1",
        "acme",
        "Dana",
    )
    assert command.id.startswith("slack_")


async def test_a_request_taken_once_is_not_taken_again(desk: Desk) -> None:
    body = press()
    headers = signed(body, secret=SECRET)
    assert (await desk.post(body, headers)).status_code == 200
    assert (await desk.post(body, headers)).status_code == 401
    assert len(desk.sent) == 1


@pytest.mark.parametrize("wrong", ["secret", "old", "future", "body", "timestamp", "digits", "none", "signature"])
async def test_what_slack_did_not_sign_lately_is_refused(desk: Desk, wrong: str) -> None:
    body, now = press(), int(time.time())
    at = {"old": now - 301, "future": now + 301}.get(wrong, now)
    headers = signed(body, secret="another" if wrong == "secret" else SECRET, at=at)
    match wrong:
        case "body":
            body = body.replace(b"Dana", b"Dave")
        case "timestamp":
            headers["X-Slack-Request-Timestamp"] = "soon"
        case "digits":
            headers["X-Slack-Request-Timestamp"] = "9" * 400
        case "none":
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
        case "signature":
            headers["X-Slack-Signature"] = headers["X-Slack-Signature"][:-1] + "é"
    answer = await desk.post(body, headers)
    assert answer.status_code == 401, answer.text
    assert desk.sent == []


@pytest.mark.parametrize(
    "value", ["", "{}", BUTTONS.value("ep_1", "acme").replace("ep_1", "ep_2"), Buttons(b"x" * 16).value("ep_1", "acme")]
)
async def test_a_button_that_is_not_ours_does_nothing(desk: Desk, value: str) -> None:
    body = press(value=value)
    answer = await desk.post(body, signed(body, secret=SECRET))
    assert answer.status_code == 403
    assert desk.sent == []


async def test_a_milestone_pressed_twice_is_one_word(desk: Desk) -> None:
    value = BUTTONS.value("ep_1", "acme", "kick-off held")
    for _ in range(2):  # a double click: two requests of Slack's
        body = press("milestone_0", value=value)
        answer = await desk.post(body, signed(body, secret=SECRET))
        assert (answer.status_code, answer.text) == (200, "")
    first, second = desk.words
    assert (first.account, first.milestone, first.by, first.at) == ("acme", "kick-off held", "Dana", 5)
    assert event_of(first).id == event_of(second).id
    assert desk.sent == []


async def test_a_milestone_of_an_alert_that_is_over_needs_no_word(desk: Desk) -> None:
    body = press("milestone_1", value=BUTTONS.value("ep_1", "acme", "live"))
    desk.alerts["ep_1"] = replace(desk.alerts["ep_1"], state=AlertState.RESOLVED)
    assert (await desk.post(body, signed(body, secret=SECRET))).status_code == 200
    gone = press("milestone_1", value=BUTTONS.value("ep_2", "acme", "live"))
    assert (await desk.post(gone, signed(gone, secret=SECRET))).status_code == 404
    assert desk.words == []


@pytest.mark.parametrize(
    "value",
    [
        BUTTONS.value("ep_1", "acme"),
        BUTTONS.value("ep_1", "acme", "live").replace("live", "else"),
        BUTTONS.value("ep_1", "acme", "live").replace('"m":"live"', '"m":null'),
    ],
)
async def test_a_button_says_only_the_milestone_it_was_made_for(desk: Desk, value: str) -> None:
    body = press("milestone_0", value=value)
    assert (await desk.post(body, signed(body, secret=SECRET))).status_code == 403
    assert desk.words == []


async def test_a_word_that_is_not_durable_is_not_answered_as_if_it_were(desk: Desk) -> None:
    desk.fault = Refused(503, "unavailable", "not durable; repeat it", retry_after_s=5)
    body = press("milestone_0", value=BUTTONS.value("ep_1", "acme", "live"))
    assert (await desk.post(body, signed(body, secret=SECRET))).status_code == 503


async def test_a_press_that_is_not_durable_is_not_answered_as_if_it_were(desk: Desk) -> None:
    desk.fault = Refused(503, "unavailable", "not durable; repeat it", retry_after_s=5)
    body = press()
    assert (await desk.post(body, signed(body, secret=SECRET))).status_code == 503


async def test_an_action_nobody_knows_is_no_fault_of_ours(desk: Desk) -> None:
    body = press("snooze")
    assert (await desk.post(body, signed(body, secret=SECRET))).status_code == 404
    odd = urlencode({"payload": json.dumps([])}).encode()
    assert (await desk.post(odd, signed(odd, secret=SECRET))).status_code < 500
    assert desk.sent == []
