"""Write simulated events as lines of JSON, fast: every part of a line but its id and time is made once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from shared.contracts.events import Kind, source_of, type_of, wire_time

Ints = npt.NDArray[np.int64]

ACTIONS = (
    (Kind.LOGIN, None, 0.15),
    (Kind.USAGE, "Report Viewed", 0.35),
    (Kind.USAGE, "Record Edited", 0.35),
    (Kind.USAGE, "Export Run", 0.12),
    (Kind.OUTCOME, "Order Closed", 0.03),
)
SOURCES = ("web", "web", "web", "mobile", "api")


class Facts:
    """Collect the rare events of a day that are no usage, and merge them into its lines."""

    def __init__(self) -> None:
        self._told = 0
        self._facts: list[tuple[int, str, Kind, Mapping[str, object], int]] = []

    def tell(self, account: str, kind: Kind, data: Mapping[str, object], *, at: int) -> None:
        """Say a fact about an account, `at` ms into the day."""
        self._told += 1
        self._facts.append((at, account, kind, data, self._told))

    def merged(self, lines: Sequence[str], moments: Ints, *, midnight: int) -> list[str]:
        """Return all lines of the day in time order, and forget the facts told."""
        facts = sorted(self._facts, key=lambda fact: fact[0])
        self._facts = []
        merged: list[str] = []
        done = 0
        for fact, place in zip(facts, np.searchsorted(moments, [fact[0] for fact in facts]).tolist(), strict=True):
            merged += lines[done:place]
            merged.append(_fact_line(*fact, midnight=midnight))
            done = place
        return [*merged, *lines[done:]]


def _fact_line(at: int, account: str, kind: Kind, data: Mapping[str, object], number: int, *, midnight: int) -> str:
    event = {
        "specversion": "1.0",
        "id": f"fact-{number}",
        "source": source_of("crm"),
        "type": type_of(kind),
        "subject": account,
        "time": wire_time(midnight + at),
        "data": data,
    }
    return json.dumps(event, separators=(",", ":")) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Events of one day in time order: `users` and `moments` (ms of the day) by event, the account by user."""

    users: Ints
    moments: Ints
    user_account: Ints


def usage_lines(usage: Usage, names: Sequence[str], *, midnight: int, rng: np.random.Generator) -> list[str]:
    """Return the line of each event; ids are unique over the days of a run."""
    count = len(usage.users)
    actions = rng.choice(len(ACTIONS), count, p=[share for _, _, share in ACTIONS])
    sources = rng.integers(0, len(SOURCES), count)
    date = wire_time(midnight)[:11]
    opened, named, clock, thousandths = _opened(), _named(), _clock(), _thousandths()
    whose = [_user(user, names[account]) for user, account in enumerate(usage.user_account.tolist())]
    seconds, rest = np.divmod(usage.moments, 1000)
    columns = zip(
        usage.users.tolist(), actions.tolist(), sources.tolist(), seconds.tolist(), rest.tolist(), strict=True
    )
    head = f'{{"specversion":"1.0","id":"{date}'
    return [
        f"{head}{n}{opened[source][action]}{whose[user][0]}{date}{clock[s]}{thousandths[ms]}{whose[user][1]}{named[action]}"
        for n, (user, action, source, s, ms) in enumerate(columns)
    ]


@cache
def _opened() -> list[list[str]]:
    return [
        [f'","source":"{source_of(source)}","type":"{type_of(kind)}","subject":"' for kind, _, _ in ACTIONS]
        for source in SOURCES
    ]


@cache
def _named() -> list[str]:
    return ["}}\n" if name is None else f',"name":{json.dumps(name)}}}}}\n' for _, name, _ in ACTIONS]


@cache
def _clock() -> list[str]:
    return [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}." for s in range(86_400)]


@cache
def _thousandths() -> list[str]:
    return [f'{ms:03d}Z","data":{{"user":"' for ms in range(1000)]


@cache
def _user(user: int, account: str) -> tuple[str, str]:
    hashed = hashlib.sha256(f"{account}/{user}".encode()).hexdigest()[:32]
    return f'{account}","time":"', f'u1_{hashed}"'
