"""Alert rules parse, and stand on metrics that the services really export."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
# what prometheus-client appends to the name a metric is made with
SUFFIXES = ("_total", "_bucket", "_sum", "_count", "_created")
SERVICES = {"ingest", "scorer", "alerts"}


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text("utf-8"))["groups"]:
        yield from group["rules"]


RULES = {rule["alert"]: rule for rule in rules()}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_parses_and_says_what_to_do(name: str) -> None:
    rule = RULES[name]
    promql_parser.parse(rule["expr"])
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "remedy"}
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}


def test_rules_stand_on_metrics_that_exist() -> None:
    made = {
        without_suffix(name)
        for folder in ("services", "shared")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r'"(churn_[a-z_]+)"', path.read_text("utf-8"))
    }
    asked = {without_suffix(name) for rule in rules() for name in re.findall(r"churn_[a-z_]+", rule["expr"])}
    assert asked - made == set()


def test_a_stall_pages_within_three_minutes() -> None:
    rule = RULES["ScorerStalled"]
    [window] = re.findall(r"\[(\d+)s\]", rule["expr"])
    settings = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))["global"]
    delays = [f"{window}s", rule["for"], settings["scrape_interval"], settings["evaluation_interval"]]
    assert sum(int(delay.removesuffix("s")) for delay in delays) < 3 * 60
    assert rule["labels"]["severity"] == "page"


def test_every_service_is_scraped() -> None:
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert {job["job_name"] for job in jobs} == SERVICES


def without_suffix(name: str) -> str:
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name
