"""Keep the guards of sources: what the log of our partitions shows, said once in the context topic and in gauges."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from services.scorer import metrics
from services.scorer.core.absence import SAMPLED, Absence, together
from services.scorer.core.guard import Watch
from services.scorer.core.known import Known
from services.scorer.cores import State
from shared.contracts.context import LONGEST_HOLD, Guard, GuardState, source_in

log: Final = structlog.get_logger(__name__)


class Told(Protocol):
    """What guarding needs of the context topic."""

    @property
    def offset(self) -> int:
        """The last offset read."""

    def known_at(self, offset: int, partition: int) -> Known:
        """Return what is known at an offset in a partition."""

    async def tell(self, entry: Guard) -> None:
        """Append an entry and return when it has been read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """The accounts of our partitions, as a watch asks about them; of each partition the same share is looked at."""

    states: Collection[State]
    imported: int

    def accounts(self, source: str) -> int:
        """Return how many accounts a source feeds."""
        return sum(state.fed_by(source) for state in self.states)

    def lasts(self) -> Mapping[str, int]:
        """Return the latest presence through each source (epoch ms)."""
        found: dict[str, int] = {}
        for name, last in (pair for state in self.states for pair in state.lasts().items()):
            found[name] = max(found.get(name, last), last)
        return found

    def absence(self, source: str, *, ends: Mapping[str, int], until: int) -> Absence:
        """Say how much the accounts a source feeds are missed."""
        most = max(1, SAMPLED // len(self.states))
        return together([state.absence(source, ends=ends, until=until, most=most) for state in self.states])


@dataclass(slots=True, kw_only=True)
class Guarding:
    """The guards of one process; `watch` is told of every batch, `look` asks it once a second."""

    watch: Watch
    context: Told
    now_ms: Callable[[], int]
    _shown: frozenset[str] = frozenset()
    _ends: Mapping[int, int] = field(default_factory=dict)

    async def look(self, states: Mapping[int, State], ends: Mapping[int, int]) -> None:
        """Say which sources fell silent or came back; `ends` are the log ends of our partitions now.

        Silent is a source only if nothing is unread that lay in the log when this was asked last.
        """
        now = self.now_ms()
        standing = self._standing(states)
        self._show(standing, now=now)
        before, self._ends = self._ends, ends
        is_caught_up = all(
            partition in before and state.position >= before[partition] for partition, state in states.items()
        )
        for guard in self.watch.decide(
            now,
            partitions=states,
            held=standing,
            fed=Feeds(states=states.values(), imported=self._imported(states)),
        ):
            if is_caught_up or guard.state is GuardState.OVER:
                await self.context.tell(guard)
                metrics.GUARDS.labels(guard.state).inc()
                log.warning(
                    "source_guard",
                    source=guard.source,
                    name=guard.event,
                    state=guard.state,
                    accounts=guard.accounts,
                )

    def _imported(self, states: Mapping[int, State]) -> int:
        """Return when an import was heard of last (epoch ms), 0: never."""
        known = [self.context.known_at(self.context.offset, partition).imports for partition in states]
        return max((one.at for some in known for one in some.values()), default=0)

    def _standing(self, states: Mapping[int, State]) -> Mapping[str, Guard]:
        """Return the guards that some of our partitions were told of and that are not over, by key."""
        known = [self.context.known_at(self.context.offset, partition).guards for partition in states]
        return {key: guard for some in known for key, guard in some.items() if guard.state is GuardState.HELD}

    def _show(self, standing: Mapping[str, Guard], *, now: int) -> None:
        """Set the gauges of the sources whose rules are held, and count holds that ended before their source came."""
        held = {key for key, guard in standing.items() if now < guard.at + LONGEST_HOLD}
        metrics.HOLDS_EXPIRED.inc(len((self._shown - held) & standing.keys()))
        silent = held & {guard.source for guard in standing.values()}
        lost = Counter(standing[key].source for key in held - silent)
        for source in {source_in(key) for key in self._shown | held}:
            metrics.GUARDED.labels(source).set(source in silent)
            metrics.EVENTS_LOST.labels(source).set(lost[source])
        self._shown = frozenset(held)
