"""Change one value of a configuration at a time: what no case notices, nobody would notice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from msgspec import inspect

from lab.scorecard.suite import Contents, Suite
from services.scorer.calendars import NAME as CALENDARS
from services.scorer.calendars import CalendarSettings
from services.scorer.core.bundle import ConfigError, Rules, Scorecard
from services.scorer.core.feature_table import FEATURES
from services.scorer.core.journey import Journey
from shared.contracts.fault import Key

SHAPES: Final[Mapping[str, type]] = {"scorecard": Scorecard, "rules": Rules, CALENDARS: CalendarSettings}
"""What files hold, by name; the others, cases with a journey among them, hold a journey."""
STEP: Final = 20
"""A number is moved by a twentieth of itself, at least by one."""
LEFT_OUT: Final = "left out"
_OPTIONAL: Final = frozenset(
    {"closed", "countries", "milestones", "all_of", "any_of", "all", "any", "minimum", "critical"}
)
"""Of these each entry is left out once, beside the words of lists."""
_UNSET: Final[Mapping[str, str]] = {"default_country": "JP", "default_timezone": "Asia/Tokyo"}
"""What stands instead of null."""
_FEATURES: Final = list(FEATURES)
_LEAP_YEAR: Final = 2024


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One value that is another: `key` begins with the name of the file."""

    key: Key
    before: object
    after: object

    def __str__(self) -> str:
        is_short = not isinstance(self.before, Mapping | list)
        return f"{self.before} -> {self.after}" if is_short else f"{self.after}"


def mutations(contents: Contents, *, shapes: Mapping[str, type] = SHAPES) -> Iterator[Mutation]:
    """Yield every change of one value of a configuration.

    Each number up and down, each choice to every other, each date to the days beside it, each feature to those beside
    it in the list, each event to another; words and entries that may be left out, left out.
    """
    for name, content in contents.items():
        choices = dict(_choices(inspect.type_info(shapes.get(name, Journey))))
        yield from _mutations(content, (name,), choices=choices)


def tried(suite: Suite, *, each: int = 1) -> Iterator[tuple[Mutation, bool]]:
    """Yield the mutations of a configuration, one of `each`, and whether a case notices.

    Those that are refused aren't there, nor those of the calendars after which the same days are off.
    """
    for mutation in list(mutations(suite.contents))[::each]:
        contents = changed(suite.contents, mutation.key, after=mutation.after)
        try:
            if mutation.key[0] != CALENDARS or suite.has_other_days(contents):
                yield mutation, suite.notices(contents)
        except ConfigError:
            continue


def changed(value: Any, key: Key, *, after: object) -> Any:
    """Return a parsed file with another value at a key; what lies beside the way there is shared."""
    if not key:
        return after
    copy: Any = dict(value) if isinstance(value, Mapping) else list(value)
    if len(key) == 1 and after is LEFT_OUT:
        del copy[key[0]]
    else:
        copy[key[0]] = changed(value[key[0]], key[1:], after=after)
    return copy


def _mutations(value: object, key: Key, *, choices: Mapping[str, Sequence[str]]) -> Iterator[Mutation]:
    if isinstance(value, Mapping | list):
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, inner in entries:
            if key[-1] in _OPTIONAL or (isinstance(value, list) and isinstance(inner, str)):
                yield Mutation(key=(*key, name), before=inner, after=LEFT_OUT)
            yield from _mutations(inner, (*key, name), choices=choices)
    else:
        field = next(str(part) for part in reversed(key) if isinstance(part, str))
        for other in _others(value, field, choices=choices.get(field, ())):
            yield Mutation(key=key, before=value, after=other)


def _others(value: object, field: str, *, choices: Sequence[str]) -> Sequence[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        step = max(1, abs(value) // STEP)
        return [value - step, value + step]
    if value is None:
        return [_UNSET[field]] if field in _UNSET else []
    return _other_words(str(value), field, choices=choices)


def _other_words(word: str, field: str, *, choices: Sequence[str]) -> Sequence[str]:
    if word in choices:
        return [other for other in choices if other != word]
    if field == "feature" and word in FEATURES:
        place = _FEATURES.index(word)
        return [*_FEATURES[max(0, place - 1) : place], *_FEATURES[place + 1 : place + 2]]
    if field in {"from", "to"}:
        day = date.fromisoformat(f"{_LEAP_YEAR}-{word}")
        return [f"{day + timedelta(days=step):%m-%d}" for step in (-1, 1)]
    return [f"{word} 2"] if field == "event" else []


def _choices(
    shape: inspect.Type, *, name: str = "", inside: Sequence[type] = ()
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield every field that is one of a few words, with these; what lies `inside` itself is known."""
    match shape:
        case inspect.StructType(cls=cls, fields=fields) if cls not in inside:
            for field in fields:
                yield from _choices(field.type, name=field.encode_name, inside=(*inside, cls))
        case inspect.LiteralType(values=values):
            yield name, [str(value) for value in values]
        case inspect.EnumType(cls=words):
            yield name, [word.value for word in words]
        case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
            yield from _choices(inner, name=name, inside=inside)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _choices(one, name=name, inside=inside)
