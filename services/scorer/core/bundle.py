"""Check a configuration whole and compile it into the arrays that evaluation reads."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import numpy as np

from services.scorer.core.rhythm import hazard_table
from services.scorer.core.table import Ints
from shared.contracts.context import Bundle
from shared.contracts.fault import Fault, faults_of_shape
from shared.contracts.health import Band
from shared.contracts.risk import Severity

T = TypeVar("T")

MOST_FEATURES: Final = 64
FEATURES: Final = (
    "tenure_days",
    "active_days",
    "active_days_28",
    "recency_days",
    "usage_7",
    "usage_normal_28",
    "usage_change",
    "users_28",
    "seats_used",
    "features_used",
    "outcomes_28",
    "payment_failed_days",
    "payment_ok",
    "contract_ok",
    "nps",
    "csat",
    "silence",
)
"""Every feature's name (docs/scoring.md §5)."""


class ConfigError(Exception):
    """A configuration that is refused whole; each of `faults` has a key that begins with the name of its file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


Points = Annotated[int, msgspec.Meta(ge=0, le=100)]
Weight = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Level = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A feature's value: beyond it neither JSON nor a column holds it exactly."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Measure(_Strict, frozen=True, kw_only=True):
    """One measure of a dimension: a curve over a feature."""

    weight: Weight
    missing: Literal["exclude", "neutral", "zero"]
    curve: Annotated[list[tuple[Level, Points]], msgspec.Meta(min_length=1)]


class Dimension(_Strict, frozen=True, kw_only=True):
    """A group of measures; `measures` is keyed by feature."""

    weight: Weight
    measures: Annotated[dict[str, Measure], msgspec.Meta(min_length=1)]


class MinimumEvidence(_Strict, frozen=True, kw_only=True):
    """Below this the band is unknown."""

    days: Annotated[int, msgspec.Meta(ge=1, le=91)]
    active_days: Annotated[int, msgspec.Meta(ge=1, le=91)]


class Bands(_Strict, frozen=True, kw_only=True):
    """Thresholds in milli-points."""

    healthy: int
    watch: int
    at_risk: int
    margin: Annotated[int, msgspec.Meta(ge=0, le=20_000)]


class Scorecard(_Strict, frozen=True, kw_only=True):
    """`config/scorecard.yaml`."""

    key_features: Annotated[list[str], msgspec.Meta(max_length=MOST_FEATURES)]
    evidence: MinimumEvidence
    bands: Bands
    dimensions: Annotated[dict[str, Dimension], msgspec.Meta(min_length=1)]


class Condition(_Strict, frozen=True, kw_only=True):
    """A feature at or beyond a level; `leave` is the level at which an open episode ends."""

    feature: str
    at_least: Level | None = None
    at_most: Level | None = None
    leave: Level | None = None

    @property
    def level(self) -> int:
        """The level at which it becomes true."""
        return self.at_least if self.at_least is not None else self.at_most or 0


class Rule(_Strict, frozen=True, kw_only=True):
    """One rule (docs/scoring.md §8)."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
    based_on: Literal["activity", "fact"]
    all: Annotated[list[Condition], msgspec.Meta(min_length=1)]
    minimum: list[Condition] = []
    critical: list[Condition] = []
    severity: Severity
    playbook: str | None = None


class SilenceSettings(_Strict, frozen=True, kw_only=True):
    """How often silence may be wrong."""

    alpha_permille: Annotated[int, msgspec.Meta(ge=1, le=500)]


class Rules(_Strict, frozen=True, kw_only=True):
    """`config/rules.yaml`."""

    silence: SilenceSettings
    rules: list[Rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledMeasure:
    """A measure ready to evaluate: `x` rising feature values, `y` scores in milli-points, `missing` score or None."""

    dimension: int
    name: str
    weight: int
    x: Ints
    y: Ints
    missing: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledBundle:
    """One configuration as evaluation reads it."""

    version: str
    source: bytes
    """The configuration it was compiled from, as JSON."""
    scorecard: Scorecard
    rules: tuple[Rule, ...]
    measures: tuple[CompiledMeasure, ...]
    dimension_names: tuple[str, ...]
    dimension_weights: tuple[int, ...]
    hazards_to_pass: Ints

    @property
    def rule_names(self) -> list[str]:
        """Names of the rules in their order."""
        return [rule.name for rule in self.rules]


def bundle_of(scorecard: object, rules: object) -> Bundle:
    """Return the bundle of two parsed files, or raise ConfigError naming every fault found."""
    config = {"scorecard": scorecard, "rules": rules}
    compile_bundle("", config)
    encoded = msgspec.json.encode(config)
    return Bundle(version="b_" + hashlib.sha256(encoded).hexdigest()[:16], config=msgspec.Raw(encoded))


def compile_bundle(version: str, config: Mapping[str, Any]) -> CompiledBundle:
    """Check and compile the content of a bundle; raises ConfigError naming every fault found."""
    faults: list[Fault] = []
    scorecard = _read(config, name="scorecard", kind=Scorecard, faults=faults)
    rules = _read(config, name="rules", kind=Rules, faults=faults)
    if scorecard is not None:
        faults += _scorecard_faults(scorecard)
    if rules is not None:
        faults += _rule_faults(rules)
    if faults or scorecard is None or rules is None:
        raise ConfigError(faults)
    return CompiledBundle(
        version=version,
        source=msgspec.json.encode(config),
        scorecard=scorecard,
        rules=tuple(rules.rules),
        measures=_measures(scorecard),
        dimension_names=tuple(scorecard.dimensions),
        dimension_weights=tuple(dimension.weight for dimension in scorecard.dimensions.values()),
        hazards_to_pass=np.array(hazard_table(rules.silence.alpha_permille), np.int64),
    )


def _read(config: Mapping[str, Any], *, name: str, kind: type[T], faults: list[Fault]) -> T | None:
    found = list(faults_of_shape(config.get(name), kind, key=(name,)))
    faults += found
    return None if found else msgspec.convert(config.get(name), kind)


def _scorecard_faults(scorecard: Scorecard) -> Iterator[Fault]:
    for dimension, content in scorecard.dimensions.items():
        for feature, measure in content.measures.items():
            place = ("scorecard", "dimensions", dimension, "measures", feature)
            if feature not in FEATURES:
                yield Fault(place, f"unknown feature; known are {', '.join(FEATURES)}")
            if any(a[0] >= b[0] for a, b in zip(measure.curve, measure.curve[1:], strict=False)):
                yield Fault((*place, "curve"), "the first numbers must rise")
    bands = scorecard.bands
    if not 0 < bands.at_risk < bands.watch < bands.healthy <= 100_000:
        yield Fault(("scorecard", "bands"), "needs 0 < at_risk < watch < healthy <= 100000")
    for number, name in enumerate(scorecard.key_features):
        if name in scorecard.key_features[:number]:
            yield Fault(("scorecard", "key_features", number), f"{name!r} stands twice")


def _rule_faults(rules: Rules) -> Iterator[Fault]:
    names = [rule.name for rule in rules.rules]
    for number, rule in enumerate(rules.rules):
        place = ("rules", "rules", number)
        if rule.name in names[:number]:
            yield Fault((*place, "name"), f"{rule.name!r} stands twice")
        for part in ("all", "minimum", "critical"):
            for i, condition in enumerate(getattr(rule, part)):
                fault = _condition_fault(condition)
                if fault:
                    yield Fault((*place, part, i), f"rule {rule.name!r}: {fault}")


def _condition_fault(condition: Condition) -> str | None:
    if condition.feature not in FEATURES:
        return f"unknown feature {condition.feature!r}; known are {', '.join(FEATURES)}"
    if (condition.at_least is None) == (condition.at_most is None):
        return "needs exactly one of at_least and at_most"
    if condition.leave is None:
        return None
    if condition.at_least is not None and condition.leave > condition.at_least:
        return "leave must not be above at_least, or the episode would end as it opens"
    if condition.at_most is not None and condition.leave < condition.at_most:
        return "leave must not be below at_most, or the episode would end as it opens"
    return None


def _measures(scorecard: Scorecard) -> tuple[CompiledMeasure, ...]:
    missing = {"exclude": None, "neutral": 50_000, "zero": 0}
    return tuple(
        CompiledMeasure(
            dimension=index,
            name=name,
            weight=measure.weight,
            x=np.array([x for x, _ in measure.curve], np.int64),
            y=np.array([1000 * y for _, y in measure.curve], np.int64),
            missing=missing[measure.missing],
        )
        for index, dimension in enumerate(scorecard.dimensions.values())
        for name, measure in dimension.measures.items()
    )


BANDS: Final = (Band.UNKNOWN, Band.CRITICAL, Band.AT_RISK, Band.WATCH, Band.HEALTHY)
"""Bands by the code in the column `band`."""
