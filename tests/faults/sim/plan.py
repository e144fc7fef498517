"""Divide schedules into pieces of work, and run them on every core until there are enough.

Exhaustive pieces come first: each family over each small case. Then random ones: longer logs, more crashes, any pace.
"""

import gc
import multiprocessing
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count, islice

from services.scorer.core import pack
from tests.faults.sim import cases
from tests.faults.sim.explore import FILLING, Case, Explorer, Found, Violation
from tests.faults.sim.quiet import simulated

FAMILIES = ("crashes", "failed_sends", "handovers", "poisons", "redis_downs", "redis_losses", "zombies")
SHOWN = 20
AT_ONCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Work for one process: a family over one case, named by its place or its seed."""

    family: str
    kind: str
    number: int
    columnar: bool = False


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run came to: schedules by family, and what was not as it must be."""

    schedules: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[Piece, Violation]] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def total(self) -> int:
        return self.schedules.total()

    def lines(self) -> Iterator[str]:
        """Yield the closing table."""
        for family, number in sorted(self.schedules.items()):
            yield f"{family:24} {number:>12,}"
        yield f"{'all':24} {self.total:>12,}   {self.total / max(self.cpu_s, 0.001):,.0f} a second of one core"
        yield f"{'violations':24} {len(self.violations):>12,}   {self.wall_s:,.0f} s"
        for piece, violation in self.violations[:SHOWN]:
            yield f"  {piece.family} {piece.kind} {piece.number}: {violation.case}: {violation.lives}"
            yield f"    {'; '.join(violation.found)}"


def exhaustive(*, columnar: bool = False) -> Iterator[Piece]:
    """Yield each family over each small case, the different ones first."""
    small, pairs = len(list(cases.small())), len(list(cases.pairs()))
    for number in range(small):
        for family in FAMILIES:
            yield Piece(family=family, kind="small", number=number, columnar=columnar)
            if number < pairs:
                yield Piece(family=family, kind="pair", number=number, columnar=columnar)


def drawn(seed: int, *, columnar: bool = False) -> Iterator[Piece]:
    """Yield random pieces for ever."""
    for number in count(seed * 1_000_003):
        yield Piece(family="chains", kind="drawn", number=number, columnar=columnar)
        yield Piece(family=FAMILIES[number % len(FAMILIES)], kind="drawn", number=number, columnar=columnar)


def case_of(piece: Piece) -> Case:
    """Return the case a piece is about."""
    if piece.kind == "drawn":
        case = cases.drawn(piece.number)
    else:
        found = cases.small() if piece.kind == "small" else cases.pairs()
        case = next(islice(found, piece.number, None))
    if piece.family in FILLING:
        case.pace = replace(case.pace, refill=True)
    if piece.family == "poisons":
        case = cases.poisoned(case, piece.number)
    return cases.by_columns(case) if piece.columnar else case


def run(piece: Piece, most: int) -> tuple[Piece, Found, float]:
    """Run a piece in this process, up to about `most` schedules; return how many seconds of a core it took."""
    began = time.process_time()
    found = Found()
    with simulated(), small_chunks():
        explorer = Explorer(case_of(piece), found, is_enough=lambda: found.total >= most)
        if piece.family == "chains":
            explorer.chains(piece.number)
        else:
            getattr(explorer, piece.family)()
    return piece, found, time.process_time() - began


class small_chunks:  # noqa: N801  reads like the context manager it is
    """Spread even small states of the columnar core over several chunks."""

    def __enter__(self) -> None:
        self._before = (pack.ACCOUNTS_A_CHUNK, pack.IDS_A_CHUNK)
        pack.ACCOUNTS_A_CHUNK, pack.IDS_A_CHUNK = 1, 2  # type: ignore[misc]

    def __exit__(self, *_: object) -> None:
        pack.ACCOUNTS_A_CHUNK, pack.IDS_A_CHUNK = self._before  # type: ignore[misc]


def simulate(
    schedules: int,
    *,
    seed: int,
    columnar: bool = False,
    piece_most: int = 10**9,
    cores: int = 2,
    say: Callable[[str], None] = lambda _line: None,
) -> Report:
    """Run pieces until so many schedules are done, or something is wrong in one; `piece_most` bounds each piece."""
    report, began = Report(), time.monotonic()
    pieces = chain(exhaustive(columnar=columnar), drawn(seed, columnar=columnar))
    said = began
    with multiprocessing.get_context("fork").Pool(cores, maxtasksperchild=50, initializer=_quiet) as pool:
        waiting = [pool.apply_async(run, (next(pieces), piece_most)) for _ in range(cores + 1)]
        while report.total < schedules and not report.violations:
            piece, found, cpu_s = waiting.pop(0).get()
            waiting.append(pool.apply_async(run, (next(pieces), piece_most)))
            name = "columnar: " if columnar else ""
            report.schedules.update({f"{name}{family}": number for family, number in found.schedules.items()})
            report.violations += [(piece, violation) for violation in found.violations]
            report.cpu_s += cpu_s
            report.wall_s = time.monotonic() - began
            if time.monotonic() - said > AT_ONCE_S:
                said = time.monotonic()
                say(f"{report.total:,} schedules, {len(report.violations)} violations, {report.wall_s:,.0f} s")
        pool.terminate()
    return report


def _quiet() -> None:
    gc.freeze()  # what was imported is never looked through again
    gc.set_threshold(20_000, 20, 100)
    warnings.simplefilter("ignore", RuntimeWarning)  # coroutines of a process that died before they began
