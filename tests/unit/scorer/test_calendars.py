"""The tables of a bundle: who is off on which day, how far clocks are ahead, and what is wrong in the file."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from services.scorer.calendars import CalendarSettings, tables_of
from services.scorer.config import load_bundle
from services.scorer.core.calendar import Tables
from shared.yaml_file import BadFiles, read_yaml

CONFIG = Path(__file__).parents[3] / "config"
EPOCH = date(1970, 1, 1)


def shipped(*, year: int = 2026) -> Tables:
    settings = msgspec.convert(read_yaml(CONFIG / "calendars.yaml").content, CalendarSettings)
    return tables_of(settings, year=year)


def off(country: str, *, first: str, last: str, tables: Tables | None = None) -> list[str]:
    """Return the days off in a span, as MM-DD, without the weekend."""
    tables = tables or shipped()
    found, day = set(), EPOCH + timedelta(days=tables.first_day)
    for step in tables.countries[country].off:
        day += timedelta(days=step)
        found.add(day)
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    span = [start + timedelta(days=n) for n in range((end - start).days + 1)]
    weekend = tables.countries[country].weekend
    return [f"{day:%m-%d}" for day in span if day in found and day.weekday() not in weekend]


def minutes(zone: str, *, at: datetime) -> int:
    (row,) = [row for row in shipped().zones if zone in row.names]
    return row.minutes[sum(moment <= at.timestamp() * 1000 for moment in row.at)]


def test_golden_week_obon_and_the_year_end_are_off_in_japan() -> None:
    # May 2026:  Wed 29 Apr … Wed 6 May (in lieu)      Thu 30 and Fri 1 lie in the shipped Golden Week
    assert off("JP", first="2026-04-27", last="2026-05-08") == ["04-29", "04-30", "05-01", "05-04", "05-05", "05-06"]
    # Mon 10 and Wed 12 August bridge Mountain Day, Tue 11; Obon is Thu 13 to Sun 16
    assert off("JP", first="2026-08-03", last="2026-08-21") == ["08-10", "08-11", "08-12", "08-13", "08-14"]
    assert off("JP", first="2026-12-21", last="2027-01-08") == [
        "12-28", "12-29", "12-30", "12-31", "01-01", "01-04",
    ]  # fmt: skip


def test_thanksgiving_bridges_to_the_weekend_and_christmas_to_new_year() -> None:
    assert off("US", first="2026-11-16", last="2026-12-04") == ["11-26", "11-27"]
    assert off("US", first="2026-12-14", last="2027-01-08") == [
        "12-24", "12-25", "12-28", "12-29", "12-30", "12-31", "01-01",
    ]  # fmt: skip


def test_bridge_days_are_as_many_as_the_file_says() -> None:
    none = tables_of(CalendarSettings(bridge_days=0), year=2026)
    assert off("US", first="2026-11-23", last="2026-11-27", tables=none) == ["11-26"]
    two = tables_of(CalendarSettings(bridge_days=2), year=2026)
    # Wednesday 11 November is Veterans Day: two days on either side of it lead to a weekend
    assert off("US", first="2026-11-09", last="2026-11-13", tables=two) == ["11-09", "11-10", "11-11", "11-12", "11-13"]


def test_clocks_change_when_they_do() -> None:
    assert minutes("Asia/Tokyo", at=datetime(2026, 7, 1, tzinfo=UTC)) == 540
    changes = datetime(2026, 3, 8, 7, tzinfo=UTC)  # 02:00 in New York
    assert minutes("America/New_York", at=changes - timedelta(milliseconds=1)) == -300
    assert minutes("America/New_York", at=changes) == -240


def test_tables_stay_the_same_for_four_years() -> None:
    assert [shipped(year=year) for year in (2025, 2026, 2027)] == [shipped(year=2024)] * 3
    assert shipped(year=2028) != shipped(year=2027)


def test_faults_are_named_by_file_line_and_key(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    bad = (
        "default_country: JPN\n"
        "default_timezone: Tokyo\n"
        "bridge_days: 9\n"
    )  # fmt: skip
    (tmp_path / "calendars.yaml").write_text(bad)
    with pytest.raises(BadFiles) as caught:
        load_bundle(tmp_path)
    assert caught.value.faults == (f"{tmp_path}/calendars.yaml:3: bridge_days: expected int <= 4",)
    bad = (
        "default_country: JPN\n"
        "default_timezone: Tokyo\n"
        "countries:\n"
        "  ZZ: {}\n"
        "  JP:\n"
        "    closed:\n"
        "      - {name: Obon, from: 08-13, to: 02-30}\n"
    )  # fmt: skip
    (tmp_path / "calendars.yaml").write_text(bad)
    (tmp_path / "rules.yaml").write_text("silence: {alpha_permille: 10}\nrules: []\nrule: []\n")
    with pytest.raises(BadFiles) as caught:
        load_bundle(tmp_path)
    said = "\n".join(caught.value.faults)
    for words in (
        "rules.yaml:3: rule: unknown key",
        "calendars.yaml:1: default_country: unknown country 'JPN'",
        "calendars.yaml:2: default_timezone: unknown time zone 'Tokyo'",
        "calendars.yaml:4: countries.ZZ: unknown country",
        "calendars.yaml:7: countries.JP.closed[0].to: there is no day 02-30",
    ):
        assert words in said


def test_norway_is_written_with_quotes(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    (tmp_path / "calendars.yaml").write_text("countries:\n  NO: {bridge_days: 2}\n")
    with pytest.raises(BadFiles) as caught:
        load_bundle(tmp_path)
    assert caught.value.faults == (
        f"{tmp_path}/calendars.yaml:2: countries[False]: YAML reads NO as false: write it as 'NO'",
    )
    (tmp_path / "calendars.yaml").write_text("countries:\n  'NO': {bridge_days: 2}\n")
    load_bundle(tmp_path)


def test_without_the_file_public_holidays_are_off(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    (tmp_path / "calendars.yaml").unlink()
    held = msgspec.json.decode(load_bundle(tmp_path, year=2026).config)["calendars"]
    tables = msgspec.convert(held, Tables)
    assert off("JP", first="2026-08-03", last="2026-08-21", tables=tables) == ["08-10", "08-11"]
