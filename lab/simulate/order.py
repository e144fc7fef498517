"""Bring the events of all time zones into the order of time."""

import numpy as np

from lab.simulate.facts import Fact
from lab.simulate.usage import ACTIONS, Columns, joined


class Waiting:
    """Events that can't be told yet, because earlier ones may come from another place."""

    def __init__(self) -> None:
        self._events: list[Columns] = []
        self._facts: dict[int, Fact] = {}

    def add(self, events: Columns, facts: dict[int, Fact]) -> None:
        """Take the events of a day, `at` in epoch ms, and its facts by their `what`."""
        self._events.append(events)
        self._facts |= facts

    def before(self, until: int | None) -> tuple[Columns, dict[int, Fact]]:
        """Return in order of time what happens before a moment (None: everything), and forget it."""
        events = joined(self._events)
        now = events.take(np.argsort(events.at, kind="stable"))
        end = len(now) if until is None else int(np.searchsorted(now.at, until))
        ready, self._events = now.take(slice(None, end)), [now.take(slice(end, None))]
        told = ready.what[ready.what >= len(ACTIONS)].tolist()
        return ready, {what: self._facts.pop(what) for what in told}
