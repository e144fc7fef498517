"""Make of somebody's word that a milestone is reached the event that it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.contracts.events import Event, Kind, Milestone, derived_id, type_of, wire_time
from shared.contracts.journey import Journey, MilestoneState

SOURCE: Final = "/alerts"
"""No app's: theirs are `/sources/<name>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Who says at `at` (epoch ms) of which milestone of an account that it is reached.

    The same word said again has the same `once`; of another account or milestone it is another word all the same.
    """

    account: str
    milestone: str
    by: str
    at: int
    once: str
    text: str | None = None


def event_of(word: Word) -> Event:
    """Return the event; its id is the same for the same word, whenever it is said again and by whom."""
    at = wire_time(word.at)
    return Event(
        id=derived_id(SOURCE, msgspec.json.encode([word.account, word.milestone, word.once])),
        source=SOURCE,
        type=type_of(Kind.MILESTONE),
        subject=word.account,
        time=at,
        receivedat=at,
        data=msgspec.Raw(msgspec.json.encode(Milestone(name=word.milestone, by=word.by, text=word.text))),
    )


def has(journey: Journey | None, milestone: str) -> bool:
    """Return whether a journey has a milestone where it stands now, reached or not."""
    return journey is not None and any(one.name == milestone for one in journey.milestones)


def open_names(journey: Journey | None) -> Sequence[str]:
    """Return the milestones that are still to be reached."""
    known = journey.milestones if journey else ()
    return [one.name for one in known if one.state is not MilestoneState.MET]
