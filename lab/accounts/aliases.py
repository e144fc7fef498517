"""Find ids that look like one account written in several ways."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_PREFIX: Final = re.compile(
    r"(?:https?://)?(?:www\.)?(?:(?:account|acct|acc|customer|cust|company|org|tenant)[-_:/ ])?"
)
_COUNTRY_DOMAIN: Final = re.compile(r"\.(?:co|com|ne|or|ac|go)\.[a-z]{2}/?$")
_DOMAIN: Final = re.compile(
    r"\.(?:com|net|org|io|co|ai|app|dev|cloud|biz|info|eu|jp|de|fr|uk|us|ca|au|in|nl|ch|kr|cn)/?$"
)
_SUFFIX: Final = re.compile(
    r"[-_., ]*(?<![a-z])"
    r"(?:inc|incorporated|ltd|limited|llc|llp|gmbh|ag|kg|corp|corporation|co|company|plc|sa|sas|bv|kk|pty)\.?$"
)
_JAPANESE: Final = re.compile(r"株式会社|有限会社|合同会社|\(株\)|㈱")
_SALESFORCE: Final = re.compile(r"001[0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?")
_ZEROS: Final = re.compile(r"(?<![0-9])0+(?=[0-9])")


def aliases(ids: Iterable[str]) -> Sequence[Sequence[str]]:
    """Return the groups of ids that look alike, each sorted: case, `www.`, domain, company form, leading zeros."""
    groups: dict[str, list[str]] = {}
    for account in ids:
        groups.setdefault(stem(account), []).append(account)
    return sorted(sorted(set(group)) for group in groups.values() if len(set(group)) > 1)


def stem(account: str) -> str:
    """Return what is left of an id without what people add to a name.

    Salesforce's ids are compared by their first 15 characters, case kept: the 18-character form adds a checksum, and
    two ids that differ by case only are two accounts.
    """
    if _SALESFORCE.fullmatch(account) and len(account) in {15, 18}:
        return account[:15]
    bare = _JAPANESE.sub("", account.casefold().strip())
    bare = _PREFIX.sub("", bare, count=1)
    bare = _DOMAIN.sub("", _COUNTRY_DOMAIN.sub("", bare))
    before = ""
    while bare != before:
        before, bare = bare, _SUFFIX.sub("", bare)
    bare = _ZEROS.sub("", bare)
    letters = "".join(letter for letter in bare if letter.isalnum())
    return letters or account
