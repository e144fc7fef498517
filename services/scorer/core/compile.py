"""Check a configuration whole and compile it into the arrays that evaluation reads."""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from services.scorer.core.bundle import (
    CompiledBundle,
    CompiledMeasure,
    ConfigError,
    Dimension,
    Measure,
    Rules,
    Scorecard,
)
from services.scorer.core.calendar import Calendars, Tables, compile_calendars
from services.scorer.core.feature_names import fault_of_name
from services.scorer.core.feature_table import JUDGED, Feature, feature_called
from services.scorer.core.journey import Journey, journey_faults, route_of
from services.scorer.core.rhythm import hazard_table
from services.scorer.core.rule_faults import PARTS, rule_faults
from services.scorer.core.signals import CLASSES
from shared.contracts.context import Bundle
from shared.contracts.events import source_of
from shared.contracts.fault import Fault, faults_of_shape
from shared.contracts.playbook import Playbook

T = TypeVar("T")

DEFAULT: Final = "default"
"""The scorecard of accounts that no other fits."""
OVERRIDE: Final = "override"
"""The scorecard of accounts whose health somebody set: nothing but that health."""
_AS_SET: Final = Measure(weight=1, missing="exclude", curve=[(0, 0), (100, 100)])
_OVERRIDDEN: Final = {OVERRIDE: Dimension(weight=1, measures={OVERRIDE: _AS_SET})}
_NAMED_CLASSES: Final = ("automation", "exports", "admin", "errors")


def bundle_of(scorecard: object, rules: object, **others: object) -> Bundle:
    """Return the bundle of parsed files, or raise ConfigError naming every fault found.

    Others are `journey` and `playbooks`, and `calendars`, the tables made of that file. Without playbooks nobody knows
    which there are, and rules may name any.
    """
    config = {"scorecard": scorecard, "rules": rules, **others}
    compile_bundle("", config, is_new=True)
    encoded = msgspec.json.encode(config)
    return Bundle(version="b_" + hashlib.sha256(encoded).hexdigest()[:16], config=msgspec.Raw(encoded))


def compile_bundle(version: str, config: Mapping[str, Any], *, is_new: bool = False) -> CompiledBundle:
    """Check and compile the content of a bundle; raises ConfigError naming every fault found.

    Rules that make no sense are refused in a new one alone: a bundle that was in force once stays readable.
    """
    faults: list[Fault] = []
    scorecard = _read(config, name="scorecard", kind=Scorecard, faults=faults)
    rules = _read(config, name="rules", kind=Rules, faults=faults)
    journey = _read(config, name="journey", kind=Journey, faults=faults) if "journey" in config else Journey()
    named = scorecard.key_features if scorecard is not None else None
    if scorecard is not None:
        faults += _scorecard_faults(scorecard)
    if rules is not None:
        faults += rule_faults(rules, named=named, is_new=is_new)
    if journey is not None:
        faults += journey_faults(journey)
    if "playbooks" in config:
        playbooks = _read(config, name="playbooks", kind=dict[str, Playbook], faults=faults)
        faults += _playbook_faults(rules, playbooks)
    calendars = _calendars(config, faults=faults)
    if faults or calendars is None or scorecard is None or rules is None or journey is None:
        raise ConfigError(faults)
    return CompiledBundle(
        version=version,
        source=msgspec.json.encode(config),
        scorecard=scorecard,
        rules=tuple(rules.rules),
        scorecard_names=tuple(_scorecards(scorecard)),
        uses=tuple(scorecard.use),
        measures=tuple(_measures(scorecard)),
        dimension_names=tuple(name for some in _scorecards(scorecard).values() for name in some),
        dimension_weights=tuple(one.weight for some in _scorecards(scorecard).values() for one in some.values()),
        hazards_to_pass=np.array(hazard_table(rules.silence.alpha_permille), np.int64),
        calendars=calendars,
        rhythm=sha256(msgspec.json.encode([rules.silence.alpha_permille, config.get("calendars")])).hexdigest(),
        signal_names=_signal_names(scorecard),
        automation_sources=frozenset(map(source_of, scorecard.signals.automation_sources)),
        route=route_of(journey),
        days_back=tuple(
            max(feature.days for feature in _features_read(dimensions, rules))
            for dimensions in _scorecards(scorecard).values()
        ),
    )


def _read(config: Mapping[str, Any], *, name: str, kind: type[T], faults: list[Fault]) -> T | None:
    found = list(faults_of_shape(config.get(name), kind, key=(name,)))
    faults += found
    return None if found else msgspec.convert(config.get(name), kind)


def _calendars(config: Mapping[str, Any], *, faults: list[Fault]) -> Calendars | None:
    """Compile the tables of calendars; bundles of older versions have none."""
    if config.get("calendars") is None:
        return compile_calendars(None)
    tables = _read(config, name="calendars", kind=Tables, faults=faults)
    return None if tables is None else compile_calendars(tables)


def _scorecard_faults(scorecard: Scorecard) -> Iterator[Fault]:
    for name, dimension, feature, measure in _all_measures(scorecard):
        inside = () if name == DEFAULT else ("scorecards", name)
        place = ("scorecard", *inside, "dimensions", dimension, "measures", feature)
        fault = fault_of_name(feature, named=scorecard.key_features)
        if fault:
            yield Fault(place, fault)
        if feature in JUDGED:
            yield Fault(place, f"{feature} is made of the measures: only rules may name it")
        if any(a[0] >= b[0] for a, b in zip(measure.curve, measure.curve[1:], strict=False)):
            yield Fault((*place, "curve"), "the first numbers must rise")
    bands = scorecard.bands
    if not 0 < bands.at_risk < bands.watch < bands.healthy <= 100_000:
        yield Fault(("scorecard", "bands"), "needs 0 < at_risk < watch < healthy <= 100000")
    yield from _name_faults(scorecard)
    yield from _use_faults(scorecard)


def _use_faults(scorecard: Scorecard) -> Iterator[Fault]:
    """Find scorecards that are used and not there, or there and not used."""
    if DEFAULT in scorecard.scorecards:
        yield Fault(("scorecard", "scorecards", DEFAULT), f"{DEFAULT!r} is the one whose dimensions stand at the top")
    if OVERRIDE in scorecard.scorecards:
        yield Fault(
            ("scorecard", "scorecards", OVERRIDE), f"{OVERRIDE!r} is that of accounts whose health is set by hand"
        )
    for number, use in enumerate(scorecard.use):
        place = ("scorecard", "use", number)
        if use.scorecard not in (DEFAULT, *scorecard.scorecards):
            known = ", ".join((DEFAULT, *scorecard.scorecards))
            yield Fault((*place, "scorecard"), f"no scorecard {use.scorecard!r}; there are {known}")
        if use.segments is None and use.stages is None:
            yield Fault(place, "fits every account: name segments or stages, or make it the default")
    for name in scorecard.scorecards.keys() - {use.scorecard for use in scorecard.use} - {DEFAULT, OVERRIDE}:
        yield Fault(("scorecard", "scorecards", name), "nobody is scored by it: name it under `use`")


def _name_faults(scorecard: Scorecard) -> Iterator[Fault]:
    """Find names of events that would count under two signals."""
    lists: list[tuple[tuple[str, ...], list[str]]] = [(("scorecard", "key_features"), scorecard.key_features)]
    lists += [(("scorecard", "signals", kind), getattr(scorecard.signals, kind)) for kind in _NAMED_CLASSES]
    places: dict[str, str] = {}
    for key, names in lists:
        for number, name in enumerate(names):
            if name in places:
                also = "" if places[name] == key[-1] else f", also as {places[name]}"
                yield Fault((*key, number), f"{name!r} stands twice{also}")
            if name.startswith("\0"):
                yield Fault((*key, number), f"{name!r} begins with NUL, which no event's name may here")
            places.setdefault(name, key[-1])


def _playbook_faults(rules: Rules | None, playbooks: Mapping[str, Playbook] | None) -> Iterator[Fault]:
    """Find rules that name a playbook which isn't there; where either file has faults of its own nobody can tell."""
    if rules is None or playbooks is None:
        return
    for number, rule in enumerate(rules.rules):
        if rule.playbook is not None and rule.playbook not in playbooks:
            close = difflib.get_close_matches(rule.playbook, playbooks, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(playbooks) or 'none'}"
            yield Fault(("rules", "rules", number, "playbook"), f"no playbook {rule.playbook!r}; {hint}")


def _signal_names(scorecard: Scorecard) -> dict[str, str]:
    names = {name: name for name in scorecard.key_features}
    for kind in _NAMED_CLASSES:
        names |= dict.fromkeys(getattr(scorecard.signals, kind), CLASSES[kind])
    return names


def _features_read(dimensions: Mapping[str, Dimension], rules: Rules) -> list[Feature]:
    """Return every feature that the measures of a scorecard and the rules read."""
    names = {feature for dimension in dimensions.values() for feature in dimension.measures}
    names |= {c.feature for rule in rules.rules for part in PARTS for c in rule.conditions(part)}
    return [feature for name in names if (feature := feature_called(name)) is not None]


def _scorecards(scorecard: Scorecard) -> dict[str, dict[str, Dimension]]:
    """Return the dimensions of every scorecard, the default one first."""
    others = {name: other.dimensions for name, other in scorecard.scorecards.items()}
    return {DEFAULT: scorecard.dimensions, **others, OVERRIDE: _OVERRIDDEN}


def _all_measures(scorecard: Scorecard) -> Iterator[tuple[str, str, str, Measure]]:
    """Yield scorecard, dimension, feature and measure."""
    for name, dimensions in _scorecards(scorecard).items():
        for dimension, content in dimensions.items():
            for feature, measure in content.measures.items():
                yield name, dimension, feature, measure


def _measures(scorecard: Scorecard) -> Iterator[CompiledMeasure]:
    missing = {"exclude": None, "neutral": 50_000, "zero": 0}
    places = [(name, dimension) for name, some in _scorecards(scorecard).items() for dimension in some]
    for name, dimension, feature, measure in _all_measures(scorecard):
        yield CompiledMeasure(
            scorecard=list(_scorecards(scorecard)).index(name),
            dimension=places.index((name, dimension)),
            name=feature,
            weight=measure.weight,
            x=np.array([x for x, _ in measure.curve], np.int64),
            y=np.array([1000 * y for _, y in measure.curve], np.int64),
            missing=missing[measure.missing],
        )
