"""Change one value of a configuration at a time: what no case notices, nobody would notice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import inspect

from lab.scorecard.case import CaseFile
from lab.scorecard.expected import differences
from lab.scorecard.given import Accounts
from services.scorer.core.bundle import CompiledBundle, ConfigError, Rules, Scorecard
from services.scorer.core.compile import compile_bundle
from shared.contracts.fault import Key

MUTATED: Final[Mapping[str, type]] = {"scorecard": Scorecard, "rules": Rules}
"""The files whose values are changed, by what they hold."""
STEP: Final = 20
"""A number is moved by a twentieth of itself, at least by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One value that is another: `key` begins with the name of the file."""

    key: Key
    before: object
    after: object

    def __str__(self) -> str:
        return f"{self.before} -> {self.after}"


def mutations(config: Mapping[str, Any]) -> Iterator[Mutation]:
    """Yield every change of one value of a configuration: each number up and down, each choice to every other."""
    for name, shape in MUTATED.items():
        choices = dict(_choices(inspect.type_info(shape), name=""))
        yield from _mutations(config[name], (name,), choices=choices)


def noticed(mutation: Mutation, config: Mapping[str, Any], *, files: Sequence[tuple[CaseFile, Accounts]]) -> bool:
    """Say whether a case fails once the value is changed; raises ConfigError where the change is refused."""
    bundle = compile_bundle("", _changed(config, mutation.key, value_at=mutation.after))
    return any(_fails(file, accounts, bundle=bundle) for file, accounts in files)


def unnoticed(
    config: Mapping[str, Any], *, files: Sequence[tuple[CaseFile, Accounts]], each: int = 1
) -> tuple[list[Mutation], int]:
    """Return the mutations that no case notices, and how many were tried: one of `each`, none that is refused."""
    missed, tried = [], 0
    for mutation in list(mutations(config))[::each]:
        try:
            missed += [] if noticed(mutation, config, files=files) else [mutation]
            tried += 1
        except ConfigError:
            continue
    return missed, tried


def _fails(file: CaseFile, accounts: Accounts, *, bundle: CompiledBundle) -> bool:
    return any(any(differences(case, found)) for case, found in zip(file.cases, accounts.judged(bundle), strict=True))


def _mutations(value: object, key: Key, *, choices: Mapping[str, Sequence[str]]) -> Iterator[Mutation]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _mutations(inner, (*key, name), choices=choices)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _mutations(inner, (*key, place), choices=choices)
    else:
        for other in _others(value, choices.get(str(key[-1]), ())):
            yield Mutation(key=key, before=value, after=other)


def _others(value: object, choices: Sequence[str]) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        step = max(1, abs(value) // STEP)
        return [value - step, value + step]
    return [other for other in choices if value in choices and other != value]


def _choices(shape: inspect.Type, *, name: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield every field that is one of a few words, with these."""
    match shape:
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from _choices(field.type, name=field.encode_name)
        case inspect.LiteralType(values=values):
            yield name, [str(value) for value in values]
        case inspect.EnumType(cls=words):
            yield name, [word.value for word in words]
        case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
            yield from _choices(inner, name=name)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _choices(one, name=name)


def _changed(value: Any, key: Key, *, value_at: object) -> Any:
    """Return a parsed file with another value at a key; what lies beside the way there is shared."""
    if not key:
        return value_at
    copy: Any = dict(value) if isinstance(value, Mapping) else list(value)
    copy[key[0]] = _changed(value[key[0]], key[1:], value_at=value_at)
    return copy
