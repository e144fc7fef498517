"""Say what is wrong with the name of a feature in a configuration."""

import difflib
from collections.abc import Sequence

from services.scorer.core.feature_table import FEATURES, JUDGED, feature_called


def fault_of_name(name: str, *, named: Sequence[str] | None) -> str | None:
    """Return the fault of a feature's name, None for a good one; `named` are the key features, if they are known."""
    kind, _, event = name.partition(":")
    if feature_called(name) is None:
        close = difflib.get_close_matches(name, [*FEATURES, *JUDGED], n=3)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        return f"unknown feature {name!r}; {hint}docs/features.md lists them all"
    if event and named is not None and event not in named:
        return f"{kind} is of a key feature, and {event!r} is not among key_features"
    return None
