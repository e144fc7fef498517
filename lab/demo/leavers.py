"""Say of the simulated customers who left whom an alert would have named before, how early, and who was named in vain.

Judged by a replay of the history through the scorer's own core, a tick a day, against the truth the simulator tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from lab.demo.vendor import Account, Past
from lab.simulate.stories import Story
from shared.contracts.risk import ENDS, Change, Severity, Transition

DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leavers:
    """Who was named: of `left` customers `named` had an open alert when they left.

    `days` is for how many days that of the median one was open, None if none had one. `pressed` of them left while
    something made them likelier to leave, and `foreseen` of these are among the named; the others left out of the
    blue. Of those who stayed `steady` were never pressed, and `disturbed` of these had an alert all the same. By story
    under way when they left, `stories` says how many left and how many of them were named.
    """

    left: int
    named: int
    days: float | None
    pressed: int
    foreseen: int
    steady: int
    disturbed: int
    stories: Mapping[Story, tuple[int, int]]


def leavers_of(past: Past, transitions: Iterable[Transition]) -> Leavers:
    """Compare what a replay of a past would have opened with the truth."""
    told = _by_account(transitions)
    leavers = [account for account in past.accounts.values() if account.left_at is not None]
    leads = {a.account: lead for a in leavers if (lead := _lead(a, told.get(a.account, []))) is not None}
    pressed = [account for account in leavers if account.pressed]
    steady = [account for account in past.accounts.values() if account.left_at is None and not account.pressed]
    return Leavers(
        left=len(leavers),
        named=len(leads),
        days=round(median(leads.values()) / DAY, 1) if leads else None,
        pressed=len(pressed),
        foreseen=sum(account.account in leads for account in pressed),
        steady=len(steady),
        disturbed=sum(any(map(_opens, told.get(account.account, []))) for account in steady),
        stories={
            story: (len(its), sum(account.account in leads for account in its))
            for story in Story
            if (its := [account for account in leavers if story in account.pressed])
        },
    )


def words_of(found: Leavers) -> str:
    """Return what was found as a sentence or two."""
    early = "" if found.days is None else f", the median one {found.days} days earlier"
    return (
        f"{found.named} of {found.left} simulated leavers had an alert before they left{early}. "
        f"{found.left - found.pressed} left out of the blue; of the {found.pressed} to whom something was happening "
        f"{found.foreseen} had one, and so had {found.disturbed} of the {found.steady} who stayed and to whom nothing "
        "happened"
    )


def _by_account(transitions: Iterable[Transition]) -> Mapping[str, Sequence[Transition]]:
    found: dict[str, list[Transition]] = {}
    for transition in transitions:
        found.setdefault(transition.account, []).append(transition)
    return found


def _opens(transition: Transition) -> bool:
    return transition.change is Change.OPENED and transition.severity is not Severity.OPPORTUNITY


def _lead(account: Account, transitions: Sequence[Transition]) -> int | None:
    """Return for how long (ms) an alert was open when the account left; None if none was."""
    left = account.left_at or 0
    opened: dict[str, int] = {}
    for transition in transitions:
        if transition.at > left:
            break
        if _opens(transition):
            opened[transition.episode] = transition.at
        elif transition.change in ENDS:
            opened.pop(transition.episode, None)
    return left - min(opened.values()) if opened else None
