"""What a simulated vendor's log would show a watch, minute by minute, and what the watch makes of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from lab.simulate.population import population_of
from lab.simulate.run import simulate
from lab.simulate.usage import ACTIONS, NOBODY, apps_of
from lab.simulate.vendor import Ints, Vendor
from services.scorer.core.expected import Used
from services.scorer.core.guard import Watch
from services.scorer.core.step import Arrival
from shared.contracts.context import Guard, GuardState
from shared.contracts.events import Kind, source_of
from tests.support.log import MINUTE
from tests.support.outage import PATIENCE

PRESENCE: Final = (Kind.LOGIN, Kind.USAGE, Kind.OUTCOME)

Lost = Callable[[str, str, int], bool]
"""Say of an event whether it is lost: its source, its name and when it occurred."""


def guards_in(vendor: Vendor, *, lost: Lost = lambda *_: False) -> list[Guard]:
    """Return what a watch says of a vendor's life, looked at once a minute."""
    watch, held, said = Watch(PATIENCE), dict[str, Guard](), list[Guard]()
    for minute, arrived in _minutes(vendor, lost=lost):
        for guard in watch.decide(minute * MINUTE, partitions=[0], held=held, fed=lambda _: vendor.accounts):
            said.append(guard)
            if guard.state is GuardState.HELD:
                held[guard.key] = guard
            else:
                del held[guard.key]
        watch.note(arrived)
    return said


def _minutes(vendor: Vendor, *, lost: Lost) -> Iterator[tuple[int, Mapping[str, Arrival]]]:
    """Yield every minute in which something arrived, and what."""
    sources = [source_of(app) for app in apps_of(vendor)]
    for day in simulate(vendor, population_of(vendor)):
        events, minute = day.events, 0
        columns: list[Ints] = [events.at, events.account, events.user, events.what, events.app]
        counts, used, last = Counter[str](), dict[str, set[Used]](), dict[str, int]()
        for at, account, user, what, app in zip(*(column.tolist() for column in columns), strict=True):
            if what >= len(ACTIONS) or ACTIONS[what][0] not in PRESENCE:
                continue
            source, name = sources[app], ACTIONS[what][1] or "login"
            if lost(source, name, at):
                continue
            if at // MINUTE != minute:
                yield minute, {key: Arrival(counts[key], last[key], frozenset(used[key])) for key in counts}
                minute, counts, used = at // MINUTE, Counter(), {}
            counts[source] += 1
            last[source] = at
            used.setdefault(source, set()).add((account, name, user != NOBODY))
        yield minute, {key: Arrival(counts[key], last[key], frozenset(used[key])) for key in counts}
