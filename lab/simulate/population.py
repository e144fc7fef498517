"""Draw who the customers are, and how each of their users works through a week."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.simulate.places import PLACES
from lab.simulate.vendor import Dice, Flags, Floats, Ints, Vendor

SEGMENTS: Final = ("smb", "mid", "enterprise")
SEGMENT_SHARES: Final = (0.6, 0.3, 0.1)
SEATS: Final = np.array([8, 40, 200])
PRICE_A_SEAT: Final = np.array([240, 300, 360])
YEAR_DAYS: Final = 365
CHAMPION_USES: Final = 1.6
"""How much more than others the most active user does."""
WEEKEND_ACCOUNTS: Final = 0.12
LATE_ACCOUNTS: Final = 0.05
INTEGRATED: Final = 0.2
"""Share of accounts whose own programs use the product from the start, half as much as their people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """N accounts and U users, the users of an account in a row, the most active first: its champion.

    `first` (N + 1) is where an account's users begin, `joined` (N) the day it signed up (below 0: before the first
    day), `burst` (N) the shape of the gamma distribution its days are multiplied with: the lower, the burstier.
    `rate` (U) is events a workday, `week` (U, 7) what of it each weekday has, `begins` and `span` (U) the working day
    in local hours, `apps` (U, 2) the sources used mostly and sometimes. `volume` (N) is what all users do on a workday.
    """

    names: Sequence[str]
    segment: Ints
    seats: Ints
    country: Ints
    joined: Ints
    burst: Floats
    integration: Floats
    first: Ints
    account: Ints
    place: Ints
    rate: Floats
    week: Floats
    begins: Floats
    span: Floats
    apps: Ints
    volume: Floats
    champion_share: Floats

    def __len__(self) -> int:
        """Return how many accounts there are."""
        return len(self.names)

    @property
    def users(self) -> Ints:
        """How many users each account has: at least 2."""
        return np.diff(self.first)

    def renews(self, day: int) -> Flags:
        """Say whose contract ends on a day: every 365 days after the signature."""
        age = day - self.joined
        ends: Flags = (age > 0) & (age % YEAR_DAYS == 0)
        return ends


def population_of(vendor: Vendor) -> Population:
    """Return a vendor's customers, a function of its seed."""
    dice, count = vendor.dice(Dice.POPULATION), vendor.accounts
    segment = dice.choice(len(SEGMENTS), count, p=SEGMENT_SHARES)
    seats = np.maximum(2, (SEATS[segment] * dice.lognormal(0, 0.4, count)).astype(np.int64))
    users = np.maximum(2, (seats * dice.beta(4, 3, count)).astype(np.int64))
    first = np.concatenate([[0], np.cumsum(users)])
    account = np.repeat(np.arange(count), users)
    rate = _rates(vendor, account, first=first, dice=dice)
    volume = np.add.reduceat(rate, first[:-1])
    begins, span = _hours(account, count, dice=dice)
    return Population(
        names=[f"acct-{n:06d}" for n in range(count)],
        segment=segment,
        seats=seats,
        country=_countries(vendor, dice),
        joined=_joined(vendor, dice),
        burst=np.clip(dice.lognormal(np.log(5), 0.9, count), 0.4, 50),
        integration=np.where(dice.random(count) < INTEGRATED, 0.5 * volume, 0.0),
        first=first,
        account=account,
        place=np.arange(len(account)) - first[:-1][account],
        rate=rate,
        week=_weeks(account, count, dice=dice),
        begins=begins,
        span=span,
        apps=_apps(vendor, account, dice=dice),
        volume=volume,
        champion_share=rate[first[:-1]] / volume,
    )


def _countries(vendor: Vendor, dice: np.random.Generator) -> Ints:
    shares = np.array([PLACES[country].share for country in vendor.countries])
    return dice.choice(len(shares), vendor.accounts, p=shares / shares.sum())


def _joined(vendor: Vendor, dice: np.random.Generator) -> Ints:
    before = -dice.integers(1, YEAR_DAYS + 1, vendor.accounts)
    during = dice.integers(0, max(1, vendor.days * 3 // 4), vendor.accounts)
    return np.where(dice.random(vendor.accounts) < vendor.joining, during, before)


def _rates(vendor: Vendor, account: Ints, *, first: Ints, dice: np.random.Generator) -> Floats:
    rate = vendor.user_events_a_day * dice.lognormal(-0.3, 0.8, len(account))
    ordered: Floats = rate[np.lexsort((-rate, account))]
    ordered[first[:-1]] *= CHAMPION_USES
    return ordered


def _hours(account: Ints, accounts: int, *, dice: np.random.Generator) -> tuple[Floats, Floats]:
    opens = dice.normal(8.8, 0.7, accounts) + np.where(dice.random(accounts) < LATE_ACCOUNTS, 5.0, 0.0)
    span = dice.uniform(6, 10, len(account))
    begins = opens[account] + dice.normal(0, 0.6, len(account))
    return np.clip(begins, 4, 23.9 - span), span


def _weeks(account: Ints, accounts: int, *, dice: np.random.Generator) -> Floats:
    week = dice.lognormal(0, 0.25, (len(account), 7)) * (dice.random((len(account), 7)) < 0.93)
    open_at_weekends = (dice.random(accounts) < WEEKEND_ACCOUNTS)[account]
    week[:, 5:] *= np.where(open_at_weekends, 0.35, 0.02)[:, None]
    week[:, 4] *= 0.9
    return week


def _apps(vendor: Vendor, account: Ints, *, dice: np.random.Generator) -> Ints:
    """Return the sources of each user: an account has a main one, two of five accounts a second one."""
    count = len(vendor.sources)
    main = dice.integers(0, count, vendor.accounts)
    second = np.where(dice.random(vendor.accounts) < 0.4, (main + 1) % count, main)
    return np.stack([main, second], axis=1)[account]
