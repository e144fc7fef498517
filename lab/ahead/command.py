"""`churnwatch ahead`: say what becomes of an account if nothing happens, and what would bring it back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from lab.ahead.alone import Alone
from lab.ahead.future import NOT_AT_RISK, Standing, Turn, fell, standing, turns
from lab.ahead.reading import read_account
from lab.ahead.remedy import MOST_EVENTS, Remedy, acts_of, remedies
from lab.trouble import Trouble
from lab.verify import VerifySettings
from shared import clock
from shared.contracts.health import AccountHealth
from shared.kafka import wait_ready
from shared.settings import load

MOST_DAYS: Final = 91
SHOWN: Final = 3


async def ahead(account: str, *, days: int = 28) -> None:
    """Show what becomes of an account if nothing happens, and the fewest events that would bring it back.

    All of it is found by going on with a copy of the account's state; nothing is written anywhere.

    Parameters
    ----------
    account
        Its id.
    days
        How far to look, at most 91.
    """
    if not 1 <= days <= MOST_DAYS:
        raise Trouble(f"--days {days}: is no number from 1 to {MOST_DAYS}")
    settings = load(VerifySettings)
    await wait_ready(settings.kafka, 5.0)
    key = settings.dead_letter_key.get_secret_value() if settings.dead_letter_key else None
    found = await read_account(settings.kafka, account, key=key)
    for line in told(found, at=max(clock.now_ms(), found.clock + 1), days=days):
        print(line)


def told(account: Alone, *, at: int, days: int) -> Iterator[str]:
    """Yield the lines about an account as of a moment, the clock's or later."""
    now = account.now(at)
    yield f"{now.account}: {_how(now)} on {_when(at)}"
    future = list(turns(account.copy(), days=days))
    yield "if nothing happens:" if future else f"if nothing happens it stays so for {days} days"
    yield from (f"  {_when(turn.now.at)}  {_turn(turn)}" for turn in future)
    if fell(now, since=NOT_AT_RISK):
        yield from _remedies(account, wanted=NOT_AT_RISK)
    elif any(turn.is_worse for turn in future):
        account, turn = _at_first_fall(account, days=days)
        yield from _remedies(account, wanted=standing(turn.before))


def _at_first_fall(account: Alone, *, days: int) -> tuple[Alone, Turn]:
    """Return the account as it is right after the first turn for the worse."""
    there = account.copy()
    return there, next(turn for turn in turns(there, days=days) if turn.is_worse)


def _remedies(account: Alone, *, wanted: Standing) -> Iterator[str]:
    found = remedies(account, acts_of(account.bundle, unused=account.unused()), wanted=wanted)
    if not found:
        yield f"nothing that was tried, of up to {MOST_EVENTS} events, brings it back to {wanted.band}"
        return
    count = len(found[0].acts)
    yield f"back to {wanted.band} by {count} event{'' if count == 1 else 's'} on {_when(found[0].at)}:"
    yield from (f"  {_remedy(remedy)}" for remedy in found[:SHOWN])
    if len(found) > SHOWN:
        yield f"  or {len(found) - SHOWN} other sets of as many"


def _remedy(remedy: Remedy) -> str:
    words = [act.words for act in remedy.acts]
    counted = [f"{words.count(one)} × {one}" if words.count(one) > 1 else one for one in dict.fromkeys(words)]
    return f"{' + '.join(counted)}: {_how(remedy.health)} from {_when(remedy.back_at)}"


def _turn(turn: Turn) -> str:
    before, now = standing(turn.before).episodes, standing(turn.now).episodes
    opened = [f"{rule} opens" for rule in now if rule not in before]
    worse = [f"{rule} becomes critical" for rule in now if now[rule] > before.get(rule, now[rule])]
    eased = [f"{rule} eases" for rule in now if now[rule] < before.get(rule, now[rule])]
    ended = [f"{rule} ends" for rule in before if rule not in now]
    return "; ".join([_how(turn.now), *opened, *worse, *eased, *ended])


def _how(health: AccountHealth) -> str:
    return health.band if health.health is None else f"{health.band}, health {health.health / 1000:.1f}"


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%a %Y-%m-%d %H:%M UTC")
