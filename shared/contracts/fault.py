"""Say what is wrong with a parsed configuration: every fault at once, each with the key it stands at."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

Key = tuple[Hashable, ...]
"""Where something stands: names of mappings and places in lists (from 0), from the top of the file."""


class Fault(NamedTuple):
    """One thing that is wrong, and where."""

    key: Key
    text: str

    def __str__(self) -> str:
        return f"{name_of(self.key)}: {self.text}" if self.key else self.text


def name_of(key: Key) -> str:
    """Return a key as people write it: `rules[3].all[0].feature`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in key]
    return "".join(parts).removeprefix(".")


def faults_of_shape(content: object, shape: Any, *, key: Key = ()) -> Iterator[Fault]:
    """Yield whatever keeps parsed YAML or JSON from being a `shape` (any type that msgspec converts to).

    msgspec stops at the first fault and doesn't name the keys of mappings: where it refuses a value, its parts are
    looked at one by one, and only if they are all right the fault is the value's own.
    """
    try:
        msgspec.convert(content, shape)
    except msgspec.ValidationError as refused:
        inner = list(_inner_faults(content, _bare(shape), key=key))
        yield from inner or [Fault(key, _plain(str(refused)))]


def _inner_faults(content: object, shape: Any, *, key: Key) -> Iterator[Fault]:
    kind, arguments = get_origin(shape) or shape, get_args(shape)
    if isinstance(content, Mapping) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _struct_faults(content, kind, key=key)
    elif isinstance(content, Mapping) and kind is dict:
        for name, value in content.items():
            yield from faults_of_shape(name, arguments[0], key=(*key, name))
            yield from faults_of_shape(value, arguments[1], key=(*key, name))
    elif isinstance(content, Sequence) and not isinstance(content, str) and kind in {list, tuple}:
        shapes = arguments if kind is tuple else arguments * len(content)
        for place, (value, one) in enumerate(zip(content, shapes, strict=False)):
            yield from faults_of_shape(value, one, key=(*key, place))


def _struct_faults(content: Mapping[Any, object], shape: type[msgspec.Struct], *, key: Key) -> Iterator[Fault]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    for name, value in content.items():
        if name in fields:
            yield from faults_of_shape(value, fields[name].type, key=(*key, name))
        elif shape.__struct_config__.forbid_unknown_fields:
            yield Fault((*key, name), f"unknown key; known are {', '.join(fields)}")
    for name, field in fields.items():
        if field.required and name not in content:
            yield Fault(key, f"{name} is missing")


def _bare(shape: Any) -> Any:
    """Return a type without its annotations, and without None beside another."""
    if get_origin(shape) is Annotated:
        return _bare(get_args(shape)[0])
    if get_origin(shape) in {Union, UnionType}:
        others = [one for one in get_args(shape) if one is not NoneType]
        return _bare(others[0]) if len(others) == 1 else shape
    return shape


def _plain(refused: str) -> str:
    """Return msgspec's words without its own idea of the place."""
    text = refused.partition(" - at `")[0].replace("`", "")
    return text[:1].lower() + text[1:]
