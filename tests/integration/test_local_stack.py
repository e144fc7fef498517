"""`make up`, `make down` and `make reset` start, end and empty what is theirs and nothing else."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import server, stack
from deploy.local.processes import Started, began, end, remember, remembered, running
from deploy.local.server import ServerFailed, free_port, port_is_open
from deploy.local.settings import LocalSettings
from shared.contracts.topics import TOPICS
from tests.support.waiting import eventually


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[LocalSettings]:
    """Return the settings of a stack of its own, ended at the end of the test."""
    chosen = LocalSettings(
        data=tmp_path / "data",
        kafka_port=free_port(),
        redis_port=free_port(),
        ingest_port=free_port(),
    )
    yield chosen
    stack.end_all(chosen.data / "run", keep=set())


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_the_stack_starts_once_and_leaves_nothing_behind(
    settings: LocalSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = stack.Part(
        name="page",
        module="http.server",
        port=settings.ingest_port,
        variable="CHURNWATCH_INGEST_PORT",
        arguments=(str(settings.ingest_port), "--bind", "127.0.0.1"),
        has_readyz=False,
        shown="a page",
    )
    monkeypatch.setattr(stack, "parts", lambda _settings: [part])
    stack.up(settings)
    first = {process.name: process.pid for process in running(settings.data / "run")}
    assert set(first) == {"kafka", "redis", "page"}
    assert f"created {len(TOPICS)} topics" in capsys.readouterr().out

    stack.up(settings)
    assert {process.name: process.pid for process in running(settings.data / "run")} == first
    assert "starting" not in capsys.readouterr().out

    stack.reset(settings)
    assert not any(port_is_open(port) for port in (settings.kafka_port, settings.redis_port, settings.ingest_port))
    assert [path.name for path in settings.data.iterdir()] == ["secrets"]


def test_what_a_failed_start_had_started_is_ended_and_the_reason_named(
    settings: LocalSettings, monkeypatch: pytest.MonkeyPatch, kafka: str
) -> None:
    part = stack.Part(
        name="broken",
        module="no_such_module",
        port=settings.ingest_port,
        variable="CHURNWATCH_INGEST_PORT",
        shown="",
    )
    monkeypatch.setattr(stack, "parts", lambda _settings: [part])
    with pytest.raises(ServerFailed, match=r"(?s)broken exited with 1.*No module named no_such_module") as caught:
        stack.up(settings.model_copy(update={"kafka": kafka}))
    assert "broken.log" in str(caught.value)
    assert running(settings.data / "run") == []
    assert not port_is_open(settings.redis_port)


def test_a_taken_port_is_named_before_anything_is_started(
    settings: LocalSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = stack.Part(
        name="page",
        module="http.server",
        port=settings.ingest_port,
        variable="CHURNWATCH_INGEST_PORT",
        shown="",
    )
    monkeypatch.setattr(stack, "parts", lambda _settings: [part])
    monkeypatch.setattr(server, "PORT_TIMEOUT_S", 0.0)
    with socket.create_server((server.HOST, settings.ingest_port)), pytest.raises(ServerFailed) as caught:
        stack.up(settings)
    assert "choose another with CHURNWATCH_INGEST_PORT" in str(caught.value)
    assert running(settings.data / "run") == []
    assert not (settings.data / "kafka").exists()


def test_a_stack_in_use_is_not_held_a_second_time(settings: LocalSettings, sleeper: subprocess.Popen[bytes]) -> None:
    remember(settings.data / "run", name="kafka", pid=sleeper.pid)
    with pytest.raises(ServerFailed, match=r"in use by kafka; end it with CHURNWATCH_DATA=.* make down"):
        stack.hold(settings)
    assert sleeper.poll() is None


def test_a_process_that_is_not_ours_is_never_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    remember(tmp_path, name="ours", pid=sleeper.pid)
    # the pid was given to somebody else since
    (tmp_path / "ours.json").write_text(f'{{"name":"ours","pid":{sleeper.pid},"began":"1"}}')
    assert running(tmp_path) == []
    end(tmp_path, [Started(name="ours", pid=sleeper.pid, began="1")])
    assert sleeper.poll() is None


def test_a_process_of_ours_is_ended_and_forgotten(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    remember(tmp_path, name="ours", pid=sleeper.pid)
    end(tmp_path, running(tmp_path))
    assert began(sleeper.pid) is None
    assert remembered(tmp_path, "ours") is None


def test_a_part_that_dies_is_started_again_until_the_stack_is_stopped(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    keeper = subprocess.Popen([sys.executable, "-c", _KEEP, str(starts)], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: starts.exists() and len(starts.read_text()) > 1)
    finally:
        keeper.terminate()
    keeper.wait(10)
    ended = starts.read_text()
    assert keeper.returncode is not None
    assert starts.read_text() == ended


def test_a_pid_file_cut_short_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "ours.json").write_text('{"name":"ou')
    assert running(tmp_path) == []


_KEEP = """
import sys
from deploy.local import keeper
keeper.YOUNG_S, keeper.PAUSE_S = 0, 0.1
child = "open(__import__('sys').argv[1], 'a').write('x'); raise SystemExit(1)"
sys.argv = ["keeper", sys.executable, "-c", child, sys.argv[1]]
sys.exit(keeper.main())
"""
