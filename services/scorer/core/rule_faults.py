"""Find what is wrong with the rules of a configuration: names, levels, and rules that could never do what they say."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from services.scorer.core.bounds import Bounds, bounds_of
from services.scorer.core.bundle import Condition, Rule, Rules
from services.scorer.core.feature_names import fault_of_name
from shared.contracts.fault import Fault, Key
from shared.contracts.risk import ReceiverClass, Severity

PARTS: Final = ("all", "any", "minimum", "critical")
_REQUIRED: Final = ("all", "minimum")
"""Parts of which every condition must be met."""


def rule_faults(rules: Rules, *, named: Sequence[str] | None, is_new: bool) -> Iterator[Fault]:
    """Yield every fault; `named` are the key features of the scorecard, if they are known.

    What can be evaluated but makes no sense is a fault in new rules only.
    """
    names = [rule.name for rule in rules.rules]
    for number, rule in enumerate(rules.rules):
        key = ("rules", "rules", number)
        if rule.name in names[:number]:
            yield Fault((*key, "name"), f"{rule.name!r} stands twice")
        found = list(_broken(rule, named=named))
        found += list(_senseless(rule)) if is_new and not found else []
        for place, fault in found:
            yield Fault((*key, *place), f"rule {rule.name!r}: {fault}")


def _broken(rule: Rule, *, named: Sequence[str] | None) -> Iterator[tuple[Key, str]]:
    """Find what can't be evaluated, or would end as it opens."""
    if not rule.all and not rule.any:
        yield ("all",), "needs conditions under all, or under any"
    if (rule.receiver is ReceiverClass.GROWTH) != (rule.severity is Severity.OPPORTUNITY):
        yield ("severity",), "opportunity is the severity of rules with receiver growth, and of no others"
    if rule.critical and rule.severity is Severity.OPPORTUNITY:
        yield ("critical",), "an opportunity is never critical"
    for part in PARTS:
        for i, condition in enumerate(rule.conditions(part)):
            fault = _condition_fault(condition, named=named)
            if fault is not None:
                yield (part, i), fault


def _senseless(rule: Rule) -> Iterator[tuple[Key, str]]:
    """Find what could never do what it says."""
    for part in PARTS:
        for i, condition in enumerate(rule.conditions(part)):
            if fault := _out_of_bounds(condition):
                yield (part, i), fault
    if rule.critical and rule.severity is Severity.CRITICAL:
        yield ("critical",), "makes no difference: its severity is critical already"
    yield from _contradictions(rule)
    yield from _idle(rule)


def _condition_fault(condition: Condition, *, named: Sequence[str] | None) -> str | None:
    fault = fault_of_name(condition.feature, named=named)
    if fault is not None:
        return fault
    if (condition.at_least is None) == (condition.at_most is None):
        return "needs exactly one of at_least and at_most"
    leave = condition.leave
    if leave is not None and condition.at_least is not None and leave > condition.at_least:
        return "leave must not be above at_least, or the episode would end as it opens"
    if leave is not None and condition.at_most is not None and leave < condition.at_most:
        return "leave must not be below at_most, or the episode would end as it opens"
    return None


def _out_of_bounds(condition: Condition) -> str | None:
    least, most = bounds_of(condition.feature)
    if condition.at_least is not None and most is not None and condition.at_least > most:
        return f"can never be met: {condition.feature} is never above {most}"
    if condition.at_most is not None and least is not None and condition.at_most < least:
        return f"can never be met: {condition.feature} is never below {least}"
    return None


def _contradictions(rule: Rule) -> Iterator[tuple[Key, str]]:
    """Find conditions that exclude others which must be met as well."""
    together = [((part, i), c) for part in _REQUIRED for i, c in enumerate(rule.conditions(part))]
    for number, (place, condition) in enumerate(together):
        before = [other for _, other in together[:number]]
        if other := _excluding(condition, before):
            yield place, f"can never be met: it also needs {other}"
    required = [condition for _, condition in together]
    for i, condition in enumerate(rule.any):
        if other := _excluding(condition, required):
            yield ("any", i), f"can never be met: it also needs {other}"
    open_still = [*(_as_left(condition) for condition in rule.all), *rule.minimum]
    for i, condition in enumerate(rule.critical):
        if other := _excluding(condition, [*open_still, *rule.critical[:i]]):
            yield ("critical", i), f"can never be met: it also needs {other}"


def _idle(rule: Rule) -> Iterator[tuple[Key, str]]:
    """Find conditions for critical that are met whenever an episode opens: they are weaker than what it opens at."""
    required = [condition for part in _REQUIRED for condition in rule.conditions(part)]
    for i, condition in enumerate(rule.critical):
        if any(_implies(other, condition) for other in required):
            yield ("critical", i), "is not stronger than what the rule opens at: every episode would open as critical"


def _excluding(condition: Condition, others: Iterable[Condition]) -> str | None:
    """Return in words what of the same feature can't be met together with a condition."""
    for other in others:
        if other.feature == condition.feature and _are_apart(_met_within(condition), _met_within(other)):
            side = "at_most" if other.at_least is None else "at_least"
            return f"{other.feature} {side} {other.level}"
    return None


def _implies(one: Condition, other: Condition) -> bool:
    """Return whether one condition, once met, meets another of the same kind as well."""
    if one.feature != other.feature or (one.at_least is None) != (other.at_least is None):
        return False
    return other.level >= one.level if one.at_least is None else other.level <= one.level


def _as_left(condition: Condition) -> Condition:
    """Return what of a condition is needed for an episode to stay open."""
    if condition.leave is None:
        return condition
    if condition.at_least is None:
        return Condition(feature=condition.feature, at_most=condition.leave)
    return Condition(feature=condition.feature, at_least=condition.leave)


def _met_within(condition: Condition) -> Bounds:
    return Bounds(condition.at_least, condition.at_most)


def _are_apart(one: Bounds, other: Bounds) -> bool:
    return any(
        low is not None and high is not None and low > high
        for low, high in ((one.least, other.most), (other.least, one.most))
    )
