"""Take one account out of a partition's state and go on with it alone: through the scorer's own core, tick by tick."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from lab.lines import batch_of_lines
from lab.trouble import Trouble
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.regroup import regroup
from services.scorer.core.seen import Seen
from services.scorer.core.step import last_healths, step
from services.scorer.core.view import View
from shared.contracts.context import LONGEST_HOLD, GuardState
from shared.contracts.events import tick_record
from shared.contracts.health import AccountHealth

_ONLY: Final = 0
"""The row of the account in a state that has no other."""


class Alone:
    """An account as it stands, and what is known beside its log; nothing said here ever leaves the process."""

    def __init__(self, state: Partition, known: Known) -> None:
        self._state = state
        self.known = known

    @property
    def clock(self) -> int:
        """The last tick's T (epoch ms)."""
        return self._state.clock or 0

    @property
    def next_at(self) -> int:
        """When it is judged next if nothing happens: its next day, its silence deadline, or the end of a guard."""
        due = int(self._state.activity.accounts["due"][_ONLY])
        ends = [g.at + LONGEST_HOLD for g in self.known.guards.values() if g.state is GuardState.HELD]
        return min([due, *(end for end in ends if end > self.clock)])

    @property
    def bundle(self) -> CompiledBundle:
        """The configuration in force."""
        if self._state.bundle is None:
            raise Trouble("the scorer judged nothing yet: no tick of it named a configuration")
        return self._state.bundle

    def unused(self) -> list[str]:
        """Return the key features that nobody of the account used in the last 28 days, as configured."""
        names = self.bundle.scorecard.key_features
        at = np.array([self.clock])
        view = View(at, rows=np.array([_ONLY]), activity=self._state.activity, bundle=self.bundle)
        return [name for name in names if not view.used(name, days=28)[0]]

    def copy(self) -> "Alone":
        """Return the same account once more."""
        return Alone(_taken(self._state, row=_ONLY), self.known)

    def now(self, at: int | None = None) -> AccountHealth:
        """Return how it stands at a moment, right after the last tick unless said: judged where due, else as published.

        Raises Trouble where nothing is published of it.
        """
        judged = self.go_on(self.clock + 1 if at is None else at)
        if judged is None:
            payloads = [row.payload for rows in last_healths(self._state) for row in rows if row.payload]
            if not payloads:
                raise Trouble("its history is being imported, or it was erased: nothing can be told of it")
            judged = _read(payloads[0])
        return judged

    def go_on(self, at: int, *, events: Sequence[bytes] = ()) -> AccountHealth | None:
        """Apply events that came until a tick at `at`, and return what is published of it then, None where nothing is.

        Raises Trouble for events that the scorer would refuse.
        """
        lines = [*events, tick_record(at, context=0)]
        batch = batch_of_lines(lines, first=self._state.position, times=np.full(len(lines), at, np.int64))
        outputs = step(self._state, batch, known_at=lambda _context, _partition: self.known)
        for dead in outputs.dead:
            raise Trouble(f"the scorer refuses {lines[dead.row].decode()}: {dead.detail}")
        payloads = [row.payload for row in outputs.healths if row.payload]
        return _read(payloads[-1]) if payloads else None


def alone(state: Partition, account: str, *, known: Known) -> Alone:
    """Return an account of a partition by itself; the partition stays as it is. Raises Trouble for an unknown one."""
    names = state.activity.names.texts(np.arange(state.accounts))
    if account.encode() not in names:
        raise Trouble(f"no account {account!r}: events name it differently, or none was applied yet")
    return Alone(_taken(state, row=names.index(account.encode())), known)


def _taken(state: Partition, *, row: int) -> Partition:
    homes = np.full(state.accounts, -1, np.int64)
    homes[row] = 0
    new = Partition.empty(partition=0, partitions=1, seed=state.seed, generation=state.generation)
    regroup([(state, homes)], new=new, seeds=0)
    new.seen = Seen()  # what is made up here has ids of its own
    return new


def _read(payload: bytes) -> AccountHealth:
    return msgspec.json.decode(payload, type=AccountHealth)
