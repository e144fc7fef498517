"""Define what a tick knows beside its partition's log: the entries of `churn.context.v1` up to the offset it names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.scorer.core.bundle import CompiledBundle
from shared.contracts.context import Guard, Import, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The last entry of each thing: the bundle, imports by job, guards by key (those that name the partition).

    `summaries` are those of every partition, by its number; `core.summary.median_of` reads them.
    """

    bundle: CompiledBundle | None = None
    imports: Mapping[str, Import] = field(default_factory=dict)
    guards: Mapping[str, Guard] = field(default_factory=dict)
    summaries: Mapping[int, Summary] = field(default_factory=dict)


KnownAt = Callable[[int, int], Known]
"""Return what is known at an offset of `churn.context.v1` in a partition (docs/scoring.md §2)."""
