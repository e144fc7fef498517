"""Requests in order, sent again while the ingest is busy, and progress that survives."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lab.importing import progress
from lab.importing.mapping import Row
from lab.importing.reconstruct import DAY, points, replay
from lab.importing.send import BYTES_A_CHUNK, Ingest, Unanswered, chunks, send
from lab.trouble import Trouble
from services.scorer.core.compile import compile_bundle
from tests.support.histories import shipped


def row(number: int, name: str = "Export") -> Row:
    return (number, "acme", 1_772_409_600_000 + number, "usage", None, "u", name, None)


class Answers(BaseHTTPRequestHandler):
    """Answer as told, then 200; keep what was asked."""

    planned: list[int]
    asked: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, self.headers["Authorization"], body))
        status = self.planned.pop(0) if self.planned else 200
        rows = len(json.loads(body)) if self.path.endswith("rows") else 0
        said = {"accepted": rows, "rejected": []} if status == 200 else {"code": "x", "message": "not now"}
        encoded = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    Answers.planned, Answers.asked = [], []
    with HTTPServer(("127.0.0.1", 0), Answers) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ingest(server: HTTPServer, *, patience_s: float = 5.0) -> Ingest:
    return Ingest(f"http://127.0.0.1:{server.server_port}", key="ck_1_2", job="i_1", patience_s=patience_s)


def test_requests_hold_what_the_ingest_takes() -> None:
    many = list(chunks(row(n) for n in range(12_001)))
    assert [chunk.rows for chunk in many] == [5000, 5000, 2001]
    assert [chunk.last for chunk in many] == [4999, 9999, 12_000]
    large = list(chunks(row(n, "x" * 400) for n in range(5000)))
    assert max(len(chunk.body) for chunk in large) <= BYTES_A_CHUNK + 5000
    assert sum(chunk.rows for chunk in large) == 5000
    assert list(chunks([])) == []


def test_rows_are_sent_in_order_and_again_while_the_ingest_is_busy(server: HTTPServer) -> None:
    Answers.planned = [200, 503, 429, 200]
    seen: list[int] = []
    sent = send(chunks(row(n) for n in range(7000)), ingest(server), after=lambda one: seen.append(one.last))
    assert (sent.rows, sent.last, seen) == (7000, 6999, [4999, 6999])
    paths = [path.rpartition("/")[2] for path, _, _ in Answers.asked]
    assert paths == ["start", "rows", "rows", "rows", "rows"]
    firsts = [json.loads(body)[0][0] for path, _, body in Answers.asked if path.endswith("rows")]
    assert firsts == [0, 0, 0, 5000]
    assert Answers.asked[0][:2] == ("/v1/import/i_1/start", "Bearer ck_1_2")


def test_what_no_repetition_mends_is_said_at_once(server: HTTPServer) -> None:
    Answers.planned = [403]
    with pytest.raises(Trouble, match="refuses the import: not now"):
        ingest(server).post("start")
    assert len(Answers.asked) == 1


def test_an_ingest_that_is_away_is_named(server: HTTPServer) -> None:
    Answers.planned = [503] * 50
    with pytest.raises(Unanswered, match="takes nothing"):
        ingest(server, patience_s=0.01).post("start")


def test_progress_is_kept_and_only_that_of_the_same_job_counts(tmp_path: Path) -> None:
    file = progress.progress_file(tmp_path, "i_1")
    assert progress.load(file, "i_1") == -1
    progress.save(file, progress.Progress(job="i_1", last=41))
    assert progress.load(file, "i_1") == 41
    assert progress.load(file, "i_2") == -1
    file.write_bytes(b"{")
    assert progress.load(file, "i_1") == -1


def test_a_replay_judges_every_day_at_its_end_as_was_known_then() -> None:
    scorecard, rules = shipped()
    bundle = compile_bundle("b_1", {"scorecard": scorecard, "rules": rules})
    start = 1_772_409_600_000
    lived: list[Row] = [
        (n, "acme", start + day * DAY + 9 * 3_600_000 + n % 3, "login", "web", f"u{n % 3}", None, None)
        for n, day in enumerate(d for d in range(40) for _ in range(3))
    ]
    told: Row = (999, "acme", start, "account", None, None, None, {"name": "Acme", "seats": 5})
    late: Row = (1000, "b", start + 70 * DAY, "login", None, None, None, None)
    days = list(replay(reversed([told, *lived, late]), bundle=bundle))
    assert [day.at for day in days] == [start + n * DAY for n in range(1, 72)]
    first = {row.account: row for row in days[0].healths}
    assert first["acme"].band == "unknown"
    healthy = next(row for row in days[38].healths if row.account == "acme")
    assert (healthy.band, healthy.name) == ("healthy", "Acme")
    opened = [(t.account, t.rule, day.at) for day in days for t in day.transitions if t.change == "opened"]
    assert opened[0][:2] == ("acme", "silence")
    assert opened[0][2] > start + 40 * DAY
    shown = points(iter(days), bundle="b_1", until=days[-1].at)
    assert {account for account, *_ in shown} == {"acme", "b"}
    assert days[-1].at in {at for _, at, *_ in shown}
