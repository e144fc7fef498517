"""The simulator gives valid events in time order, the same for the same seed, with the truth apart."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.oracle_records import Event, Record, read
from lab.simulate import DAY, MONDAY, Vendor, write

VENDOR = Vendor(accounts=40, days=30, seed=3, user_events_a_day=0.5)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    out, truth = (tmp_path_factory.mktemp("simulated") / name for name in ("events.jsonl", "truth.jsonl"))
    write(VENDOR, out=out, truth=truth)
    return out, truth


@pytest.fixture(scope="module")
def events(files: tuple[Path, Path]) -> list[Event]:
    lines = files[0].read_bytes().splitlines()
    records = [Record(offset=n, ts=2 * MONDAY, value=line) for n, line in enumerate(lines)]
    return [event for event in map(read, records) if isinstance(event, Event)]


def truths_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_line_is_an_event_of_its_day_in_time_order(events: list[Event]) -> None:
    times = [event.at for event in events]
    assert times == sorted(times)
    assert MONDAY <= times[0] <= times[-1] < MONDAY + VENDOR.days * DAY
    assert len({(event.source, event.id) for event in events}) == len(events) > 3_000


def test_the_same_seed_gives_the_same_bytes(files: tuple[Path, Path], tmp_path: Path) -> None:
    write(VENDOR, out=tmp_path / "again", truth=tmp_path / "truth")
    assert (tmp_path / "again").read_bytes() == files[0].read_bytes()
    assert (tmp_path / "truth").read_bytes() == files[1].read_bytes()


def test_who_churned_is_cancelled_and_silent_afterwards(files: tuple[Path, Path], events: list[Event]) -> None:
    churned = {t["account"]: t["churned_on_day"] for t in truths_in(files[1]) if t["churned_on_day"] >= 0}
    cancelled = {e.account: (e.at - MONDAY) // DAY for e in events if e.data.get("status") == "cancelled"}
    last = {event.account: (event.at - MONDAY) // DAY for event in events}
    assert churned == cancelled != {}
    assert all(last[account] <= day for account, day in churned.items())


def test_the_true_hazard_ends_with_the_account(files: tuple[Path, Path]) -> None:
    for truth in truths_in(files[1]):
        end = truth["churned_on_day"] if truth["churned_on_day"] >= 0 else VENDOR.days - 1
        assert all(hazard > 0 for hazard in truth["hazard_millionths"][: end + 1])
        assert not any(truth["hazard_millionths"][end + 1 :])
