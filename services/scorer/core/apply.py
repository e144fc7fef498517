"""Apply events to the state of a partition, in the order of the log: fold, learn facts, erase (docs/scoring.md §3)."""

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from services.scorer.core.activity import Activity, Applied
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import HORIZON
from services.scorer.core.decode import Code, Decoded
from services.scorer.core.erasure import Erasures, erase
from services.scorer.core.facts import Facts, Told
from services.scorer.core.imports import NO_JOB
from services.scorer.core.marks import mark
from services.scorer.core.signals import CLASSES, LOGIN, OUTCOME, TICKET, USAGE
from services.scorer.core.table import Hashes, Ints
from shared.contracts.events import Goal, Membership

_SIGNALS: Final = np.array([LOGIN, USAGE, OUTCOME, TICKET])


class State(Protocol):
    """What of a partition's state events change or read."""

    clock: int | None
    bundle: CompiledBundle | None
    activity: Activity
    facts: Facts
    erasures: Erasures


def apply(state: State, decoded: Decoded, *, rows: Ints, accounts: Ints, jobs: Ints) -> Ints:
    """Apply rows to their accounts, each erasure at its place; `jobs` is the number of each one's import.

    Returns the rows that may outlast the log: those of nobody who was erased.
    """
    lasting, start = [], 0
    erasures = np.flatnonzero(decoded.code[rows] == Code.ERASURE).tolist()
    for end in [*erasures, len(rows)]:
        part = slice(start, end)
        lasting.append(_apply_known(state, decoded, rows=rows[part], accounts=accounts[part], jobs=jobs[part]))
        if end < len(rows):
            _erase(state, decoded, row=int(rows[end]), account=int(accounts[end]))
        start = end + 1
    found: Ints = np.concatenate(lasting)
    return found


def _apply_known(state: State, decoded: Decoded, *, rows: Ints, accounts: Ints, jobs: Ints) -> Ints:
    """Apply what comes between two erasures, but for what was erased before, and return what may outlast the log."""
    ignored = state.erasures.ignores(accounts, at=decoded.at[rows])
    if ignored.any():
        rows, accounts, jobs = rows[~ignored], accounts[~ignored], jobs[~ignored]
    state.erasures.come(accounts)
    users = state.erasures.without(accounts, users=decoded.user[rows], at=decoded.at[rows])
    _apply(state, decoded, rows=rows, accounts=accounts, users=users)
    imported = jobs != NO_JOB
    state.activity.accounts["job"][accounts[imported]] = jobs[imported]
    lasting: Ints = rows[users == decoded.user[rows]]
    return lasting


def _erase(state: State, decoded: Decoded, *, row: int, account: int) -> None:
    at = int(decoded.at[row])
    if not state.erasures.ignores(np.array([account]), at=np.array([at])).any():
        user = int(decoded.user[row])
        erase(state.erasures, row=account, user=user, at=at, activity=state.activity, facts=state.facts)


def _apply(state: State, decoded: Decoded, *, rows: Ints, accounts: Ints, users: Hashes) -> None:
    code = decoded.code[rows]
    source, signal = _sources(state, decoded, rows=rows), _signals(state, decoded, rows=rows)
    by_hand = np.ones(len(rows), bool)
    if state.bundle is not None and state.bundle.automation_sources:
        numbers = [state.activity.source(name) for name in state.bundle.automation_sources]
        is_automation = (code <= Code.USAGE) & np.isin(source, numbers)
        signal[is_automation] = state.activity.signal(CLASSES["automation"])
    if CLASSES["automation"] in state.activity.signal_names:
        by_hand = signal != state.activity.signal(CLASSES["automation"])
    users = np.where(by_hand, users, np.uint64(0))
    mark(state.activity, decoded, rows=rows, accounts=accounts, users=users, bundle=state.bundle)
    old = _too_old(state, decoded, rows=rows)
    if old.any():
        _apply_old(state, decoded, rows=rows[old], accounts=accounts[old])
        rows, accounts, users, code = rows[~old], accounts[~old], users[~old], code[~old]
        source, signal = source[~old], signal[~old]
    state.activity.fold(
        Applied(
            account=accounts,
            at=decoded.at[rows],
            code=code,
            signal=signal,
            source=source,
            user=users,
        )
    )
    is_fact = np.flatnonzero((code == Code.FACT) | (code == Code.KEPT) | _sets_goal(decoded, rows=rows))
    facts = [
        Told(int(accounts[where]), int(decoded.at[row]), envelope.id, envelope.source, decoded.facts[row])
        for where, row in zip(is_fact, rows[is_fact].tolist(), strict=True)
        for envelope in (decoded.envelopes[row],)
    ]
    state.facts.apply(facts, activity=state.activity)


def _sources(state: State, decoded: Decoded, *, rows: Ints) -> Ints:
    """Return the number of the source through which each event came, 0 where it is no presence."""
    source = np.zeros(len(rows), np.int64)
    present = np.flatnonzero(decoded.code[rows] <= Code.OUTCOME)
    names = [decoded.envelopes[row].source for row in rows[present].tolist()]
    numbers = {name: state.activity.source(name) for name in dict.fromkeys(names)}
    source[present] = [numbers[name] for name in names]
    return source


def _signals(state: State, decoded: Decoded, *, rows: Ints) -> Ints:
    """Return the signal each event counts under by its kind and name, −1 where it counts nowhere."""
    code = decoded.code[rows]
    signal = np.where(code <= Code.TICKET, _SIGNALS[np.minimum(code, Code.TICKET)], -1)
    if state.bundle is not None and state.bundle.signal_names:
        numbers = {event: state.activity.signal(name) for event, name in state.bundle.signal_names.items()}
        for where in np.flatnonzero(code == Code.USAGE).tolist():
            signal[where] = numbers.get(decoded.envelopes[rows[where]].data.name, USAGE)
    for where in np.flatnonzero(code == Code.KEPT_AT_ANY_AGE).tolist():
        told = decoded.facts.get(int(rows[where]))
        if isinstance(told, Membership) and told.removed:
            signal[where] = state.activity.signal(CLASSES["removals"])
    return signal


def _sets_goal(decoded: Decoded, *, rows: Ints) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(rows), bool)
    for where in np.flatnonzero(decoded.code[rows] == Code.KEPT_AT_ANY_AGE).tolist():
        found[where] = isinstance(decoded.facts.get(int(rows[where])), Goal)
    return found


def _too_old(state: State, decoded: Decoded, *, rows: Ints) -> npt.NDArray[np.bool_]:
    """Say which rows of a history lie before every window: all but facts and outcomes."""
    if state.clock is None:
        return np.zeros(len(rows), bool)
    old: npt.NDArray[np.bool_] = decoded.imported[rows] & (decoded.at[rows] < state.clock - HORIZON)
    return old & np.isin(decoded.code[rows], (Code.LOGIN, Code.USAGE, Code.TICKET))


def _apply_old(state: State, decoded: Decoded, *, rows: Ints, accounts: Ints) -> None:
    present = decoded.code[rows] != Code.TICKET
    state.activity.begin_earlier(accounts[present], at=decoded.at[rows[present]])
    state.activity.accounts["touched"][accounts] = True
