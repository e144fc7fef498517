"""Tell from an event's name what it may be: a log-in, a page view, an error, something automatic, personal data."""

import re
import unicodedata
from enum import StrEnum
from typing import Final


class Sort(StrEnum):
    """What a name looks like; `use` is everything else."""

    USE = "use"
    LOG_IN = "a log-in"
    LOG_OUT = "a log-out"
    PAGE = "a page view"
    ERROR = "an error"
    AUTOMATIC = "automatic"
    PERSONAL = "personal data"


_PERSONAL: Final = re.compile(
    r"[^\s@]+@[^\s@]+\.[a-z]{2,}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-"
    r"|(?<!\d)\+?\d[\d .()-]{7,}\d"
    r"|\d{6,}"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b",
    re.IGNORECASE,
)
_PAGE: Final = re.compile(
    r"^viewed .*(?:page|screen)$|^\$?(?:page|screen) ?view(?:s|ed)?$|^\$?page ?leave$|ページ(?:表示|閲覧)|画面表示"
)
_ERROR: Final = re.compile(
    r"\b(?:error|errors|fail|fails|failed|failure|exception|crash|crashed|timeout|timed out|denied|rejected|invalid)\b"
    r"|エラー|失敗|例外"
)
_AUTOMATIC: Final = re.compile(
    r"\b(?:sync|synced|synchroni[sz]ed|cron|webhook|scheduled|scheduler|heartbeat|health ?check|healthcheck|ping|poll"
    r"|polled|polling|batch|nightly|background|automatic|automatically|automated|api|integration|bot|robot|job)\b"
    r"|自動|定期|バッチ|同期"
)
_LOG_OUT: Final = re.compile(
    r"\b(?:log|sign)(?:ged|ed)? ?(?:out|off)\b|\bsession (?:end|ended|expired)\b|ログアウト|サインアウト"
)
_LOG_IN: Final = re.compile(
    r"\b(?:log|sign)(?:ged|ed|s)? ?(?:in|on)\b|\blogins?\b|\bsession (?:start|started|begun)\b|\bauthenticated\b"
    r"|ログイン|サインイン|ログオン"
)
_NO_LOG_IN: Final = re.compile(
    r"\b(?:page|button|click|clicked|attempt|attempted|prompt|prompted|required|link|form|view|viewed|impersonat\w*"
    r"|as user|as customer|invite|invited|settings?|enabled|disabled|count|report)\b|画面|ページ|ボタン|設定|試行|代理"
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def sort_of(name: str) -> Sort:
    """Return what a name looks like."""
    if _PERSONAL.search(name):
        return Sort.PERSONAL
    plain = spelt(name)
    if _PAGE.search(plain):
        return Sort.PAGE
    if _ERROR.search(plain):
        return Sort.ERROR
    if _LOG_OUT.search(plain):
        return Sort.LOG_OUT
    if _LOG_IN.search(plain):
        return Sort.USE if _NO_LOG_IN.search(plain) else Sort.LOG_IN
    return Sort.AUTOMATIC if _AUTOMATIC.search(plain) else Sort.USE


def spelt(name: str) -> str:
    """Return a name in lower case with single spaces: `userLoggedIn`, `user_logged_in` are `user logged in`."""
    text = _CAMEL.sub(" ", unicodedata.normalize("NFKC", name))
    return " ".join(re.split(r"[\s_:./>-]+", text)).strip().lower()


def masked(name: str) -> str:
    """Return a name with what looks personal in it covered."""
    return _PERSONAL.sub(lambda found: f"{found[0][:2]}…", name)
