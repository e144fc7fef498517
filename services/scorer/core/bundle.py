"""Say what a configuration holds, as its files spell it and as evaluation reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from services.scorer.core.calendar import Calendars
from services.scorer.core.journey import Route
from services.scorer.core.table import Ints
from shared.contracts.fault import Fault
from shared.contracts.health import Band
from shared.contracts.risk import ReceiverClass, Severity

MOST_FEATURES: Final = 64


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


class Signals(_Strict, frozen=True, kw_only=True):
    """Names of events, and of the sources that send nothing but automation, that count under signals of their own."""

    automation: list[str] = []
    automation_sources: list[str] = []
    exports: list[str] = []
    admin: list[str] = []
    errors: list[str] = []


class Stages(_Strict, frozen=True, kw_only=True):
    """When an account of which nobody told a stage is in which: new for so many days, near renewal for so many."""

    onboarding_days: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 60
    renewal_days: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 90


Dimensions = Annotated[dict[str, Dimension], msgspec.Meta(min_length=1)]
Words = Annotated[list[str], msgspec.Meta(min_length=1)]


class OtherScorecard(_Strict, frozen=True, kw_only=True):
    """A scorecard beside the default one."""

    dimensions: Dimensions


class Use(_Strict, frozen=True, kw_only=True):
    """Which accounts are scored by which scorecard; where a list is absent everything fits."""

    scorecard: str
    segments: Words | None = None
    stages: Words | None = None


class Scorecard(_Strict, frozen=True, kw_only=True):
    """`config/scorecard.yaml`; `dimensions` are those of the scorecard `default`."""

    key_features: Annotated[list[str], msgspec.Meta(max_length=MOST_FEATURES)]
    signals: Signals = Signals()
    evidence: MinimumEvidence
    bands: Bands
    stages: Stages = Stages()
    dimensions: Dimensions
    scorecards: dict[Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,49}$")], OtherScorecard] = {}
    use: list[Use] = []


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


Days = Annotated[int, msgspec.Meta(ge=0, le=365)]


class Rule(_Strict, frozen=True, kw_only=True):
    """One rule (docs/scoring.md §8)."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
    based_on: Literal["activity", "fact"]
    all: list[Condition] = []
    any: list[Condition] = []
    minimum: list[Condition] = []
    critical: list[Condition] = []
    hold_days: Days = 0
    cool_down_days: Days = 0
    severity: Severity
    receiver: ReceiverClass = ReceiverClass.CS
    precision_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    playbook: str | None = None

    @property
    def features(self) -> list[str]:
        """What it stands on: the features of `all` and `any` in order, each once."""
        return list(dict.fromkeys(condition.feature for condition in (*self.all, *self.any)))

    def conditions(self, part: str) -> list[Condition]:
        """Return the conditions of `all`, `any`, `minimum` or `critical`."""
        found: list[Condition] = getattr(self, part)
        return found


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

    scorecard: int
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
    scorecard_names: tuple[str, ...]
    """The default first; last comes that of accounts whose health is overridden."""
    uses: tuple[Use, ...]
    measures: tuple[CompiledMeasure, ...]
    """Those of all scorecards, one after the other; so are the dimensions."""
    dimension_names: tuple[str, ...]
    dimension_weights: tuple[int, ...]
    hazards_to_pass: Ints
    calendars: Calendars
    rhythm: str
    """Names what silence is judged by: how often it may be wrong, and the calendars."""
    signal_names: Mapping[str, str]
    """The name under which a signal is kept by the event name that counts under it; others count as use."""
    automation_sources: frozenset[str]
    """Sources, as events name them, whose presence is automation."""
    route: Route
    """The journey."""
    days_back: tuple[int, ...]
    """By scorecard: of how many days its measures and the rules count events at most, today included."""

    @property
    def rule_names(self) -> list[str]:
        """Names of the rules in their order."""
        return [rule.name for rule in self.rules]


BANDS: Final = (Band.UNKNOWN, Band.CRITICAL, Band.AT_RISK, Band.WATCH, Band.HEALTHY)
"""Bands by the code in the column `band`."""
