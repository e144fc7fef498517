"""Show a configuration: who is scored by which scorecard, what each measure can give, and the rules."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from services.scorer.core.bundle import CompiledBundle, CompiledMeasure, Rule, Use
from services.scorer.core.compile import OVERRIDE

MISSING: Final[Mapping[int | None, str]] = {None: "left out", 50_000: "50 points", 0: "0 points"}
_NEEDS: Final = {
    "features_used": "key_features",
    "admin_action": "signals.admin",
    "automation": "signals.automation",
    "error": "signals.errors",
    "export": "signals.exports",
}
"""What a feature counts, by words in its name: without a name in that list there is nothing to count."""


def page(bundle: CompiledBundle) -> Iterator[str]:
    """Yield the lines about a configuration."""
    for number, name in enumerate(bundle.scorecard_names):
        if name != OVERRIDE:
            yield f"scorecard {name}: {_who(bundle, name)}"
            yield from _dimensions(bundle, [one for one in bundle.measures if one.scorecard == number])
            yield ""
    yield from (_rule(rule) for rule in bundle.rules)
    yield from _notes(bundle)
    counts = (len(bundle.scorecard_names) - 1, len(bundle.measures) - 1, len(bundle.rules))
    said = (_count(count, what) for count, what in zip(counts, ("scorecard", "measure", "rule"), strict=True))
    yield f"{bundle.version}: {', '.join(said)}; no faults"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _who(bundle: CompiledBundle, name: str) -> str:
    uses = [_fits(use) for use in bundle.uses if use.scorecard == name]
    return "; or ".join(uses) or "accounts that no other fits"


def _fits(use: Use) -> str:
    parts = [("segment", use.segments), ("stage", use.stages)]
    return ", ".join(f"{what} {' or '.join(words)}" for what, words in parts if words is not None)


def _dimensions(bundle: CompiledBundle, measures: Sequence[CompiledMeasure]) -> Iterator[str]:
    own = list(dict.fromkeys(measure.dimension for measure in measures))
    whole = sum(bundle.dimension_weights[dimension] for dimension in own)
    for dimension in own:
        share = bundle.dimension_weights[dimension] / whole
        yield f"  {bundle.dimension_names[dimension]:26}{share:8.1%}"
        parts = [measure for measure in measures if measure.dimension == dimension]
        for measure in parts:
            part = share * measure.weight / sum(one.weight for one in parts)
            yield f"    {measure.name:24}{part:8.1%}  {_range(measure)}, missing: {MISSING[measure.missing]}"


def _range(measure: CompiledMeasure) -> str:
    """Return the values between which it moves, with their points."""
    ends = [f"{x} gives {y // 1000}" for x, y in zip(measure.x.tolist(), measure.y.tolist(), strict=True)]
    return " … ".join(dict.fromkeys((ends[0], ends[-1])))


def _rule(rule: Rule) -> str:
    return f"rule {rule.name}: {rule.severity.value.replace('_', ' ')}, on {rule.based_on}"


def _notes(bundle: CompiledBundle) -> Iterator[str]:
    """Say which measures can't tell anything until something is named in the scorecard."""
    scorecard = bundle.scorecard
    named = {
        "key_features": scorecard.key_features,
        "signals.automation": [*scorecard.signals.automation, *scorecard.signals.automation_sources],
        **{f"signals.{kind}": getattr(scorecard.signals, kind) for kind in ("admin", "errors", "exports")},
    }
    for feature in dict.fromkeys(measure.name for measure in bundle.measures):
        for place in {place for word, place in _NEEDS.items() if word in feature and not named[place]}:
            yield f"note: {feature} has nothing to count: name events under {place} of scorecard.yaml"
