"""Hold what `config/sources.yaml` says of a source: other names for events and traits, where the account id is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from services.ingest.core.exclusions import Exclusion, read_exclusions

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
_KEYS: Final = frozenset({"events", "traits", "account_from", "exclude"})

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

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@lru_cache(maxsize=4096)
def squash(name: str) -> str:
    """Return a name without case, underscores, hyphens and spaces: renewalDate is renewal_date."""
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def read_sources(content: object) -> Sources:
    """Read the parsed YAML: `default` and `sources`, each source adding to the default; raise BadSources."""
    faults: list[str] = []
    top = _mapping(content or {}, "sources.yaml", faults)
    faults += [f"sources.yaml: unknown key {key!r}" for key in top if key not in {"default", "sources"}]
    default = _rules(top.get("default"), SourceRules(), where="default", faults=faults)
    entries = _mapping(top.get("sources"), "sources", faults)
    named = {name: _rules(entry, default, where=f"sources.{name}", faults=faults) for name, entry in entries.items()}
    if faults:
        raise BadSources(faults)
    return Sources(default=default, named=named)


def _rules(entry: object, base: SourceRules, *, where: str, faults: list[str]) -> SourceRules:
    said = _mapping(entry, where, faults)
    faults += [f"{where}: unknown key {key!r}" for key in said if key not in _KEYS]
    events = _names(said.get("events"), f"{where}.events", faults)
    traits = _names(said.get("traits"), f"{where}.traits", faults)
    paths = said.get("account_from")
    exclude = read_exclusions(said.get("exclude"), where=f"{where}.exclude", faults=faults)
    return SourceRules(
        events={**base.events, **events},
        traits={**base.traits, **{squash(theirs): ours for theirs, ours in traits.items()}},
        account_from=base.account_from if paths is None else _paths(paths, f"{where}.account_from", faults),
        exclude=(*base.exclude, *exclude),
    )


def _mapping(value: object, where: str, faults: list[str]) -> Mapping[str, object]:
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    faults.append(f"{where}: is not a mapping with text keys")
    return {}


def _names(value: object, where: str, faults: list[str]) -> Mapping[str, str]:
    names = _mapping(value, where, faults)
    faults += [f"{where}.{key}: is not text" for key, name in names.items() if not isinstance(name, str)]
    return {key: name for key, name in names.items() if isinstance(name, str)}


def _paths(value: object, where: str, faults: list[str]) -> tuple[Path, ...]:
    texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
    paths = tuple(tuple(text.split(".")) for text in texts)
    if not paths or not isinstance(value, list) or len(paths) != len(value):
        faults.append(f"{where}: is not a list of paths")
    faults += [
        f"{where}: {'.'.join(p)!r} begins with none of {', '.join(sorted(HEADS))}" for p in paths if p[0] not in HEADS
    ]
    return paths
