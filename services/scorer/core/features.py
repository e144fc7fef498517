"""Know every feature of accounts at a moment, each computed when first asked for (docs/scoring.md §5)."""

from collections.abc import Iterator, Mapping

from services.scorer.core.activity import Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import DAY
from services.scorer.core.feature_table import FEATURES, feature_called
from services.scorer.core.medians import Medians
from services.scorer.core.table import Ints
from services.scorer.core.view import View


class Values(Mapping[str, Ints]):
    """Features of a view by name, those of key features included; iteration leaves these out."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._known: dict[str, Ints] = {}

    def __getitem__(self, name: str) -> Ints:
        """Return a feature as a column, MISSING where it is missing."""
        if name not in self._known:
            feature = feature_called(name)
            if feature is None:
                raise KeyError(name)
            self._known[name] = feature.of(self._view)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names every configuration knows."""
        return iter(FEATURES)

    def __len__(self) -> int:
        """Count them."""
        return len(FEATURES)


class Features(View):
    """Accounts at a moment, and `values`: a column a feature."""

    def __init__(
        self, at: Ints, *, rows: Ints, activity: Activity, bundle: CompiledBundle, medians: Medians | None = None
    ) -> None:
        super().__init__(at, rows=rows, activity=activity, bundle=bundle, medians=medians)
        self.values: Mapping[str, Ints] = Values(self)


def usage_change_on(day: Ints, *, rows: Ints, activity: Activity, bundle: CompiledBundle) -> Ints:
    """Return `usage_change` of the accounts `rows` on other days than today."""
    at = day * DAY + activity.accounts["roll"][rows]
    return Features(at, rows=rows, activity=activity, bundle=bundle).values["usage_change"]
