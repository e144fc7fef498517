"""Leave out, at the edge, what no customer did: staff, impersonation, bots, by the traits a source is told to have."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from services.ingest.core.item import Item
from shared.contracts.fault import Fault, Key


class Operator(StrEnum):
    """How what an event says is compared, upper and lower case alike."""

    EQUALS = "equals"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    MATCHES = "matches"
    """One of a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """One way to know an event that does not count; `reason` is also the metric label."""

    reason: str
    path: tuple[str, ...]
    operator: Operator
    values: tuple[str, ...]

    def holds(self, item: Item) -> bool:
        """Say whether an item is one of those."""
        said = _text(_at(item, self.path))
        match self.operator:
            case Operator.ENDS_WITH:
                return said != "" and said.endswith(self.values)
            case Operator.CONTAINS:
                return any(value in said for value in self.values)
            case _:
                return said in self.values


class Excluded(msgspec.Struct, frozen=True, kw_only=True):
    """An item left out: which one, why, and by what place of the event."""

    id: str | None
    name: str | None
    reason: str
    path: str


HEADS: Final = frozenset({"userId", "event", "context", "properties", "traits"})


def exclude(item: Item, exclusions: Iterable[Exclusion]) -> Excluded | None:
    """Return why an item is left out, None if it counts."""
    found = next((one for one in exclusions if one.holds(item)), None)
    if found is None:
        return None
    return Excluded(id=item.id, name=item.name, reason=found.reason, path=".".join(found.path))


def read_exclusions(entries: object, *, where: Key, faults: list[Fault]) -> tuple[Exclusion, ...]:
    """Read the list `exclude` of a source; each fault is added with its place."""
    if entries is None:
        return ()
    if not isinstance(entries, list):
        faults.append(Fault(where, "is not a list"))
        return ()
    read = [_exclusion(entry, where=(*where, number), faults=faults) for number, entry in enumerate(entries)]
    return tuple(one for one in read if one is not None)


def _exclusion(entry: object, *, where: Key, faults: list[Fault]) -> Exclusion | None:
    if not isinstance(entry, dict):
        faults.append(Fault(where, f"is not a mapping of reason, path and one of {', '.join(Operator)}"))
        return None
    operators = [operator for operator in Operator if operator.value in entry]
    reason, path = entry.get("reason"), entry.get("path")
    wrong = [
        Fault((*where, key), "unknown key; known are reason, path and one of " + ", ".join(Operator))
        for key in entry
        if key not in {"reason", "path", *Operator}
    ]
    if not isinstance(reason, str) or not reason.isidentifier():
        wrong.append(Fault((*where, "reason"), "is not one word"))
    if not isinstance(path, str) or path.partition(".")[0] not in HEADS:
        wrong.append(Fault((*where, "path"), f"begins with none of {', '.join(sorted(HEADS))}"))
    if len(operators) != 1:
        wrong.append(Fault(where, f"needs exactly one of {', '.join(Operator)}"))
    values = _values(entry, operators)
    if not wrong and not values:
        needed = f"needs text, a number or true/false ({Operator.MATCHES}: a list of them)"
        wrong = [Fault((*where, operators[0].value), needed)]
    faults += wrong
    if wrong or not isinstance(reason, str) or not isinstance(path, str):
        return None
    return Exclusion(reason=reason, path=tuple(path.split(".")), operator=operators[0], values=values)


def _values(entry: Mapping[str, object], operators: Sequence[Operator]) -> tuple[str, ...]:
    said = entry.get(operators[0].value) if operators else None
    values = said if isinstance(said, list) and operators[0] is Operator.MATCHES else [said]
    texts = tuple(_text(value) for value in values)
    return texts if all(texts) else ()


def _at(item: Item, path: Sequence[str]) -> object:
    roots = {
        "userId": item.user,
        "event": item.name,
        "context": item.context,
        "properties": item.properties,
        "traits": item.traits,
    }
    found: object = roots[path[0]]
    for key in path[1:]:
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found


def _text(value: object) -> str:
    """Return how a value is compared: `true` and "True" are the same; what has parts is nothing."""
    return str(value).casefold() if isinstance(value, str | int | float) else ""
