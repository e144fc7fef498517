"""Name the signals under which events are counted (docs/scoring.md §3), and the groups of them that features count."""

from collections.abc import Mapping, Sequence
from typing import Final

LOGIN: Final = 0
USAGE: Final = 1
OUTCOME: Final = 2
TICKET: Final = 3
FIRST_NAMED: Final = 4
"""From here on signals are numbered as they come up, each under a name: that of a key feature, or one of CLASSES."""

CLASSES: Final[Mapping[str, str]] = {
    "automation": "\0automation",
    "exports": "\0export",
    "admin": "\0admin",
    "errors": "\0error",
    "removals": "\0removal",
}
"""Names of the signals that are made of many events; no key feature may begin with NUL."""
KEY_FEATURE: Final = "key feature"

_OF_EVENTS: Final = {"logins": LOGIN, "usage": USAGE, "outcomes": OUTCOME, "tickets": TICKET}
_NUMBERS: Final = {name: number for number, name in enumerate([*_OF_EVENTS, *CLASSES, KEY_FEATURE])}
_BY_HAND: Final = ("logins", "usage", "exports", "admin", "errors", KEY_FEATURE)

GROUPS: Final[Mapping[str, frozenset[int]]] = {
    **{name: frozenset({number}) for name, number in _NUMBERS.items()},
    "hand_use": frozenset(_NUMBERS[name] for name in _BY_HAND),
    "events": frozenset(_NUMBERS[name] for name in (*_BY_HAND, "automation", "outcomes")),
}
"""Codes (of `codes_of`) of the signals that count together, by what features call them."""


def codes_of(named: Sequence[str]) -> list[int]:
    """Return the code of every signal by its number; `named` are the names of those from FIRST_NAMED on."""
    classes = {name: _NUMBERS[group] for group, name in CLASSES.items()}
    return [*_OF_EVENTS.values(), *(classes.get(name, _NUMBERS[KEY_FEATURE]) for name in named)]
