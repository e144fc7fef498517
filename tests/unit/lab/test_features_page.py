"""The page of features says what the table of features holds."""

import re
from pathlib import Path

from lab.features_page import page
from services.scorer.core.feature_table import FEATURES, JUDGED, feature_called

ROOT = Path(__file__).parents[3]


def test_the_page_is_the_one_the_table_makes() -> None:
    written = (ROOT / "docs" / "features.md").read_text("utf-8")
    assert written == page(), "run `python -m lab.cli features > docs/features.md`"


def test_it_names_every_feature_once() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert names == [*FEATURES, "adoption:NAME", "use_28:NAME", *JUDGED]


def test_scoring_md_has_the_formula_of_every_feature() -> None:
    section = (ROOT / "docs" / "scoring.md").read_text("utf-8").partition("## 5.")[2].partition("## 6.")[0]
    for name in (*FEATURES, *JUDGED):
        family = re.sub(r"_(1|7|14|28|91)$", "_W", name).replace("days_since", "…")
        assert name in section or family in section, name


def test_a_name_nobody_knows_is_no_feature() -> None:
    assert [feature_called(name) for name in ("", "adoption", "adoption:", "use_7:Export", "usage_8")] == [None] * 5
    adoption = feature_called("adoption:Ex:port")
    assert adoption is not None
    assert adoption.name == "adoption:Ex:port"
