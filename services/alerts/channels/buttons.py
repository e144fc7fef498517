"""Sign what a button stands for: a press can't be forged, nor be used for another alert."""

import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from services.alerts.core import words
from services.alerts.core.message import Message


class Button(StrEnum):
    """What a person may press under an alert."""

    ACK = "ack"
    RIGHT = "right"
    NOT_A_RISK = "not_a_risk"


class Pressed(msgspec.Struct, frozen=True, kw_only=True, rename={"alert": "a", "account": "c", "seal": "s"}):
    """The value of a button: which alert, whose, and the seal over both."""

    alert: str
    account: str
    seal: str


class Buttons:
    """Make and check the values of buttons under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.sha256(b"churnwatch buttons\0" + secret).digest()

    def of(self, message: Message) -> dict[str, Any]:
        """Return the block of buttons under an alert: no acknowledging of what is over or acknowledged already."""
        shown: Sequence[Button] = [b for b in Button if b is not Button.ACK or message.can_be_acknowledged]
        value = self.value(message.alert, message.account_id)
        return {"type": "actions", "block_id": "alert", "elements": [_element(button, value) for button in shown]}

    def value(self, alert: str, account: str) -> str:
        """Return the value of the buttons of an alert."""
        return _ENCODER.encode(Pressed(alert=alert, account=account, seal=self._seal(alert, account))).decode()

    def read(self, value: str) -> Pressed | None:
        """Return what a button stands for, None if we did not make it."""
        try:
            pressed = msgspec.json.decode(value, type=Pressed)
        except (msgspec.MsgspecError, RecursionError):
            return None
        is_ours = hmac.compare_digest(pressed.seal.encode(), self._seal(pressed.alert, pressed.account).encode())
        return pressed if is_ours else None

    def _seal(self, alert: str, account: str) -> str:
        return hmac.digest(self._secret, f"{alert}\0{account}".encode(), "sha256")[:16].hex()


def _element(button: Button, value: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": words.BUTTON[button.value], "emoji": False}
    style = {"style": "primary"} if button is Button.ACK else {}
    return {"type": "button", "action_id": button.value, "text": text, "value": value, **style}


_ENCODER: Final = msgspec.json.Encoder()
