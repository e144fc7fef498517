"""Roll the healths of the accounts below a parent up into one, weighted by ARR (docs/accounts.md)."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from shared.contracts.events import SubscriptionStatus
from shared.contracts.health import AccountHealth, Band

AT_RISK: Final = frozenset({Band.AT_RISK, Band.CRITICAL})


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An account below another: `weight` is its part in the roll-up, 0 where it has none.

    `depth` is 1 for a child, 2 for a child's child; health in milli-points, `arr` in whole units of `currency`.
    """

    account: str
    name: str | None
    parent: str | None
    depth: int
    health: int | None
    band: Band
    arr: int | None
    currency: str | None
    weight: int


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """Money a year in one currency (null where none was told): all of it, and what accounts at risk or critical pay."""

    currency: str | None
    arr: int
    at_risk: int


class RollUp(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts below one as a whole: `health` is their mean by weight, in milli-points, null without any.

    Of `accounts` in all, `unknown` have no health and `ended` are customers no more: neither is in the mean, and what
    ended pays nothing. `members` are those that have not ended, worst health first, unknown ones last.
    """

    health: int | None
    by_arr: bool
    """False: no ARR is known, or it is in several currencies, and all weigh the same."""
    accounts: int
    unknown: int
    ended: int
    bands: dict[Band, int]
    arr: list[Amount]
    worst: Member | None
    members: list[Member]


def roll_up(below: Sequence[tuple[int, AccountHealth]]) -> RollUp:
    """Return the whole of accounts, each given with its depth.

    An account weighs its ARR; one without weighs as much as the smallest of the others. The mean is rounded down.
    """
    going = [(depth, health) for depth, health in below if not _has_ended(health)]
    known = [health for _, health in going if health.health is not None]
    by_arr = len({h.attributes.currency for h in known if _arr(h)}) == 1
    least = min((_arr(health) for health in known if _arr(health)), default=1)
    weights = {health.account: (_arr(health) or least) if by_arr else 1 for health in known}
    whole = sum(weights.values())
    members = sorted((_member(depth, health, weights) for depth, health in going), key=_worst_first)
    return RollUp(
        health=sum(weights[h.account] * (h.health or 0) for h in known) // whole if whole else None,
        by_arr=by_arr,
        accounts=len(below),
        unknown=len(going) - len(known),
        ended=len(below) - len(going),
        bands=dict(Counter(health.band for _, health in going)),
        arr=_amounts([health for _, health in going]),
        worst=members[0] if known else None,
        members=members,
    )


def _has_ended(health: AccountHealth) -> bool:
    told = health.attributes
    return bool(told.deleted) or told.subscription == SubscriptionStatus.CANCELLED


def _arr(health: AccountHealth) -> int:
    return max(0, health.attributes.arr or 0)


def _member(depth: int, health: AccountHealth, weights: dict[str, int]) -> Member:
    told = health.attributes
    return Member(
        account=health.account,
        name=told.name,
        parent=told.parent,
        depth=depth,
        health=health.health,
        band=health.band,
        arr=told.arr,
        currency=told.currency,
        weight=weights.get(health.account, 0),
    )


def _worst_first(member: Member) -> tuple[bool, int, int, str]:
    return member.health is None, member.health or 0, -(member.arr or 0), member.account


def _amounts(healths: Sequence[AccountHealth]) -> list[Amount]:
    whole, at_risk = Counter[str | None](), Counter[str | None]()
    for health in healths:
        currency = health.attributes.currency
        whole[currency] += _arr(health)
        at_risk[currency] += _arr(health) if health.band in AT_RISK else 0
    return [
        Amount(currency=currency, arr=whole[currency], at_risk=at_risk[currency])
        for currency in sorted(whole, key=lambda name: (-whole[name], name or ""))
        if whole[currency]
    ]
