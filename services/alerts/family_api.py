"""Answer for a parent account: the accounts below it, level by level, and their roll-up."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

import msgspec
from fastapi import APIRouter, Response, params

from services.alerts.answer import Refused, answer, answers
from services.alerts.core.family import RollUp, roll_up
from shared.contracts.health import AccountHealth
from shared.health_store import HealthStore

MOST_LEVELS: Final = 10
MOST_ACCOUNTS: Final = 2000
"""Below one account; their healths are some megabytes."""


class Family(RollUp, frozen=True, kw_only=True):
    """What lies below an account. `cut`: there is more than ten levels or 2,000 accounts; the rest was left out."""

    account: str
    cut: bool


async def family_of(store: HealthStore, account: str) -> Family:
    """Return the family of an account. One that is its own parent, or its ancestor's, is met once and not followed."""
    met, parents = {account}, [account]
    below: list[tuple[int, AccountHealth]] = []
    for depth in range(1, MOST_LEVELS + 1):
        found = await _children(store, parents, met)
        below += [(depth, health) for health in found]
        parents = [health.account for health in found]
        met.update(parents)
        if not parents or len(below) > MOST_ACCOUNTS:
            break
    cut = len(below) > MOST_ACCOUNTS or bool(await _children(store, parents, met))
    return Family(account=account, cut=cut, **msgspec.structs.asdict(roll_up(below[:MOST_ACCOUNTS])))


async def _children(store: HealthStore, parents: Sequence[str], met: Collection[str]) -> list[AccountHealth]:
    found = await store.children(parents, limit=MOST_ACCOUNTS + 1 + len(met))
    return [health for health in found if health.account not in met]


def tell_families(
    store: HealthStore,
    routes: APIRouter,
    reads: params.Depends,
    *,
    absent: Callable[[str], Awaitable[Refused]],
) -> None:
    """Add the route of a family. It goes before that of an account, whose id may have slashes."""

    @routes.get("/accounts/{account:path}/family", dependencies=[reads], responses=answers(Family, 404))
    async def get_family(account: str) -> Response:
        """Return the accounts below one, by the `parent` that was told of them, with their healths weighted by ARR.

        Children's children are among them. A parent that sends no events of its own has a family too.
        """
        if not await store.is_whole():
            words = "health is still being written; accounts of the family may be missing"
            raise Refused(503, "not_filled", words, retry_after_s=5)
        family = await family_of(store, account)
        if not family.accounts and await store.get(account) is None:
            raise await absent(account)
        return answer(family)
