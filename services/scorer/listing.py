"""Say when a partition that was taken is caught up: then its open episodes are listed, once."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic

from services.scorer.core.publish import Record
from services.scorer.core.step import Judged
from services.scorer.cores import S

ListOf = Callable[[S, Judged], Iterator[Record]]


class Listing(Generic[S]):
    """Which partitions of this process still owe a list, and up to where each must be read before."""

    def __init__(self, list_of: ListOf[S] | None = None) -> None:
        self._list_of = list_of
        self._owed: dict[int, int] = {}

    def taken(self, partition: int, *, end: int) -> None:
        """Note that a partition was taken when its log ended at `end`."""
        self._owed[partition] = end

    def caught_up(self, states: Mapping[int, S]) -> Mapping[int, S]:
        """Return the states that have passed the log end found when their partition was taken."""
        return {partition: state for partition, state in states.items() if partition not in self._owed}

    def due(self, state: S, judged: Judged | None) -> Iterator[Record] | None:
        """Return the list to publish with the batch that was just folded, None if it is not due.

        It is with the first tick at or after the log end at the taking: before it the state is one of the past, and of
        a restored one some accounts are ahead of the others.
        """
        end = self._owed.get(state.partition)
        if self._list_of is None or end is None or judged is None or judged.offset < end:
            return None
        del self._owed[state.partition]
        return self._list_of(state, judged)
