"""Simulated events are valid envelopes in order of time, the same for the same seed, and end with the customer."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from lab.oracle_records import Event, Record, read
from lab.simulate.population import population_of
from lab.simulate.run import simulate, write
from lab.simulate.truth import Churned, Truth, truths_in
from lab.simulate.vendor import DAY, HOUR, MONDAY, Vendor
from shared.contracts import events as contract
from shared.contracts.events import DATA_OF, Kind, parse_time

VENDOR = Vendor(accounts=60, days=120, seed=8, user_events_a_day=0.4)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    out, truth = (tmp_path_factory.mktemp("simulated") / name for name in ("events.jsonl", "truth.jsonl"))
    write(VENDOR, out=out, truth=truth)
    return out, truth


@pytest.fixture(scope="module")
def events(files: tuple[Path, Path]) -> list[contract.Event]:
    decoder = msgspec.json.Decoder(contract.Event)
    return [decoder.decode(line) for line in files[0].read_bytes().splitlines()]


@pytest.fixture(scope="module")
def truths(files: tuple[Path, Path]) -> list[Truth]:
    return list(truths_in(files[1]))


def kind_of(event: contract.Event) -> Kind:
    return Kind(event.type.split(".")[1])


def test_every_line_is_an_event_the_scorer_applies(files: tuple[Path, Path]) -> None:
    lines = files[0].read_bytes().splitlines()
    found = [read(Record(offset=n, ts=MONDAY + 200 * DAY, value=line)) for n, line in enumerate(lines)]
    assert [one for one in found if not isinstance(one, Event)] == []
    assert len(lines) > 20_000


def test_every_event_has_the_data_of_its_kind_and_nothing_else(events: list[contract.Event]) -> None:
    for event in events:
        if (type_ := DATA_OF.get(kind_of(event))) is not None:
            told = msgspec.json.decode(event.data)
            assert msgspec.to_builtins(msgspec.convert(told, type_)) == told


def test_times_rise_and_ids_are_unique(events: list[contract.Event]) -> None:
    times = [parse_time(event.time) or 0 for event in events]
    assert times == sorted(times)
    assert MONDAY - 14 * HOUR <= times[0] <= times[-1] < MONDAY + VENDOR.days * DAY + 12 * HOUR
    assert len({(event.source, event.id) for event in events}) == len(events)


def test_everything_that_may_happen_does(events: list[contract.Event]) -> None:
    told = Counter((kind_of(event), msgspec.json.decode(event.data).get("name")) for event in events)
    usage = {name for kind, name in told if kind == Kind.USAGE}
    assert {"Export Run", "Export All Records", "User Removed", "Role Changed", "Error Shown", "Sync Run"} <= usage
    by_staff = {Kind.ERASURE, Kind.SENTIMENT, Kind.OVERRIDE}
    assert {kind for kind, _ in told} == set(Kind) - by_staff
    assert {event.source for event in events} == {f"/sources/{name}" for name in ("web", "mobile", "api", "crm")}


def test_an_account_is_introduced_before_it_does_anything(events: list[contract.Event]) -> None:
    first = {event.subject: event for event in reversed(events)}
    assert len(first) == VENDOR.accounts
    assert {kind_of(event) for event in first.values()} == {Kind.ACCOUNT}


def test_who_left_is_cancelled_and_silent_afterwards(events: list[contract.Event], truths: list[Truth]) -> None:
    left = {truth.account for truth in truths if isinstance(truth, Churned)}
    last = {event.subject: event for event in events}
    cancelled = {e.subject for e in events if kind_of(e) == Kind.SUBSCRIPTION and b'"cancelled"' in bytes(e.data)}
    assert left == cancelled != set()
    assert all(b'"cancelled"' in bytes(last[account].data) for account in left)


def test_the_same_seed_gives_the_same_bytes(files: tuple[Path, Path], tmp_path: Path) -> None:
    write(VENDOR, out=tmp_path / "again", truth=tmp_path / "truth")
    assert (tmp_path / "again").read_bytes() == files[0].read_bytes()
    assert (tmp_path / "truth").read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("rows", [7, 977])
def test_the_bytes_do_not_depend_on_how_many_are_written_at_once(files: tuple[Path, Path], rows: int) -> None:
    days = simulate(VENDOR, population_of(VENDOR))
    written = b"".join(block for day in days for block in day.blocks(rows=rows))
    assert written == files[0].read_bytes()


def test_another_seed_is_another_vendor(files: tuple[Path, Path]) -> None:
    other = Vendor(accounts=60, days=2, seed=4, user_events_a_day=0.4)
    first = next(simulate(other, population_of(other)))
    assert not files[0].read_bytes().startswith(b"".join(first.blocks()))


def test_how_much_is_done_changes_nothing_of_the_truth(files: tuple[Path, Path], tmp_path: Path) -> None:
    busier = Vendor(accounts=60, days=120, seed=8, user_events_a_day=0.8)
    write(busier, out=tmp_path / "busier", truth=tmp_path / "truth")
    assert (tmp_path / "truth").read_bytes() == files[1].read_bytes()
