"""Compare what comes of cases with what is expected of them."""

from collections.abc import Iterator, Mapping, Sequence

from lab.scorecard.case import Case, CaseFile
from lab.scorecard.given import Found
from shared.contracts.fault import Fault


def faults(file: CaseFile, found: Sequence[Found]) -> Iterator[Fault]:
    """Yield where a case comes out differently, and what comes of one that expects nothing yet."""
    for number, (case, one) in enumerate(zip(file.cases, found, strict=True)):
        if not case.expects:
            yield Fault(("cases", number), f"{case.name}: nothing is expected of it yet; it gives {_told(one)}")
        for name, expected, given in differences(case, one):
            yield Fault(("cases", number, name), f"{case.name}: expected {expected}, is {given}")


def differences(case: Case, found: Found) -> Iterator[tuple[str, str, str]]:
    """Yield the name of every expectation that isn't met, what was expected, and what is."""
    if case.scorecard is not None and case.scorecard != found.scorecard:
        yield "scorecard", case.scorecard, found.scorecard
    if case.stage is not None and case.stage != found.stage:
        yield "stage", case.stage, found.stage
    if case.health is not None and round(1000 * case.health) != found.health:
        yield "health", f"{case.health:g}", _health(found)
    if case.band is not None and case.band != found.band:
        yield "band", case.band.value, found.band.value
    if case.costs is not None and case.costs != list(found.costs[: len(case.costs)]):
        yield "costs", _list(case.costs), _list(found.costs)
    if case.rules is not None and case.rules != found.rules:
        yield "rules", _named(case.rules), _named(found.rules)
    after, on = found.silence or (None, None)
    if case.silent_after is not None and case.silent_after != after:
        yield "silent_after", f"{case.silent_after:g}", f"{after}"
    if case.silent_on is not None and case.silent_on != on:
        yield "silent_on", f"{case.silent_on}", f"{on}"
    if case.milestones is not None and case.milestones != found.milestones:
        yield "milestones", _named(case.milestones), _named(found.milestones)


def _told(found: Found) -> str:
    """Return what comes of a case as the file would expect it."""
    health = f"health: {_health(found)}, " if found.health is not None else ""
    costs = f", costs: {_list(found.costs[:2])}" if found.costs else ""
    silent = f", silent_after: {found.silence.after}, silent_on: {found.silence.on}" if found.silence else ""
    reached = f", milestones: {_named(found.milestones)}" if found.milestones else ""
    return f"{health}band: {found.band.value}{costs}, rules: {_named(found.rules)}{silent}{reached}"


def _health(found: Found) -> str:
    return "none" if found.health is None else f"{found.health / 1000:g}"


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(names)}]"


def _named(found: Mapping[str, str]) -> str:
    inside = ", ".join(f"{name}: {what}" for name, what in found.items())
    return f"{{ {inside} }}" if inside else "{}"
