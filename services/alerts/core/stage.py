"""Know whom the journey names for the stage of an account: its contact and channel, where alerts may go."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

import msgspec

from shared.contracts.alerts import Alert, Reason
from shared.contracts.fault import Fault
from shared.contracts.journey import Unmet

STAGE_CONTACT: Final = "stage_contact"
"""As a target: whom the journey names for the account's stage, or else the owner."""
STAGE_CHANNEL: Final = "stage_channel"
"""As a target in Slack: the channel that the journey names for the account's stage, if any."""
SHORTEST_ID: Final = 9


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask about a stage, a mail address, and where: a Slack channel. Nothing else can be told anything."""

    contact: str | None = None
    channel: str | None = None


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """What config/journey.yaml says of whom to ask; everything else in it is for the scorer."""

    stages: list[Asked] = []


def asked_by(alert: Alert) -> Asked:
    """Return whom the account's stage names, by the strongest reason that lacks one of its milestones."""
    lacked = next(unmet((*alert.reasons, *alert.ended)), None)
    contact, channel = (lacked.contact, lacked.channel) if lacked else (None, None)
    return Asked(
        contact=contact if contact and is_address(contact) else None,
        channel=channel if channel and is_channel(channel) else None,
    )


def unmet(reasons: Iterable[Reason]) -> Iterator[Unmet]:
    """Yield the milestones that reasons are about, with what they lack."""
    for reason in reasons:
        for evidence in reason.evidence:
            yield from evidence.unmet or ()


def faults_of(journey: Journey, *, targets: Collection[str], is_staff: Callable[[str], bool]) -> Iterator[Fault]:
    """Yield whom and where no alert can go, though receivers in routes.yaml name these `targets`."""
    for place, stage in enumerate(journey.stages):
        contact, channel = stage.contact, stage.channel
        if STAGE_CONTACT in targets and contact is not None and not (is_address(contact) and is_staff(contact)):
            words = f"{contact!r} is nobody in people.yaml, nor an address of its domains"
            yield Fault(("stages", place, "contact"), f"{words}; routes.yaml sends alerts there ({STAGE_CONTACT})")
        if STAGE_CHANNEL in targets and channel is not None and not is_channel(channel):
            words = f"{channel!r} is no Slack channel, like #name or an id"
            yield Fault(("stages", place, "channel"), f"{words}; routes.yaml sends alerts there ({STAGE_CHANNEL})")


def is_address(text: str) -> bool:
    """Return whether a text can be a mail address."""
    return text.count("@") == 1 and not text.startswith("@")


def is_channel(text: str) -> bool:
    """Return whether a text can name a Slack channel: `#name`, or an id."""
    is_id = len(text) >= SHORTEST_ID and text[0] in "CG" and text.isalnum() and text.upper() == text
    return (text.startswith("#") and len(text) > 1) or is_id
