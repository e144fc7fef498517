"""Say of the simulated customers who left whom an alert would have named before, and how early.

Judged by a replay of the history through the scorer's own core, a tick a day, against the truth the simulator tells.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from lab.demo.vendor import Account, Past
from shared.contracts.risk import ENDS, Change, Severity, Transition

DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leavers:
    """Of `left` customers `named` had an open alert when they left, the median one for `days` (None: none had)."""

    left: int
    named: int
    days: float | None


def leavers_of(past: Past, transitions: Iterable[Transition]) -> Leavers:
    """Compare what a replay of a past would have opened with the truth."""
    by_account: dict[str, list[Transition]] = {}
    for transition in transitions:
        by_account.setdefault(transition.account, []).append(transition)
    leavers = [account for account in past.accounts.values() if account.left_at is not None]
    leads = [lead for a in leavers if (lead := _lead(a, by_account.get(a.account, []))) is not None]
    days = round(median(leads) / DAY, 1) if leads else None
    return Leavers(left=len(leavers), named=len(leads), days=days)


def _lead(account: Account, transitions: Sequence[Transition]) -> int | None:
    """Return for how long (ms) an alert was open when the account left; None if none was."""
    left = account.left_at or 0
    opened: dict[str, int] = {}
    for transition in transitions:
        if transition.at > left:
            break
        if transition.change is Change.OPENED and transition.severity is not Severity.OPPORTUNITY:
            opened[transition.episode] = transition.at
        elif transition.change in ENDS:
            opened.pop(transition.episode, None)
    return left - min(opened.values()) if opened else None
