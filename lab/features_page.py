"""`churnwatch features`: print every feature a scorecard or a rule may name; docs/features.md is what it prints."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from services.scorer.core.bounds import bounds_of
from services.scorer.core.feature_table import FEATURES, JUDGED, Feature, feature_called

INTRODUCTION: Final = """\
# Features

Numbers about an account at a moment, as scorecards and rules name them; [scoring.md](scoring.md) §5 has the formulas.
D is the account's day at that moment, today; ‰ is thousandths, days are the account's own (they begin within the hour
after 00:00 UTC). What is missing meets no condition, and a scorecard says what becomes of a measure without it.
A rule that waits for a value a feature can never have is refused.

Events of automation come through a source, or under a name, that `signals` of the scorecard lists; all other log-ins
and usage is by hand. Outcomes, log-ins, usage and automation are *presence*; tickets and removed users are not.
"""
OF_KEY_FEATURES: Final = """
Key features are the names of events listed under `key_features` in the scorecard. Each has two of its own, named with
the event's name behind the colon:
"""
FOR_RULES_ALONE: Final = """
What is made of all these, at the same moment, only rules may name:
"""
HEAD: Final = ("| feature | meaning | unit | values | days | missing when |", "|---|---|---|---|---|---|")


def features() -> None:
    """Print every feature a scorecard or a rule may name: meaning, unit, window, and when it is missing."""
    print(page(), end="")


def page() -> str:
    """Return the page of all features, as Markdown."""
    of_events = [feature for name in ("adoption:NAME", "use_28:NAME") if (feature := feature_called(name))]
    tables = (list(FEATURES.values()), of_events, list(JUDGED.values()))
    rows, others, judged = (list(_rows(some)) for some in tables)
    return "\n".join([INTRODUCTION, *HEAD, *rows, OF_KEY_FEATURES, *HEAD, *others, FOR_RULES_ALONE, *HEAD, *judged, ""])


def _rows(some: Sequence[Feature]) -> Iterator[str]:
    for (meaning, unit, missing), same in groupby(some, key=lambda one: (one.meaning, one.unit, one.missing)):
        family = list(same)
        names = ", ".join(f"`{one.name}`" for one in family)
        values = ", ".join(dict.fromkeys(_values(one.name) for one in family))
        windows = ", ".join(one.window for one in family)
        yield f"| {names} | {meaning} | {unit} | {values} | {windows} | {missing} |"


def _values(name: str) -> str:
    least, most = bounds_of(name)
    if least is None:
        return "any"
    return f"from {_number(least)}" if most is None else f"{_number(least)} to {_number(most)}"


def _number(value: int) -> str:
    return f"{value:,}".replace("-", "\N{MINUS SIGN}")
