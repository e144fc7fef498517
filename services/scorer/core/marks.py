"""Note of applied events what milestones need: who did first what the journey names, and whose word there is."""

from typing import Final

import numpy as np

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.decode import Code, Decoded
from services.scorer.core.position import SAID
from services.scorer.core.table import Hashes, Ints
from shared.contracts.events import Kind, type_of

_NAMES: Final = {int(Code.LOGIN): "Signed In", int(Code.OUTCOME): "Outcome Achieved"}
"""What log-ins and outcomes are called in a journey; everything else by its own name."""
_MILESTONE: Final = type_of(Kind.MILESTONE)


def mark(
    activity: Activity, decoded: Decoded, *, rows: Ints, accounts: Ints, users: Hashes, bundle: CompiledBundle | None
) -> None:
    """Take what the journey in force needs of applied rows; `users` are 0 where nobody by hand did it."""
    if bundle is None or bundle.route.is_empty:
        return
    route = bundle.route
    names = _names(decoded, rows=rows)
    at = decoded.at[rows]
    single = _numbers(names, activity, wanted=route.events | {SAID + name for name in route.milestones})
    by_user = np.where(users == 0, -1, _numbers(names, activity, wanted=route.by_user))
    for events, whose in ((single, np.zeros(len(rows), np.uint64)), (by_user, users)):
        where = np.flatnonzero(events >= 0)
        if where.size:
            activity.mark(accounts[where], events=events[where], users=whose[where], at=at[where])


def _names(decoded: Decoded, *, rows: Ints) -> list[str | None]:
    """Return what a journey calls each event; None for what it can't name."""
    codes, envelopes = decoded.code[rows].tolist(), decoded.envelopes
    names: list[str | None] = [None] * len(codes)
    for where, (row, code) in enumerate(zip(rows.tolist(), codes, strict=True)):
        if code <= Code.OUTCOME:
            name = _NAMES.get(code) or envelopes[row].data.name
            names[where] = None if name is None or name.startswith(SAID) else name
        elif code == Code.KEPT_AT_ANY_AGE and envelopes[row].type == _MILESTONE:
            names[where] = SAID + (envelopes[row].data.name or "")
    return names


def _numbers(names: list[str | None], activity: Activity, *, wanted: frozenset[str]) -> Ints:
    numbers = {name: activity.mark_names.number(name) for name in sorted(wanted)}
    return np.array([-1 if name is None else numbers.get(name, -1) for name in names], np.int64)
