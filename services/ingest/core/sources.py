"""Hold what `config/sources.yaml` says of a source: other names for events and traits, where the account id is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from services.ingest.core.exclusions import Exclusion, read_exclusions
from shared.contracts.fault import Fault, Key

ACCOUNT_FROM: Final = (
    "groupId",
    "context.groupId",
    "context.group.id",
    "properties.groupId",
    "properties.account_id",
    "properties.accountId",
    "traits.company.id",
    "context.traits.company.id",
)
HEADS: Final = frozenset({"groupId", "context", "properties", "traits"})
_KEYS: Final = ("events", "traits", "account_from", "exclude")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRules:
    """How events of one source are read; `traits` maps a sender's squashed name to ours."""

    events: Mapping[str, str] = field(default_factory=dict)
    traits: Mapping[str, str] = field(default_factory=dict)
    account_from: tuple[Path, ...] = tuple(tuple(path.split(".")) for path in ACCOUNT_FROM)
    exclude: tuple[Exclusion, ...] = ()
    """Those of the default and the source's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The rules of every source; one without an entry has the defaults."""

    default: SourceRules = field(default_factory=SourceRules)
    named: Mapping[str, SourceRules] = field(default_factory=dict)

    def of(self, name: str) -> SourceRules:
        """Return the rules of a source."""
        return self.named.get(name, self.default)

    def reasons(self) -> frozenset[str]:
        """Return every reason for which some source's events are left out."""
        return frozenset(one.reason for rules in (self.default, *self.named.values()) for one in rules.exclude)


class BadSources(ValueError):
    """The file of sources says something that can't be; every fault is in `faults`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)


@lru_cache(maxsize=4096)
def squash(name: str) -> str:
    """Return a name without case, underscores, hyphens and spaces: renewalDate is renewal_date."""
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def read_sources(content: object) -> Sources:
    """Read the parsed YAML: `default` and `sources`, each source adding to the default; raise BadSources."""
    faults: list[Fault] = []
    top = _mapping(content or {}, (), faults)
    faults += _unknown(top, ("default", "sources"), ())
    default = _rules(top.get("default"), SourceRules(), where=("default",), faults=faults)
    entries = _mapping(top.get("sources"), ("sources",), faults)
    named = {name: _rules(entry, default, where=("sources", name), faults=faults) for name, entry in entries.items()}
    if faults:
        raise BadSources(faults)
    return Sources(default=default, named=named)


def _rules(entry: object, base: SourceRules, *, where: Key, faults: list[Fault]) -> SourceRules:
    said = _mapping(entry, where, faults)
    faults += _unknown(said, _KEYS, where)
    events = _names(said.get("events"), (*where, "events"), faults)
    traits = _names(said.get("traits"), (*where, "traits"), faults)
    paths = said.get("account_from")
    exclude = read_exclusions(said.get("exclude"), where=(*where, "exclude"), faults=faults)
    return SourceRules(
        events={**base.events, **events},
        traits={**base.traits, **{squash(theirs): ours for theirs, ours in traits.items()}},
        account_from=base.account_from if paths is None else _paths(paths, (*where, "account_from"), faults),
        exclude=(*base.exclude, *exclude),
    )


def _unknown(said: Mapping[str, object], known: Sequence[str], where: Key) -> Iterator[Fault]:
    return (Fault((*where, key), f"unknown key; known are {', '.join(known)}") for key in said if key not in known)


def _mapping(value: object, where: Key, faults: list[Fault]) -> Mapping[str, object]:
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    faults.append(Fault(where, "is not a mapping with text keys"))
    return {}


def _names(value: object, where: Key, faults: list[Fault]) -> Mapping[str, str]:
    names = _mapping(value, where, faults)
    faults += [Fault((*where, key), "is not text") for key, name in names.items() if not isinstance(name, str)]
    return {key: name for key, name in names.items() if isinstance(name, str)}


def _paths(value: object, where: Key, faults: list[Fault]) -> tuple[Path, ...]:
    texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
    paths = tuple(tuple(text.split(".")) for text in texts)
    if not paths or not isinstance(value, list) or len(paths) != len(value):
        faults.append(Fault(where, "is not a list of paths"))
        return ()
    faults += [
        Fault((*where, place), f"{'.'.join(p)!r} begins with none of {', '.join(sorted(HEADS))}")
        for place, p in enumerate(paths)
        if p[0] not in HEADS
    ]
    return paths
