"""Say what every way to reach a person must do, and how it may fail.

ChannelProblem     a call did not do what it should
├── Refused        no repetition helps; `person` when the target is nobody the provider knows
├── Busy           the provider asks to wait; nothing arrived
├── Broken         a repetition may help; nothing arrived
└── Doubtful       it may have arrived: look it up before repeating it
"""

from dataclasses import dataclass
from typing import Protocol

from services.alerts.core.message import Message
from services.alerts.core.notice_message import NoticeMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One call to make: tell a message, as it is at a revision, to a target.

    `handle` names the message told before, if any. `reply` asks for a note under it that mentions the person.
    `doubtful`: an earlier call like this may have arrived, at or after `since` (epoch ms).
    """

    message: Message | NoticeMessage
    revision: int
    target: str
    handle: str | None
    reply: bool
    doubtful: bool
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What came of an order: how the provider names the message, and whether it had arrived before."""

    handle: str
    found: bool = False


class Channel(Protocol):
    """A way to reach people."""

    async def tell(self, order: Order) -> Receipt:
        """Carry out an order, or raise a ChannelProblem."""
        ...


class ChannelProblem(Exception):
    """A call did not do what it should."""


class Refused(ChannelProblem):
    """No repetition helps."""

    def __init__(self, reason: str, *, person: bool = False) -> None:
        super().__init__(reason)
        self.person = person


class Busy(ChannelProblem):
    """The provider asks to wait."""

    def __init__(self, reason: str, *, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Broken(ChannelProblem):
    """Nothing arrived; a repetition may help."""


class Doubtful(ChannelProblem):
    """It may have arrived."""
