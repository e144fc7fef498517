"""The state of one partition: what its log up to an offset amounts to."""

from collections import Counter
from collections.abc import Mapping

from services.scorer.core.absence import Absence, absence
from services.scorer.core.activity import Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.episodes import Episodes
from services.scorer.core.erasure import Erasures
from services.scorer.core.facts import Facts
from services.scorer.core.fates import Fate
from services.scorer.core.imports import Imports
from services.scorer.core.medians import Medians
from services.scorer.core.seen import Seen


class Partition:
    """The state of one partition: a function of its log before `position`."""

    def __init__(self, *, partition: int, partitions: int, seed: int, generation: int) -> None:
        self.partition = partition
        self.partitions = partitions
        self.generation = generation
        self.seed = seed
        self.position = 0
        self.clock: int | None = None
        self.bundle: CompiledBundle | None = None
        """The bundle of the last tick that had one."""
        self.next_due: int | None = None
        """No account is due before this moment (epoch ms)."""
        self.pending = False
        """Whether a record other than a tick came since the last tick."""
        self.counts: Counter[str] = Counter({fate.value: 0 for fate in Fate})
        self.activity = Activity()
        self.facts = Facts()
        self.episodes = Episodes()
        self.seen = Seen()
        self.imports = Imports()
        self.erasures = Erasures()
        self.medians = Medians()
        self.guards: frozenset[str] = frozenset()
        """The keys of the guards in force at the last tick that had a bundle."""
        self.running: tuple[tuple[str, int], ...] = ()
        """The imports that ran at that tick, with when they were last heard (epoch ms)."""
        self.lapsed = 0
        """How many imports were given up because nothing was heard of them."""

    @classmethod
    def empty(cls, *, partition: int, partitions: int, seed: int, generation: int = 1) -> "Partition":
        """Return the state before the first record."""
        return cls(partition=partition, partitions=partitions, seed=seed, generation=generation)

    @property
    def accounts(self) -> int:
        """How many accounts are known."""
        return self.activity.accounts.count

    @property
    def is_replaying(self) -> bool:
        """Whether some accounts were restored from a later moment than `position`."""
        accounts = self.activity.accounts
        return bool((accounts["upto"][: accounts.count] >= self.position).any())

    @property
    def horizon_hours(self) -> int:
        """For how many hours an id is remembered at present."""
        return self.seen.horizon_hours

    def fed_by(self, source: str) -> int:
        """Return how many accounts a source feeds."""
        return int(self.activity.fed_by(source).sum())

    def lasts(self) -> Mapping[str, int]:
        """Return the latest presence through each source (epoch ms)."""
        return self.activity.lasts()

    def absence(self, source: str, *, ends: Mapping[str, int], until: int, most: int) -> Absence:
        """Say how much the accounts a source feeds are missed, looking at so many of them at most."""
        if self.bundle is None:
            return Absence()
        return absence(self.activity, source=source, ends=ends, until=until, calendars=self.bundle.calendars, most=most)
