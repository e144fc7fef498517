"""Say whose event it is: the account it names, the user as a keyed hash, and what it teaches of users' accounts."""

import hmac
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import msgspec

from services.ingest.core.item import MAX_ACCOUNT_BYTES, MAX_ID_CHARS, Call, Item, Reason, Rejection
from services.ingest.core.sources import Path, SourceRules

USER_PREFIX: Final = "u1_"
_TEACHING: Final = frozenset({Call.GROUP, Call.IDENTIFY})


class Belonging(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a user as `churn.identity.v1` keeps it; `at` is when that was true, in epoch ms."""

    account: str
    at: int


Known = Callable[[str], str | None]
"""The account of a user, by `user_key`, or None."""


def user_hasher(key: bytes) -> Callable[[str], str]:
    """Return the function that replaces a user's id: `u1_` + 32 hex digits of HMAC-SHA256 under `key`."""

    @lru_cache(maxsize=1 << 14)
    def hashed(user: str) -> str:
        return USER_PREFIX + hmac.digest(key, user.encode(), "sha256")[:16].hex()

    return hashed


def user_key(source: str, user: str) -> str:
    """Return the Kafka key of a user (already hashed) of a source."""
    return f"{source}/{user}"


def explicit_account(item: Item, rules: SourceRules) -> str | Rejection | None:
    """Return the account an item names itself, first of the source's places, or None."""
    for path in rules.account_from:
        found = _at(item, path)
        if found is None or found == "":
            continue
        if isinstance(found, bool) or not isinstance(found, str | int):
            return Rejection(reason=Reason.INVALID_ACCOUNT, detail=".".join(path), raw=item.raw)
        account = str(found)
        if not is_account(account):
            return Rejection(reason=Reason.INVALID_ACCOUNT, detail=".".join(path), raw=item.raw)
        return account
    return None


@lru_cache(maxsize=1 << 14)
def is_account(text: str) -> bool:
    """Tell whether a text can be an account id: 1 to 128 bytes of UTF-8, printable, not blank."""
    return 0 < len(text.encode()) <= MAX_ACCOUNT_BYTES and text.isprintable() and not text.isspace()


def users_of(item: Item, *, source: str, hashed: Callable[[str], str]) -> tuple[str, ...] | Rejection:
    """Return the keys of every user an item speaks of: the user first, then its anonymous and previous ids."""
    names = [name for name in (item.user, item.anonymous, item.previous) if name is not None]
    if any(len(name) > MAX_ID_CHARS for name in names):
        return Rejection(reason=Reason.INVALID_USER, detail=f"longer than {MAX_ID_CHARS} characters", raw=item.raw)
    return tuple(user_key(source, hashed(name)) for name in names)


def teaches(item: Item, explicit: str | None) -> bool:
    """Tell whether an item says where its users belong: group and identify with an account, and alias."""
    return item.call is Call.ALIAS or (explicit is not None and item.call in _TEACHING)


def first_known(users: Iterable[str], known: Known) -> str | None:
    """Return the account of the first user that has one."""
    return next((account for account in map(known, users) if account is not None), None)


def newer(known: Belonging | None, told: Belonging) -> bool:
    """Tell whether `told` replaces `known`: the later in time wins, at equal times the later told."""
    return known is None or told.at > known.at or (told.at == known.at and told.account != known.account)


def _at(item: Item, path: Path) -> object:
    match path[0]:
        case "groupId":
            return item.group
        case "context":
            found: object = item.context
        case "properties":
            found = item.properties
        case _:
            found = item.traits if item.call is Call.IDENTIFY else {}  # a group's traits are the account's own
    for key in path[1:]:
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found
