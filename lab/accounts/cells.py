"""Read single cells: ids, texts, counts, time zones, yes and no."""

from typing import Final
from zoneinfo import ZoneInfo

from services.ingest.core.identity import is_account

MOST_CHARS: Final = 200
MOST_SEATS: Final = 10**9
_YES: Final = frozenset({"true", "yes", "y", "1", "on", "はい", "有", "○", "✓", "✔"})
_NO: Final = frozenset({"false", "no", "n", "0", "off", "いいえ", "無", "×"})


class BadCell(ValueError):
    """A cell that can't be read as its field."""


def identity(value: object) -> str:
    """Return an account's id; raises BadCell."""
    text = str(value)
    if not text:
        raise BadCell("is empty: every row needs the account's id")
    head, e, tail = text.upper().partition("E+")
    if e and tail.isdecimal() and head.replace(".", "", 1).isdecimal():
        raise BadCell(f"{text!r} is how Excel shows a long number: format the column as text and export again")
    if not is_account(text):
        raise BadCell(f"{text[:40]!r} can't be an account's id: 1 to 128 bytes without control characters")
    return text


def words(value: object) -> str:
    """Return a text with single spaces; raises BadCell."""
    text = " ".join(str(value).split())
    if len(text) > MOST_CHARS:
        raise BadCell(f"has {len(text)} characters, at most {MOST_CHARS} are kept: shorten it")
    if not text.isprintable():
        raise BadCell("holds a character that can't be shown: remove it")
    return text


def count(value: object) -> int:
    """Return a whole number: 250, 1,200, 40.0; raises BadCell."""
    text = str(value).replace(",", "").replace(" ", "")
    head, _, tail = text.partition(".")
    if not (head.isascii() and head.isdecimal()) or tail.strip("0") or int(head) > MOST_SEATS:
        raise BadCell(f"{str(value)[:40]!r} is no whole number of seats: write it like 250")
    return int(head)


def zone(value: object) -> str:
    """Return a time zone's name; raises BadCell."""
    try:
        ZoneInfo(str(value))
    except (KeyError, ValueError, OSError):
        remedy = "write it like Asia/Tokyo, or leave the column out with --map timezone="
        raise BadCell(f"{str(value)[:40]!r} is no time zone: {remedy}") from None
    return str(value)


def flag(value: object) -> bool:
    """Return yes or no; raises BadCell."""
    word = str(value).lower()
    if word not in _YES | _NO:
        raise BadCell(f"{str(value)[:40]!r} is neither yes nor no: write true or false")
    return word in _YES
