"""Let the oracle begin at a snapshot (docs/scoring.md §10): turn packed columns into its plain accounts."""

import hashlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import xxhash

from lab.oracle import Account, Bundle, Log
from lab.oracle_features import HOUR, History, Names
from lab.oracle_health import Episode, Waits
from lab.oracle_seen import Seen, Segment
from services.scorer.core.activity import ACCOUNTS, MARKS, SIGNALS, SOURCES, USERS, USES
from services.scorer.core.bundle import BANDS
from services.scorer.core.chunks import Chunk, Contents, Ids, Marker
from services.scorer.core.episodes import SEVERITIES
from services.scorer.core.table import NONE, Layout
from shared.contracts.partition import roll_ms
from shared.contracts.risk import episode_id

SIGNAL_NAMES: Final = ("login", "usage", "outcome", "ticket")
"""The signals by number; after them come key features, and classes of events: these behind a NUL."""
WORD: Final = (1 << 64) - 1
SINCE: Final = "since:"
NO_DAY: Final = -(1 << 31)


class HashedNames(Names):
    """Names as a snapshot keeps them: hashes under the deployment's seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def id(self, source: str, id: str) -> Hashable:  # noqa: A002  the envelope's own word
        return _digest(id, _digest(source, self._seed)) or 1

    def user(self, history: History, user: str | None) -> Hashable:
        if not user or history.number is None:
            return user
        return _of_account(_digest(user, self._seed) or 1, number=history.number)


def seed_of(key: bytes) -> int:
    """Return the seed of a deployment's hashes, from its dead-letter key."""
    return int.from_bytes(hashlib.sha256(b"scorer state\0" + key).digest()[:8], "big")


def _of_account(user: int, *, number: int) -> int:
    return mixed(user ^ mixed(number + 1)) or 1


def mixed(x: int) -> int:
    """Return the finalizer of MurmurHash3 for a 64-bit number."""
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD & WORD
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53 & WORD
    return x ^ x >> 33


def standing_of(contents: Contents) -> Mapping[str, int]:
    """Return the offset up to which each account of a snapshot already contains the log."""
    return {name.decode(): chunk.upto for chunk in contents.chunks for name in chunk.names}


def begin_at(contents: Contents, *, seed: int) -> Callable[[Log], None]:
    """Return what fills in the oracle's log with all that a snapshot remembers."""

    def begin(log: Log) -> None:
        marker = contents.marker
        log.names = HashedNames(seed)
        log.clock = marker.clock
        log.arrival = max([0, marker.hour, *(hour for hour, _ in marker.hours)]) * HOUR
        log.bundle = _bundle(marker)
        log.guarded = set(marker.guards)
        log.usual = dict(marker.medians)
        log.rows = {job: row for job, row, _ in marker.imports}
        log.heard = {job: heard for job, _, heard in marker.imports}
        log.seen = _seen(contents)
        log.accounts = {account.history.account: account for chunk in contents.chunks for account in _accounts(chunk)}

    return begin


def _digest(text: str, seed: int) -> int:
    return xxhash.xxh3_64_intdigest(text.encode(), seed)


def _bundle(marker: Marker) -> Bundle | None:
    if marker.bundle is None:
        return None
    config = json.loads(marker.bundle)
    return Bundle(
        version=marker.bundle_version or "",
        scorecard=config["scorecard"],
        rules=config["rules"],
        journey=config.get("journey"),
        calendars=config.get("calendars"),
    )


def _seen(contents: Contents) -> Seen:
    """Return the ids in the segments in which they came; a marker without segments tells hours in their place."""
    marker = contents.marker
    segments = [(hour, first) for hour, first, _ in marker.segments] or marker.hours
    seen = Seen([Segment(hour) for hour, _ in segments])
    firsts = [first for _, first in segments]
    for offset, key in sorted(pair for ids in contents.ids for pair in _pairs(ids)):
        seen.segments[bisect_right(firsts, offset) - 1].ids.append(key)
        seen.ids.add(key)
    return seen


def _pairs(ids: Ids) -> Iterator[tuple[int, int]]:
    return zip(np.frombuffer(ids.offsets, np.int64).tolist(), np.frombuffer(ids.keys, np.uint64).tolist(), strict=True)


def _accounts(chunk: Chunk) -> list[Account]:
    columns = _rows(chunk.accounts, ACCOUNTS)
    found = []
    for place, name in enumerate(chunk.names):
        row = {column: values[place] for column, values in columns.items()}
        account, roll = name.decode(), roll_ms(name)
        history = History(account=account, roll=roll, number=chunk.first + place)
        _fill(history, row)
        facts = chunk.facts.get(chunk.first + place, {})
        for field, (value, at, id_, source) in facts.items():
            if field.startswith(SINCE):
                history.be_told(field.removeprefix(SINCE), at=at)
                continue
            history.be_told(value if field == "stage" else None, at=at)  # versions before kept no more
            told = _told(value) if field == "closures" else value
            history.learn(field, told, stamp=(at, id_.encode(), source.encode()))
        found.append(_account(history, row, chunk=chunk, place=place))
    _fill_from_rows(found, chunk)
    return found


def _told(spans: list[list[int]]) -> list[dict[str, str]]:
    """Return closures as an event tells them."""
    days = [[(date(1970, 1, 1) + timedelta(days=day)).isoformat() for day in span] for span in spans]
    return [{"from": first, "to": last} for first, last in days]


def _account(history: History, row: Mapping[str, Any], *, chunk: Chunk, place: int) -> Account:
    health, published = row["published_health"], row["published_band"]
    number = history.number or 0
    erased_at, gone, pending, *_ = chunk.erased.get(number, (-1, False, False))
    episodes = _episodes(chunk, history.account, place=place)
    return Account(
        history=history,
        touched=bool(row["touched"]),
        due=row["due"],
        band=BANDS[row["band"]],
        episodes=[] if pending else episodes,
        waits=Waits() if pending else _waits(chunk, place=place),
        published=None
        if published < 0
        else (BANDS[published], None if health == NONE else health, row["published_day"]),
        job=None if row["job"] < 0 else chunk.jobs[row["job"]],
        upto=chunk.upto,
        erased_at=erased_at,
        erased_users={_of_account(user, number=number): at for user, at in chunk.erased_users.get(number, {}).items()},
        gone=gone,
        to_end=episodes if pending else None,
    )


def _fill(history: History, row: Mapping[str, Any]) -> None:
    if row["first_day"] != NO_DAY:
        history.begin(row["first_day"] * 24 * HOUR + history.roll)
    if row["last"] != NONE:
        history.last = row["last"]
    for day, bits in _days(row["hours"], front=row["front"]):
        history.hours[day] = {hour for hour in range(24) if bits >> hour & 1}


def _fill_from_rows(accounts: list[Account], chunk: Chunk) -> None:
    histories = {account.history.number: account.history for account in accounts}
    names = _signals(chunk)
    for account, signal, front, count in _each(chunk.signals, SIGNALS, "account", "signal", "front", "count"):
        histories[account].counts[names[signal]] = Counter(dict(_days(count, front=front)))
    users = list(_each(chunk.users, USERS, "account", "hash", "last_day"))
    days = _rows(chunk.users, USERS).get("days", [1] * len(users))
    for (account, user, last), bits in zip(users, days, strict=True):
        histories[account].users[user] = {last - back for back in range(32) if bits >> back & 1}
    for place, signal, day in _each(chunk.uses, USES, "user", "signal", "last_day"):
        account, user, _ = users[place]
        histories[account].uses[user, names[signal]] = day
    for account, source, last in _each(chunk.sources, SOURCES, "account", "source", "last"):
        histories[account].sources[chunk.source_names[source]] = last
    for account, event, user, first in _each(chunk.marks, MARKS, "account", "event", "user", "first"):
        name = chunk.mark_names[event]
        if user:
            histories[account].first_by[name, user] = first
        else:
            history = histories[account]
            (history.said if name.startswith("\0") else history.first)[name.removeprefix("\0")] = first


def _signals(chunk: Chunk) -> list[str]:
    """Return the oracle's name of each signal of a chunk by its number there."""
    return [*SIGNAL_NAMES, *(name[1:] if name.startswith("\0") else f"usage:{name}" for name in chunk.features)]


def _episodes(chunk: Chunk, account: str, *, place: int) -> list[Episode]:
    width = max(1, len(chunk.rules))
    opened = np.frombuffer(chunk.episodes["opened"], np.int64).reshape(-1, width)[place].tolist()
    severity = np.frombuffer(chunk.episodes["severity"], np.int8).reshape(-1, width)[place].tolist()
    found = []
    for rule, at, code in zip(chunk.rules, opened, severity, strict=False):
        how_bad = SEVERITIES[code]
        if at != NONE and how_bad is not None:
            identity = episode_id(account, rule=rule, opened_at=at)
            found.append(Episode(id=identity, rule=rule, severity=how_bad, opened_at=at))
    return found


def _waits(chunk: Chunk, *, place: int) -> Waits:
    """Return what is remembered of rules that are not open; snapshots of older versions remember nothing of them."""
    width, waits = max(1, len(chunk.rules)), Waits()
    if "waits" not in chunk.episodes:
        return waits
    holding = np.frombuffer(chunk.episodes["waits"], np.int8).reshape(-1, width)[place].tolist()
    ready = np.frombuffer(chunk.episodes["ready"], np.int32).reshape(-1, width)[place].tolist()
    for rule, code, day in zip(chunk.rules, holding, ready, strict=False):
        if code:
            waits.holding[rule] = code == 2
        if day != NO_DAY:
            waits.ready[rule] = day
    return waits


def _days(ring: list[int], *, front: int) -> Iterator[tuple[int, int]]:
    if front != NO_DAY:
        for day in range(front - len(ring) + 1, front + 1):
            if ring[day % len(ring)]:
                yield day, ring[day % len(ring)]


def _each(packed: Mapping[str, bytes], layout: Layout, *names: str) -> Iterator[tuple[Any, ...]]:
    columns = _rows(packed, layout)
    return zip(*(columns.get(name, []) for name in names), strict=True)


def _rows(packed: Mapping[str, bytes], layout: Layout) -> Mapping[str, list[Any]]:
    """Return columns as lists of plain numbers, or of lists of them."""
    arrays = {name: (np.frombuffer(value, layout[name][0]), layout[name][1]) for name, value in packed.items()}
    return {name: (a if width is None else a.reshape(-1, width)).tolist() for name, (a, width) in arrays.items()}
