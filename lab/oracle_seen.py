"""Remember ids as docs/scoring.md §1 says: in segments, each of one arrival hour, the oldest forgotten first."""

from collections.abc import Hashable
from dataclasses import dataclass, field

SEGMENT = 65_536
MOST_IDS = 1 << 20


@dataclass(slots=True)
class Segment:
    """Ids applied one after the other within an arrival hour."""

    hour: int
    ids: list[Hashable] = field(default_factory=list)


@dataclass(slots=True)
class Seen:
    """The segments of one partition, oldest first, and what they hold together."""

    segments: list[Segment] = field(default_factory=list)
    ids: set[Hashable] = field(default_factory=set)

    def forget_before(self, hour: int) -> None:
        while self.segments and self.segments[0].hour < hour:
            self.ids.difference_update(self.segments.pop(0).ids)

    def remember(self, identity: Hashable, *, hour: int) -> None:
        last = self.segments[-1] if self.segments else None
        if last is None or last.hour != hour or len(last.ids) == SEGMENT:
            while len(self.ids) > MOST_IDS - SEGMENT:
                self.ids.difference_update(self.segments.pop(0).ids)
            self.segments.append(Segment(hour))
        self.segments[-1].ids.append(identity)
        self.ids.add(identity)
