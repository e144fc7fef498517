"""Fold applied events into activity: what the scorer remembers of an account, as columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.days import DAY, HORIZON_DAYS, HOUR, NO_DAY, advance, held, latest, slots
from services.scorer.core.decode import Code
from services.scorer.core.goals import Goal
from services.scorer.core.signals import CLASSES, FIRST_NAMED
from services.scorer.core.table import NONE, Columns, Hashes, Ints, Layout, Names, RowIndex, Words
from shared.contracts.partition import roll_ms

Links = list[tuple[Ints, Ints]]
"""Rows that belong to accounts, link by link of their chains: the account's place among those asked for, the row."""

NEVER: Final = np.iinfo(np.int64).max
"""When something happened that did not."""
USER_DAYS: Final = 32
LONG_CHAIN: Final = 64
"""Links after which the rest of an account's rows is looked for in another way."""
MOST_IN_A_DAY: Final = 65_535

ACCOUNTS: Final[Layout] = {
    "roll": (np.int32, None, 0),  # ms after 00:00 UTC at which its day begins
    "hash": (np.uint64, None, 0),
    "upto": (np.int64, None, -1),  # offset up to which a restored row already contains the log
    "touched": (np.bool_, None, 0),  # an event was applied since the last tick with a bundle
    "due": (np.int64, None, NONE),  # when it must be evaluated though nothing happens
    "first_day": (np.int32, None, NO_DAY),
    "front": (np.int32, None, NO_DAY),  # latest presence day
    "last": (np.int64, None, NONE),  # latest presence, ms
    "hours": (np.uint32, HORIZON_DAYS, 0),  # by day: a bit for each hour with presence
    "patience": (np.uint16, None, 0),  # hours of silence until its deadline; kept, see core/silence.py
    "patience_of": (np.int32, None, NO_DAY),  # for which local day and clock that was worked out
    "first_signal": (np.int32, None, -1),  # head of its chain of signal rows
    "first_user": (np.int32, None, -1),
    "first_use": (np.int32, None, -1),
    "segment": (np.int32, None, -1),  # its number in `segments`
    "stage": (np.int32, None, -1),  # in `stages`, if somebody told it
    "stage_day": (np.int32, None, NO_DAY),  # the first on which that stage was told
    "fact_day": (np.int32, None, NO_DAY),  # the first of which facts are known
    "trial": (np.bool_, None, 0),
    "seats": (np.int64, None, NONE),
    "payment_failed_at": (np.int64, None, NONE),
    "invoice_paid_at": (np.int64, None, NONE),
    "nps": (np.int64, None, NONE),
    "nps_at": (np.int64, None, NONE),
    "csat": (np.int64, None, NONE),
    "csat_at": (np.int64, None, NONE),
    "ces": (np.int64, None, NONE),
    "ces_at": (np.int64, None, NONE),
    "renewal_day": (np.int32, None, NO_DAY),
    "sentiment": (np.int8, None, -1),
    "sentiment_until": (np.int32, None, NO_DAY),  # its last day
    "override": (np.int8, None, -1),
    "override_until": (np.int32, None, NO_DAY),
    "subscription": (np.int8, None, 0),
    "deleted": (np.bool_, None, 0),
    "zone": (np.uint32, None, 0),  # keys of its time zone and country (core/calendar.py)
    "country": (np.uint16, None, 0),
    "evaluated_at": (np.int64, None, NONE),  # T and offset of the tick that last judged it
    "evaluated_offset": (np.int64, None, -1),
    "band": (np.int8, None, 0),
    "published_band": (np.int8, None, -1),
    "published_health": (np.int64, None, NONE),
    "published_day": (np.int32, None, NO_DAY),
    "job": (np.int32, None, -1),  # number of the import it belongs to while that runs
    "first_source": (np.int32, None, -1),
    "first_mark": (np.int32, None, -1),
}
SIGNALS: Final[Layout] = {
    "account": (np.int32, None, 0),
    "signal": (np.int32, None, 0),
    "next": (np.int32, None, -1),  # next signal row of the same account
    "front": (np.int32, None, NO_DAY),
    "count": (np.uint16, HORIZON_DAYS, 0),  # by day: events
}
USERS: Final[Layout] = {
    "account": (np.int32, None, 0),
    "next": (np.int32, None, -1),
    "hash": (np.uint64, None, 0),
    "last_day": (np.int32, None, NO_DAY),
    "days": (np.uint32, None, 0),  # bit n: active on last_day − n
}
USES: Final[Layout] = {
    "user": (np.int32, None, 0),
    "next": (np.int32, None, -1),  # next use by any user of the same account
    "signal": (np.int16, None, 0),
    "last_day": (np.int32, None, NO_DAY),
}
SOURCES: Final[Layout] = {
    "account": (np.int32, None, 0),
    "source": (np.int32, None, 0),
    "next": (np.int32, None, -1),
    "last": (np.int64, None, NONE),  # latest presence that came through the source, ms
}
MARKS: Final[Layout] = {
    "account": (np.int32, None, 0),
    "event": (np.int32, None, 0),
    "next": (np.int32, None, -1),
    "user": (np.uint64, None, 0),  # hash of who did it, 0 for whoever it was
    "first": (np.int64, None, NEVER),  # ms
}

FED: Final = 28 * DAY
"""A source feeds an account whose last presence through it lies at most so long before its last of all."""
_FACTORS: Final = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)
_INVERSES: Final = tuple(pow(factor, -1, 1 << 64) for factor in _FACTORS)
STAGES: Final = ("trial", "onboarding", "renewal", "adoption")
"""Lifecycle stages an account is in when nobody told its own; by their number in `stages`."""
_CLASSES: Final = frozenset(CLASSES.values())


@dataclass(slots=True, kw_only=True)
class Applied:
    """Applied events as columns of equal length, in log order; `signal` is −1 where there is none.

    `source` is the source's number where the event is presence.
    """

    account: Ints
    at: Ints
    code: npt.NDArray[np.int8]
    signal: Ints
    source: Ints
    user: Hashes


class Activity:
    """The accounts of one partition with their signals, users and sources."""

    def __init__(self) -> None:
        self.accounts = Columns(ACCOUNTS)
        self.signals = Columns(SIGNALS)
        self.users = Columns(USERS)
        self.uses = Columns(USES)
        self.sources = Columns(SOURCES)
        self.marks = Columns(MARKS)
        self.names = Names()
        self.closures: dict[int, list[tuple[int, int]]] = {}
        """First and last local day of an account's closures, by its row; few have any."""
        self.rhythm = ""
        """The configuration under which `patience` was worked out."""
        self.source_names: list[str] = []
        """Sources by number."""
        self.mark_names = Words()
        """What milestones need, by the number in `event` of marks."""
        self.signal_names: list[str] = []
        """Key features and classes of events by signal − FIRST_NAMED."""
        self.goals: dict[int, Goal] = {}
        """The goal of each account (row) that has one; they are few."""
        self.segments = Words()
        self.stages = Words(STAGES)
        self.account_rows = RowIndex(self.accounts, _hashes_in)
        self.signal_rows = RowIndex(self.signals, partial(_pairs_in, name="signal"))
        self.user_rows = RowIndex(self.users, _hashes_in)
        self.use_rows = RowIndex(self.uses, _uses_in)
        self.source_rows = RowIndex(self.sources, partial(_pairs_in, name="source"))
        self.mark_rows = RowIndex(self.marks, _marks_in)

    def find(self, hashes: Hashes, *, accounts: Sequence[str]) -> tuple[Ints, Hashes]:
        """Return the row of each account (−1 where it is unknown) and the hash it is, or would be, kept under.

        Ids are compared in full; an account whose hash another one holds is kept under a hash of that hash.
        """
        texts = [account.encode() for account in accounts]
        hashes, rows = hashes.copy(), self.account_rows.find(hashes)
        unsure = np.flatnonzero(rows >= 0)
        while unsure.size:
            same = self.names.equal(rows[unsure], [texts[row] for row in unsure.tolist()])
            unsure = unsure[~same]
            hashes[unsure] = _mixed(hashes[unsure])
            rows[unsure] = self.account_rows.find(hashes[unsure])
            unsure = unsure[rows[unsure] >= 0]
        return rows, hashes

    def add_accounts(self, accounts: Sequence[str], *, hashes: Hashes) -> Ints:
        """Append distinct new accounts and return their rows."""
        texts = [account.encode() for account in accounts]
        rows = self.accounts.add(len(texts))
        self.accounts["roll"][rows] = [roll_ms(text) for text in texts]
        self.accounts["hash"][rows] = hashes
        self.names.append(texts)
        self.account_rows.put(hashes, rows)
        return rows

    def signal(self, name: str) -> int:
        """Return the number of a signal that has a name, a new one if need be."""
        if name not in self.signal_names:
            self.signal_names.append(name)
        return FIRST_NAMED + self.signal_names.index(name)

    def source(self, name: str) -> int:
        """Return the number of a source, a new one if need be."""
        if name not in self.source_names:
            self.source_names.append(name)
        return self.source_names.index(name)

    def fed_by(self, source: str) -> npt.NDArray[np.bool_]:
        """Say of every account whether the source feeds it."""
        fed = np.zeros(self.accounts.count, bool)
        if source in self.source_names:
            count, columns = self.sources.count, self.sources
            account, last = columns["account"][:count], columns["last"][:count]
            is_its = columns["source"][:count] == self.source_names.index(source)
            is_its &= last != NONE
            fed[account[is_its & (last >= self.accounts["last"][account] - FED)]] = True
        return fed

    def lasts(self) -> Mapping[str, int]:
        """Return the latest presence through each source that has some (epoch ms)."""
        count, last = self.sources.count, np.full(len(self.source_names), NONE)
        np.maximum.at(last, self.sources["source"][:count], self.sources["last"][:count])
        return {name: at for name, at in zip(self.source_names, last.tolist(), strict=True) if at != NONE}

    def begin_earlier(self, accounts: Ints, *, at: Ints) -> None:
        """Take presence too old for any window: it only says since when an account is known."""
        self._begin(accounts, days=(at - self.accounts["roll"][accounts]) // DAY)
        self.accounts["patience_of"][accounts] = NO_DAY

    def fold(self, events: Applied) -> None:
        """Add applied events (docs/scoring.md §3); their order makes no difference."""
        local = events.at - self.accounts["roll"][events.account]
        days, hours = local // DAY, local % DAY // HOUR
        counted = events.signal >= 0
        self._count(events.account[counted], signals=events.signal[counted], days=days[counted])
        present = events.code <= Code.OUTCOME
        self._be_present(events.account[present], at=events.at[present], days=days[present], hours=hours[present])
        self._come_through(events.account[present], sources=events.source[present], at=events.at[present])
        used = np.flatnonzero(present & (events.user != 0))
        users = self._see_users(events.account[used], users=events.user[used], days=days[used])
        is_key = self._key_features()[events.signal[used]]
        self._use(users[is_key], signals=events.signal[used[is_key]], days=days[used[is_key]])
        self.accounts["touched"][events.account] = True

    def mark(self, accounts: Ints, *, events: Ints, users: Hashes, at: Ints) -> None:
        """Note what was done that milestones need, by whom (0: whoever it was); their order makes no difference."""
        users = np.where(users == 0, np.uint64(0), users_of(accounts, users=users))

        def begin(rows: Ints, which: Ints) -> None:
            self._begin_marks(rows, accounts=accounts[which], events=events[which], users=users[which])

        keys = marks_of(accounts, events=events, users=users)
        rows = _rows_of(keys, self.marks, index=self.mark_rows, begin=begin)
        np.minimum.at(self.marks["first"], rows, at)

    def add_marks(self, rows: Ints, *, accounts: Ints, events: Ints, users: Hashes) -> None:
        """Say of new rows whose marks they are, and of what; all are different."""
        self._begin_marks(rows, accounts=accounts, events=events, users=users)
        self.mark_rows.put(marks_of(accounts, events=events, users=users), rows)

    def _begin_marks(self, rows: Ints, *, accounts: Ints, events: Ints, users: Hashes) -> None:
        self.marks["event"][rows], self.marks["user"][rows] = events, users
        self.link(self.marks, head="first_mark", rows=rows, accounts=accounts)

    def forget_user(self, account: int, *, user: np.uint64) -> None:
        """Let go of a user of an account (its row): nobody was active by that name."""
        pair = users_of(np.array([account]), users=np.array([user], np.uint64))
        for _, marks in self.chain(self.marks, head="first_mark", accounts=np.array([account])):
            self.marks["first"][marks[self.marks["user"][marks] == pair[0]]] = NEVER
        row = int(self.user_rows.find(pair)[0])
        if row < 0:
            return
        self.users["last_day"][row], self.users["days"][row] = NO_DAY, 0
        for _, uses in self.chain(self.uses, head="first_use", accounts=np.array([account])):
            self.uses["last_day"][uses[self.uses["user"][uses] == row]] = NO_DAY

    def empty_chains(self, account: int) -> None:
        """Set the rows of an account's signals, users and sources back to nothing; a checkpoint leaves them out."""
        for columns, head, names in (
            (self.signals, "first_signal", ("front", "count")),
            (self.users, "first_user", ("last_day", "days")),
            (self.uses, "first_use", ("last_day",)),
            (self.sources, "first_source", ("last",)),
            (self.marks, "first_mark", ("first",)),
        ):
            for _, rows in self.chain(columns, head=head, accounts=np.array([account])):
                for name in names:
                    columns[name][rows] = columns.spec[name][2]

    def _count(self, accounts: Ints, *, signals: Ints, days: Ints) -> None:
        rows = self._rows_of_signals(accounts, signals=signals)
        front, count = self.signals["front"], self.signals["count"]
        moved, was, to = _move(front, rows=rows, days=days)
        advance(count, rows=moved, was=was, to=to)
        kept = held(front[rows].astype(np.int64), days=days, size=HORIZON_DAYS)
        places, more = np.unique(slots(count, rows=rows[kept], days=days[kept]), return_counts=True)
        flat = count.reshape(-1)
        flat[places] = np.minimum(flat[places].astype(np.int64) + more, MOST_IN_A_DAY)

    def _be_present(self, accounts: Ints, *, at: Ints, days: Ints, hours: Ints) -> None:
        columns = self.accounts
        columns["patience_of"][accounts[at < columns["last"][accounts]]] = NO_DAY
        np.maximum.at(columns["last"], accounts, at)
        self._begin(accounts, days=days)
        moved, was, to = _move(columns["front"], rows=accounts, days=days)
        advance(columns["hours"], rows=moved, was=was, to=to)
        kept = held(columns["front"][accounts].astype(np.int64), days=days, size=HORIZON_DAYS)
        places = slots(columns["hours"], rows=accounts[kept], days=days[kept])
        bits = np.uint32(1) << hours[kept].astype(np.uint32)
        np.bitwise_or.at(columns["hours"].reshape(-1), places, bits)

    def _begin(self, accounts: Ints, *, days: Ints) -> None:
        first = self.accounts["first_day"]
        unknown = np.unique(accounts[first[accounts] == NO_DAY])
        first[unknown] = np.iinfo(np.int32).max
        np.minimum.at(first, accounts, days.astype(np.int32))

    def _come_through(self, accounts: Ints, *, sources: Ints, at: Ints) -> None:
        rows, last = latest(self._rows_of_sources(accounts, sources=sources), at)
        self.sources["last"][rows] = np.maximum(self.sources["last"][rows], last)

    def _rows_of_sources(self, accounts: Ints, *, sources: Ints) -> Ints:
        def begin(rows: Ints, which: Ints) -> None:
            self.sources["source"][rows] = sources[which]
            self.link(self.sources, head="first_source", rows=rows, accounts=accounts[which])

        return _rows_of(pairs_of(accounts, signals=sources), self.sources, index=self.source_rows, begin=begin)

    def _key_features(self) -> npt.NDArray[np.bool_]:
        """Say of every signal whether it is that of a key feature."""
        return np.array([*[False] * FIRST_NAMED, *(name not in _CLASSES for name in self.signal_names)])

    def _see_users(self, accounts: Ints, *, users: Hashes, days: Ints) -> Ints:
        """Note users as active and return the row of each."""
        of_events = self._rows_of_users(accounts, users=users)
        rows, newest = latest(of_events, days)
        last, active = self.users["last_day"], self.users["days"]
        before = last[rows].astype(np.int64)
        later = newest > before
        gap = np.where(before == NO_DAY, USER_DAYS, newest - before)
        active[rows[later & (gap >= USER_DAYS)]] = 0
        moves = later & (gap < USER_DAYS)
        active[rows[moves]] <<= gap[moves].astype(np.uint32)
        last[rows[later]] = newest[later]
        back = last[of_events].astype(np.int64) - days
        near = back < USER_DAYS
        np.bitwise_or.at(active, of_events[near], np.uint32(1) << back[near].astype(np.uint32))
        return of_events

    def _use(self, users: Ints, *, signals: Ints, days: Ints) -> None:
        """Note that users (rows) used key features."""
        rows, newest = latest(self._rows_of_uses(users, signals=signals), days)
        self.uses["last_day"][rows] = np.maximum(self.uses["last_day"][rows], newest)

    def _rows_of_signals(self, accounts: Ints, *, signals: Ints) -> Ints:
        def begin(rows: Ints, which: Ints) -> None:
            self.signals["signal"][rows] = signals[which]
            self.link(self.signals, head="first_signal", rows=rows, accounts=accounts[which])

        return _rows_of(pairs_of(accounts, signals=signals), self.signals, index=self.signal_rows, begin=begin)

    def _rows_of_users(self, accounts: Ints, *, users: Hashes) -> Ints:
        pairs = users_of(accounts, users=users)

        def begin(rows: Ints, which: Ints) -> None:
            self.users["hash"][rows] = pairs[which]
            self.link(self.users, head="first_user", rows=rows, accounts=accounts[which])

        return _rows_of(pairs, self.users, index=self.user_rows, begin=begin)

    def _rows_of_uses(self, users: Ints, *, signals: Ints) -> Ints:
        def begin(rows: Ints, which: Ints) -> None:
            self._begin_uses(rows, users=users[which], signals=signals[which])

        return _rows_of(pairs_of(users, signals=signals), self.uses, index=self.use_rows, begin=begin)

    def add_uses(self, rows: Ints, *, users: Ints, signals: Ints) -> None:
        """Say of new rows whose uses they are, and of what; all are different."""
        self._begin_uses(rows, users=users, signals=signals)
        self.use_rows.put(pairs_of(users, signals=signals), rows)

    def _begin_uses(self, rows: Ints, *, users: Ints, signals: Ints) -> None:
        self.uses["user"][rows], self.uses["signal"][rows] = users, signals
        self.link(self.uses, head="first_use", rows=rows, accounts=self.users["account"][users].astype(np.int64))

    def link(self, columns: Columns, *, head: str, rows: Ints, accounts: Ints) -> None:
        """Put new rows (ascending) in front of their accounts' chains."""
        if not rows.size:
            return
        if "account" in columns.spec:
            columns["account"][rows] = accounts
        order = np.argsort(accounts, kind="stable")
        rows, accounts = rows[order], accounts[order]
        is_first = np.append(True, accounts[1:] != accounts[:-1])
        heads = self.accounts[head]
        columns["next"][rows] = np.where(is_first, heads[accounts], np.append(-1, rows[:-1]))
        is_last = np.append(accounts[1:] != accounts[:-1], True)
        heads[accounts[is_last]] = rows[is_last]

    def chain(self, columns: Columns, *, head: str, accounts: Ints) -> Links:
        """Return the rows of these accounts link by link: pairs of (position in `accounts`, row)."""
        links: Links = []
        rows = self.accounts[head][accounts].astype(np.int64)
        where = np.arange(len(accounts))
        while (has := rows >= 0).any():
            where, rows = where[has], rows[has]
            links.append((where, rows))
            rows = columns["next"][rows].astype(np.int64)
        return links

    def rows_of(self, columns: Columns, *, head: str, accounts: Ints) -> tuple[Ints, Ints]:
        """Return the rows of these accounts in no particular order: position in `accounts`, row.

        Where chains are long, whoever they belong to is looked for among all rows: so many links would take longer.
        """
        found, where, rows = [], np.arange(len(accounts)), self.accounts[head][accounts].astype(np.int64)
        for _ in range(LONG_CHAIN):
            where, rows = where[rows >= 0], rows[rows >= 0]
            if not rows.size:
                break
            found.append((where, rows))
            rows = columns["next"][rows].astype(np.int64)
        deep = where[rows >= 0]
        if deep.size:
            found = [*_without(found, deep), self._looked_for(columns, where=deep, accounts=accounts)]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        where, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return where, rows

    def _looked_for(self, columns: Columns, *, where: Ints, accounts: Ints) -> tuple[Ints, Ints]:
        place = np.full(self.accounts.count, -1, np.int64)
        place[accounts[where]] = where
        count = columns.count
        owner = columns["account"] if "account" in columns.spec else self.users["account"][columns["user"][:count]]
        places = place[owner[:count]]
        rows = np.flatnonzero(places >= 0)
        return places[rows], rows


def _rows_of(keys: Hashes, columns: Columns, *, index: RowIndex, begin: Callable[[Ints, Ints], None]) -> Ints:
    """Return the row of each key; `begin` fills those that are new, told by rows and one place of each among `keys`."""
    distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
    rows = index.find(distinct)
    new = np.flatnonzero(rows < 0)
    if new.size:
        rows[new] = columns.add(len(new))
        begin(rows[new], first[new])
        index.put(distinct[new], rows[new])
    return rows[which]


def _without(links: Links, places: Ints) -> Links:
    kept = [(where, rows, ~np.isin(where, places)) for where, rows in links]
    return [(where[keep], rows[keep]) for where, rows, keep in kept]


def pairs_of(accounts: npt.NDArray[np.signedinteger[Any]], *, signals: npt.NDArray[np.signedinteger[Any]]) -> Hashes:
    """Return one hash for each (account row, signal), never 0; different pairs have different hashes."""
    return _mixed((accounts.astype(np.uint64) << np.uint64(24)) | (signals.astype(np.uint64) + np.uint64(1)))


def _hashes_in(columns: Columns, rows: Ints) -> Hashes:
    hashes: Hashes = columns["hash"][rows]
    return hashes


def _pairs_in(columns: Columns, rows: Ints, *, name: str) -> Hashes:
    return pairs_of(columns["account"][rows], signals=columns[name][rows])


def marks_of(
    accounts: npt.NDArray[np.signedinteger[Any]], *, events: npt.NDArray[np.signedinteger[Any]], users: Hashes
) -> Hashes:
    """Return one hash for each (account row, event, user of `users_of` or 0), never 0."""
    mixed = _mixed(pairs_of(accounts, signals=events) ^ users)
    mixed[mixed == 0] = 1
    return mixed


def _marks_in(columns: Columns, rows: Ints) -> Hashes:
    return marks_of(columns["account"][rows], events=columns["event"][rows], users=columns["user"][rows])


def _uses_in(columns: Columns, rows: Ints) -> Hashes:
    return pairs_of(columns["user"][rows], signals=columns["signal"][rows])


def users_of(accounts: Ints, *, users: Hashes) -> Hashes:
    """Return one hash for each (account row, user hash), never 0."""
    mixed = _mixed(users ^ _mixed(accounts.astype(np.uint64) + np.uint64(1)))
    mixed[mixed == 0] = 1
    return mixed


def rekeyed(hashes: Hashes, *, was: Ints, now: Ints) -> Hashes:
    """Return hashes of `users_of` as they are when the accounts get other rows."""
    return users_of(now, users=_unmixed(hashes) ^ _mixed(was.astype(np.uint64) + np.uint64(1)))


def _mixed(values: Hashes) -> Hashes:
    """Spread the bits of 64-bit values, one to one (the finalizer of MurmurHash3); 0 stays 0."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(_FACTORS[0])
    values = (values ^ (values >> np.uint64(33))) * np.uint64(_FACTORS[1])
    return values ^ (values >> np.uint64(33))


def _unmixed(values: Hashes) -> Hashes:
    """Return what `_mixed` made these of: its steps backwards, with the inverses of its factors mod 2⁶⁴."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(_INVERSES[1])
    values = (values ^ (values >> np.uint64(33))) * np.uint64(_INVERSES[0])
    return values ^ (values >> np.uint64(33))


def _move(front: npt.NDArray[np.int32], *, rows: Ints, days: Ints) -> tuple[Ints, Ints, Ints]:
    """Move fronts forward to the latest of `days`; return the rows that moved, and from and to which day."""
    moved, to = latest(rows, days)
    was = front[moved].astype(np.int64)
    ahead = to > was
    moved, was, to = moved[ahead], was[ahead], to[ahead]
    front[moved] = to
    return moved, was, to
