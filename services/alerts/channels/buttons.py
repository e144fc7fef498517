"""Sign what a button stands for: a press can't be forged, nor be used for another alert."""

import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from services.alerts.core import words
from services.alerts.core.message import Message, clean

MILESTONE: Final = "milestone_"
"""Begins the action of each button that says a milestone is reached; its place follows."""
NAME_LENGTH: Final = 55
"""Slack takes 75 characters on a button."""


class Button(StrEnum):
    """What a person may press under an alert."""

    ACK = "ack"
    RIGHT = "right"
    NOT_A_RISK = "not_a_risk"


class Pressed(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"alert": "a", "account": "c", "seal": "s", "milestone": "m"},
):
    """The value of a button: which alert, whose, which milestone if it is about one, and the seal over all."""

    alert: str
    account: str
    seal: str
    milestone: str | None = None


class Buttons:
    """Make and check the values of buttons under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.sha256(b"churnwatch buttons\0" + secret).digest()

    def of(self, message: Message) -> Sequence[dict[str, Any]]:
        """Return the blocks of buttons under an alert: milestones that somebody may say are reached, and the alert.

        There is no acknowledging of what is over or acknowledged already.
        """
        shown: Sequence[Button] = [b for b in Button if b is not Button.ACK or message.can_be_acknowledged]
        value = self.value(message.alert, message.account_id)
        alert = _actions("alert", [_element(button, value) for button in shown])
        said = [self._milestone(message, place, name) for place, name in enumerate(message.assertable)]
        return [_actions("milestones", said), alert] if said else [alert]

    def value(self, alert: str, account: str, milestone: str | None = None) -> str:
        """Return the value of the buttons of an alert, or of the one about a milestone in it."""
        seal = self._seal(alert, account, milestone)
        return _ENCODER.encode(Pressed(alert=alert, account=account, seal=seal, milestone=milestone)).decode()

    def read(self, value: str) -> Pressed | None:
        """Return what a button stands for, None if we did not make it."""
        try:
            pressed = msgspec.json.decode(value, type=Pressed)
        except (msgspec.MsgspecError, RecursionError):
            return None
        seal = self._seal(pressed.alert, pressed.account, pressed.milestone)
        return pressed if hmac.compare_digest(pressed.seal.encode(), seal.encode()) else None

    def _milestone(self, message: Message, place: int, name: str) -> dict[str, Any]:
        shown = clean(name, NAME_LENGTH)
        asked = {
            "title": _plain(words.REACHED_TITLE),
            "text": _plain(words.REACHED_ASKED.format_map({"milestone": clean(name)})),
            "confirm": _plain(words.REACHED_YES),
            "deny": _plain(words.REACHED_NO),
        }
        return {
            "type": "button",
            "action_id": f"{MILESTONE}{place}",
            "text": _plain(words.REACHED.format_map({"milestone": shown})),
            "value": self.value(message.alert, message.account_id, name),
            "confirm": asked,
        }

    def _seal(self, alert: str, account: str, milestone: str | None) -> str:
        about = f"{alert}\0{account}" if milestone is None else f"{alert}\0{account}\0{milestone}"
        return hmac.digest(self._secret, about.encode(), "sha256")[:16].hex()


def _actions(name: str, elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "actions", "block_id": name, "elements": elements}


def _element(button: Button, value: str) -> dict[str, Any]:
    style = {"style": "primary"} if button is Button.ACK else {}
    text = _plain(words.BUTTON[button.value])
    return {"type": "button", "action_id": button.value, "text": text, "value": value, **style}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


_ENCODER: Final = msgspec.json.Encoder()
