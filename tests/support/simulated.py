"""What docs/simulating.md says, read from its tables, so that tests hold the code to the page."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "simulating.md").read_text("utf-8")


def rows_of(first: str) -> list[list[str]]:
    """Return the cells of the table whose first column has that title, without its head."""
    lines = iter(PAGE.splitlines())
    assert any(line.startswith(f"| {first} |") for line in lines), first
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def number(text: str) -> float:
    """Return the first number of a text."""
    found = re.search(r"-?\d+(\.\d+)?", text)
    assert found, text
    return float(found[0])
