"""The harness itself: its points exist, its schedule repeats, and its judges see what is wrong."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from deploy.local.server import ROOT
from shared.contracts.health import Attributes, Band
from shared.contracts.risk import Change, Severity, Transition
from tests.faults.real import ledger as ledgers
from tests.faults.real import messages, points
from tests.faults.real.ledger import Answer, Ledger
from tests.faults.real.nemesis import FAMILIES, Fault, draw
from tests.faults.real.points import EXIT_UNKNOWN_POINT, POINTS, Point, When, arm
from tests.faults.real.proxy import Link


class Called:
    """Something to be wrapped."""

    async def act(self, value: bytes) -> bytes:
        return value


ACT = f"{__name__}:Called.act"


@pytest.fixture
def restored() -> Iterator[None]:
    original = Called.act
    yield
    Called.act = original  # type: ignore[method-assign]


@pytest.mark.parametrize("name", POINTS)
def test_every_point_names_something_a_service_has(name: str) -> None:
    owner, attribute = points._resolved(POINTS[name].call)
    assert callable(getattr(owner, attribute))


def test_a_point_that_is_gone_ends_the_process_with_a_code_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.faults.real.crashing", "scorer-nowhere:1", "services.scorer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_UNKNOWN_POINT
    assert "no such point: scorer-nowhere" in done.stderr


def test_a_call_that_is_gone_is_no_point() -> None:
    with pytest.raises(points.NoSuchPoint, match=r"Lane\.vanished"):
        points._resolved("services.scorer.lane:Lane.vanished")


@pytest.mark.usefixtures("restored")
async def test_the_process_dies_at_the_passage_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Called.__module__])
    died: list[int] = []
    point = Point(service="none", call=ACT, when=When.AFTER, only=lambda arguments: b"x" in arguments)
    called = Called()
    arm(point, number=2, die=lambda: died.append(1))
    for value, deaths in ((b"x", 0), (b"y", 0), (b"x", 1), (b"x", 1)):
        assert await called.act(value) == value
        assert len(died) == deaths


def test_a_seed_draws_the_same_faults_again() -> None:
    assert list(islice(draw(7), 60)) == list(islice(draw(7), 60))
    assert list(islice(draw(7), 60)) != list(islice(draw(8), 60))


def test_every_fault_and_every_point_has_its_turn() -> None:
    drawn = list(islice(draw(1, with_disk=True), 400))
    assert {injection.fault for injection in drawn} == set(Fault)
    assert {str(injection.point).partition(":")[0] for injection in drawn if injection.point} == set(POINTS)


def test_a_short_run_has_one_of_each_family() -> None:
    for seed in range(20):
        begun = {injection.fault for injection in islice(draw(seed, with_disk=True), len(FAMILIES))}
        assert all(begun & family for family in FAMILIES)


def test_every_fault_is_of_one_family() -> None:
    assert sorted(fault for family in FAMILIES for fault in family) == sorted(Fault)


async def test_the_ledger_knows_what_was_promised(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    first = await ledger.sent(["a", "b"])
    await ledger.answered(first, Answer.UNKNOWN, at=1)
    await ledger.answered(await ledger.sent(["a", "b"]), Answer.ACCEPTED, at=2)
    await ledger.answered(await ledger.sent(["a"]), Answer.UNKNOWN, at=3)
    await ledger.answered(await ledger.sent(["c"]), Answer.REJECTED, at=4)
    await ledger.sent(["d"])
    ledger.close()
    assert ledgers.read(path).answers == {
        "a": Answer.ACCEPTED,
        "b": Answer.ACCEPTED,
        "c": Answer.REJECTED,
        "d": Answer.UNKNOWN,
    }


def test_an_account_has_one_alert_until_its_last_reason_ends() -> None:
    story = [
        step("one", Change.OPENED),
        step("two", Change.OPENED),
        step("one", Change.RESOLVED),
        step("two", Change.RESOLVED),
        step("three", Change.OPENED),
    ]
    assert messages.alerts_of(story) == {"one", "three"}


def test_a_message_twice_is_allowed_only_where_a_fault_fell_into_its_call() -> None:
    said = messages.told([post("one", 100.0), post("one", 103.0), post("two", 200.0), post("two", 230.0)])
    assert said.doubled.keys() == {("C", "one"), ("C", "two")}
    assert messages.unexplained(said.doubled, [(101_000, 102_000)]) == [("C", "two")]


async def test_a_link_passes_delays_darkens_and_cuts() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    link = Link("echo", target=server.sockets[0].getsockname()[1])
    await link.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"passed")
        assert await reader.read(100) == b"passed"
        link.darken()
        writer.write(b"lost")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(100), 0.2)
        link.heal()
        with pytest.raises(ConnectionError):
            await reader.read(100)
        writer.close()
    finally:
        await link.stop()
        server.close()


def step(episode: str, change: Change) -> Transition:
    return Transition(
        id=f"{episode}.{change}",
        episode=episode,
        account="acme",
        rule=episode,
        change=change,
        severity=Severity.AT_RISK,
        at=1,
        opened_at=1,
        partition=0,
        offset=0,
        bundle="b",
        standing=False,
        playbook=None,
        band=Band.UNKNOWN,
        health=None,
        evidence=[],
        contributions=[],
        attributes=Attributes(),
    )


def post(alert: str, at_s: float) -> dict[str, object]:
    return {"channel": "C", "ts": f"{at_s:.6f}", "metadata": {"event_payload": {"kind": "alert", "alert_id": alert}}}
