"""Read money as exports write it; a column has one way to write decimals, and what stays unclear is refused."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

MOST: Final = 10**15
SIGNS: Final = {
    "$": "USD",
    "US$": "USD",
    "A$": "AUD",
    "AU$": "AUD",
    "C$": "CAD",
    "CA$": "CAD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "NT$": "TWD",
    "R$": "BRL",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "\\": "JPY",  # how CP932 writes the yen sign
    "円": "JPY",
    "元": "CNY",
    "₩": "KRW",
    "₹": "INR",
    "₺": "TRY",
    "₪": "ILS",
    "zł": "PLN",
}
_CODES: Final = """
AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KRW MAD MXN MYR NGN NOK NZD PEN
PHP PKR PLN QAR RON RSD SAR SEK SGD THB TRY TWD UAH USD UYU VND ZAR
"""
CODES: Final = frozenset(_CODES.split())
_UNITS: Final = {
    "k": 10**3,
    "m": 10**6,
    "mn": 10**6,
    "mio": 10**6,
    "b": 10**9,
    "bn": 10**9,
    "千": 10**3,
    "万": 10**4,
    "百万": 10**6,
    "億": 10**8,
}
_CURRENCY: Final = "|".join([*(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True)), "[A-Z]{3}"])
_SPELT: Final = re.compile(
    rf"(?P<before>{_CURRENCY})? ?(?P<number>\d[\d.,' ]*\d|\d) ?"
    rf"(?P<unit>(?i:bn|mn|mio|[kmb])|百万|[千万億])?\.? ?(?P<after>{_CURRENCY})?"
)
_REMEDY: Final = "write it like 48000, or say --decimal point or --decimal comma"


class BadMoney(ValueError):
    """A text that is no amount, or not surely one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in whole units, and its currency if the text tells one."""

    amount: int
    currency: str | None = None


def decimal_sign(texts: Iterable[str]) -> str | None:
    """Return which of `.` and `,` a column writes before decimals, by the first value that shows it."""
    for text in texts:
        spelt = _SPELT.fullmatch(_plain(text))
        sign = _shows(spelt["number"]) if spelt else None
        if sign:
            return sign
    return None


def read_money(value: object, *, seen: str | None = None, told: str | None = None) -> Money:
    """Return an amount. Raises BadMoney.

    `seen` is the sign before decimals that the column's other values show, `told` what the command was told. 1.234 is
    refused unless a decimal comma is seen or either is told: no amount in whole units is meant to have three decimals.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _checked(Decimal(str(value)), None, said=str(value))
    said = str(value)
    spelt = _SPELT.fullmatch(_plain(said))
    if spelt is None:
        raise BadMoney(f"{said[:40]!r} is no amount of money: write it like 48000 or $48,000")
    currencies = {_code(token, said=said) for token in (spelt["before"], spelt["after"]) if token}
    if len(currencies) > 1:
        raise BadMoney(f"{said!r} names two currencies: {' and '.join(sorted(currencies))}")
    number = _number(spelt["number"], seen=seen, told=told, said=said)
    unit = _UNITS[spelt["unit"].lower()] if spelt["unit"] else 1
    return _checked(number * unit, next(iter(currencies), None), said=said)


def read_currency(value: object) -> str:
    """Return the code of a currency given as code or sign. Raises BadMoney."""
    said = _plain(str(value))
    return _code(said if said in SIGNS else said.upper(), said=said)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u2019", "'").strip()


def _code(token: str, *, said: str) -> str:
    code = SIGNS.get(token, token)
    if code not in CODES:
        raise BadMoney(f"{said[:40]!r}: no currency is called {token!r}; write its code, like EUR")
    return code


def _shows(number: str) -> str | None:
    """Return the sign before decimals that a number proves, None if it could be written either way."""
    signs = [letter for letter in number if letter in ".,"]
    if not signs:
        return None
    if len(set(signs)) == 2:
        return signs[-1]
    if len(signs) > 1:
        return _OTHER[signs[0]]
    head, _, tail = number.partition(signs[0])
    # 1.234 may be either; 12.5, 1234.567 and 0.125 hold decimals
    return signs[0] if len(tail) != 3 or len(head) > 3 or head == "0" else None


def _number(number: str, *, seen: str | None, told: str | None, said: str) -> Decimal:
    shown, column = _shows(number), told or seen
    if shown and column and shown != column:
        raise BadMoney(f"{said!r} has a decimal {_NAMES[shown]}, others in the column a decimal {_NAMES[column]}")
    if shown is None and told is None and _may_be_decimal(number, seen=seen):
        sign = "," if "," in number else "."
        raise BadMoney(f"{said!r} may be {number.replace(sign, '')} or {number.partition(sign)[0]}: {_REMEDY}")
    whole, point, cents = number.partition(shown or column or ".")
    groups = re.split("[., ']", whole)
    is_grouped = all(len(group) == 3 for group in groups[1:]) and (len(groups) == 1 or 1 <= len(groups[0]) <= 3)
    if not is_grouped or (point and not cents.isdecimal()):
        raise BadMoney(f"{said!r} is no amount of money: its digits are grouped oddly; {_REMEDY}")
    return Decimal("".join(groups) + (f".{cents}" if point else ""))


def _may_be_decimal(number: str, *, seen: str | None) -> bool:
    """Tell whether the one sign in 1.234 or 1,234 may stand before decimals."""
    return ("." in number and seen != ",") or ("," in number and seen == ",")


def _checked(amount: Decimal, currency: str | None, *, said: str) -> Money:
    if not amount.is_finite() or not 0 <= amount <= MOST:
        raise BadMoney(f"{said!r} is no amount a contract has")
    return Money(amount=round(amount), currency=currency)


_OTHER: Final = {".": ",", ",": "."}
_NAMES: Final = {".": "point", ",": "comma"}
