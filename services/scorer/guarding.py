"""Keep the guards of sources: what the log of our partitions shows, said once in the context topic and in gauges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from services.scorer import metrics
from services.scorer.context import Context
from services.scorer.core.step import LONGEST_HOLD
from services.scorer.cores import State
from services.scorer.guard import Watch
from shared.contracts.context import Guard, GuardState

log: Final = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Guarding:
    """The guards of one process; `watch` is told of every batch, `look` asks it once a second."""

    watch: Watch
    context: Context
    now_ms: Callable[[], int]
    _shown: frozenset[str] = frozenset()
    _ends: Mapping[int, int] = field(default_factory=dict)

    async def look(self, states: Mapping[int, State], ends: Mapping[int, int]) -> None:
        """Say which sources fell silent or came back; `ends` are the log ends of our partitions now.

        Silent is a source only if nothing is unread that lay in the log when this was asked last.
        """
        now = self.now_ms()
        held = self._held(states, now=now)
        before, self._ends = self._ends, ends
        is_caught_up = all(
            partition in before and state.position >= before[partition] for partition, state in states.items()
        )
        for guard in self.watch.decide(
            now,
            partitions=states,
            held=held,
            fed=lambda source: sum(state.fed_by(source) for state in states.values()),
        ):
            if is_caught_up or guard.state is GuardState.OVER:
                await self.context.tell(guard)
                metrics.GUARDS.labels(guard.state).inc()
                log.warning("source_guard", source=guard.source, state=guard.state, accounts=guard.accounts)

    def _held(self, states: Mapping[int, State], *, now: int) -> Mapping[str, Guard]:
        """Return the guards in force in some of our partitions, by source, and show them."""
        known = [self.context.known_at(self.context.offset, partition).guards for partition in states]
        guards = {source: guard for some in known for source, guard in some.items() if guard.state is GuardState.HELD}
        held = {source: guard for source, guard in guards.items() if now < guard.at + LONGEST_HOLD}
        for source in self._shown - held.keys():
            metrics.GUARDED.labels(source).set(0)
            metrics.HOLDS_EXPIRED.inc(source in guards)
        for source in held:
            metrics.GUARDED.labels(source).set(1)
        self._shown = frozenset(held)
        return held
