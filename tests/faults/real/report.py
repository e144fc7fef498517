"""Say what a run found: the table for people, the JSON for the record, the violations for the exit code."""

import json
import os
import platform
import statistics
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.server import ROOT
from tests.faults.real.nemesis import Injection
from tests.faults.real.supervisor import Ended


@dataclass(slots=True, kw_only=True)
class Injected:
    """A fault that was injected; times are epoch ms. `recovery_s` None: another came before it was over."""

    injection: Injection
    began: int
    healed: int
    recovery_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything a run found."""

    seed: int
    minutes: float
    injected: list[Injected] = field(default_factory=list)
    exits: list[Ended] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    fates: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    not_reached: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    blamed: Counter[str] = field(default_factory=Counter)
    """Differences by the label of the fault that was the last to begin before them."""

    @property
    def fates_sum(self) -> int:
        """Return how many records the scorers say they have scored."""
        return sum(self.fates.values())

    def blame(self, at: int) -> None:
        """Count a difference that is first seen at a moment (epoch ms)."""
        before = [one for one in self.injected if one.began <= at]
        self.blamed[before[-1].injection.label if before else "before any fault"] += 1

    def to_json(self) -> str:
        """Return the whole report."""
        return json.dumps(
            {
                "commit": _commit(),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "seed": self.seed,
                "minutes": self.minutes,
                "table": self._rows(),
                "points": dict(Counter(str(one.injection.point).partition(":")[0] for one in self._at_points())),
                "not_reached": self.not_reached,
                "exits": self._exits(),
                "counts": self.counts,
                "fates": self.fates,
                "seconds": self.seconds,
                "violations": self.violations,
                "faults": [_fault(one) for one in self.injected],
            },
            indent=1,
        )

    def table(self) -> str:
        """Return the table of faults, as the documentation shows it."""
        head = ("fault", "times", "differences", "recovery median s", "worst s")
        rows = [head, ("---",) * len(head), *(tuple(str(value) for value in row.values()) for row in self._rows())]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def summary(self) -> str:
        """Return the rest in a few lines."""
        lines = [
            f"commit {_commit()}, seed {self.seed}, {self.minutes:g} minutes, {len(self.injected)} faults",
            *(f"{name}: {_words(values)}" for name, values in (("counts", self.counts), ("fates", self.fates))),
            f"exits: {_words(self._exits())}",
            f"seconds: {_words(self.seconds)}",
            f"points not reached: {', '.join(self.not_reached) or 'none'}",
        ]
        return "\n".join(lines)

    def _at_points(self) -> Sequence[Injected]:
        return [one for one in self.injected if one.injection.point]

    def _exits(self) -> dict[str, int]:
        said = Counter(f"{_kind(end.service)} {end.code}{' by us' if end.by_us else ''}" for end in self.exits)
        return dict(sorted(said.items()))

    def _rows(self) -> list[dict[str, Any]]:
        rows = []
        for label in sorted({_label(one) for one in self.injected}):
            mine = [one for one in self.injected if _label(one) == label]
            took = [one.recovery_s for one in mine if one.recovery_s is not None]
            differences = sum(n for blamed, n in self.blamed.items() if blamed in {m.injection.label for m in mine})
            rows.append(
                {
                    "fault": label,
                    "times": len(mine),
                    "differences": differences,
                    "median_s": round(statistics.median(took), 1) if took else "–",
                    "worst_s": round(max(took), 1) if took else "–",
                }
            )
        return rows


def _label(one: Injected) -> str:
    return f"{one.injection.fault}: {_kind(one.injection.target)}"


def _kind(name: str) -> str:
    return name.partition("-")[0]


def _fault(one: Injected) -> dict[str, Any]:
    return {**asdict(one.injection), "began": one.began, "healed": one.healed, "recovery_s": one.recovery_s}


def _words(values: dict[str, Any]) -> str:
    return ", ".join(f"{value} {name}" for name, value in values.items())


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def write(report: Report, path: Path) -> None:
    """Write the JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.to_json() + "\n", "utf-8")
