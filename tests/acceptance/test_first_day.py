"""The first day of a product engineer who follows docs/sending-events.md, word for word; no Kafka, no Java."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.support.stack import Stack, whole_stack
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sending-events.md").read_text("utf-8")
WRITTEN_URL = "http://127.0.0.1:8801"
WRITTEN_KEY = "ck_…"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("first-day")) as started:
        yield started


def code(language: str) -> str:
    """Return the first block of code of a language on the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found, f"the page has no {language} any more"
    return found[1]


def commands(word: str) -> str:
    """Return the first indented command of the page that begins with a word."""
    found = re.search(rf"^    (churnwatch {word}.*)$", PAGE, re.MULTILINE)
    assert found, f"the page has no `churnwatch {word}` any more"
    return found[1]


def test_the_page_leads_from_a_key_to_an_account_that_is_listed_as_unknown(stack: Stack) -> None:
    key = stack.new_key(*commands("key create").split()[3:])

    done = subprocess.run(
        [sys.executable, "-c", code("python").replace(WRITTEN_KEY, key).replace(WRITTEN_URL, stack.ingest)],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    words = commands("watch").replace(WRITTEN_KEY, key).split()[1:]
    said = ""

    def seen() -> bool:
        nonlocal said
        said = stack.churnwatch(*words, "--url", stack.ingest, "--once").stdout
        return said.count("applied") == 2 and "account acme: unknown" in said

    eventually(seen, within_s=60)
    shown = re.search(r"^    (account acme: unknown.*)$", PAGE, re.MULTILINE)
    assert shown
    assert shown[1] in said, said

    reader = stack.new_key("page", "--scope", "read")
    (account,) = stack.answer("/v1/accounts", key=reader).json()["accounts"]
    assert (account["account"], account["band"]) == ("acme", "unknown")
    assert "Acme" in str(stack.said()), "and its failed payment is told, for that needs no evidence"


def test_the_curl_of_the_page_is_accepted(stack: Stack) -> None:
    key = stack.new_key("shell")
    body = re.search(r"-d '(\{.*\})'", code("sh"), re.DOTALL)
    assert body
    answer = httpx.post(f"{stack.ingest}/v1/batch", content=body[1], auth=(key, ""))
    assert (answer.status_code, msgspec.json.decode(answer.content)) == (200, {"success": True})


def test_an_event_without_an_account_says_what_to_do(stack: Stack) -> None:
    key = stack.new_key("orphans")
    orphan = {"type": "track", "event": "Exported", "messageId": "o-1", "userId": "nobody"}
    assert httpx.post(f"{stack.ingest}/v1/batch", json={"batch": [orphan]}, auth=(key, "")).status_code == 200

    def seen() -> bool:
        said = stack.churnwatch("watch", "--key", key, "--url", stack.ingest, "--once").stdout
        return "no account: call group(userId, accountId)" in said

    eventually(seen, within_s=30)


def test_a_test_key_shows_and_keeps_nothing(stack: Stack) -> None:
    key = stack.new_key("trying", "--mode", "test")
    event = {"type": "track", "event": "Exported", "messageId": "t-1", "userId": "u", "context": {"groupId": "tried"}}
    answer = httpx.post(f"{stack.ingest}/v1/batch", json={"batch": [event]}, auth=(key, ""))
    assert answer.json()["accepted"] == 1

    def seen() -> bool:
        return "test accepted" in stack.churnwatch("watch", "--key", key, "--url", stack.ingest, "--once").stdout

    eventually(seen, within_s=30)
    assert stack.answer("/v1/accounts/tried", key=stack.new_key("page", "--scope", "read")).status_code == 404


def test_a_wrong_key_and_an_ingest_that_is_not_there_are_one_line_each(stack: Stack) -> None:
    wrong = stack.churnwatch("watch", "--key", "ck_1_2", "--url", stack.ingest, "--once")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "does not know this key" in wrong.stderr
    away = stack.churnwatch("watch", "--key", "ck_1_2", "--url", "http://127.0.0.1:9", "--once")
    assert (away.returncode, away.stderr.count("\n")) == (1, 1)
    assert "give its address with --url" in away.stderr


def test_watching_goes_on_over_a_restart_of_the_ingest_until_ctrl_c(stack: Stack, tmp_path: Path) -> None:
    key, said = stack.new_key("patient"), tmp_path / "said"

    def send(message: str) -> None:
        event = {"type": "track", "event": message, "messageId": message, "userId": "u", "context": {"groupId": "long"}}
        assert httpx.post(f"{stack.ingest}/v1/batch", json={"batch": [event]}, auth=(key, "")).status_code == 200

    with said.open("w") as out:
        command = [sys.executable, "-m", "lab.cli", "watch", "--key", key, "--url", stack.ingest]
        watching = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    try:
        eventually(lambda: "nothing was sent with this key yet" in said.read_text())
        send("Before")
        eventually(lambda: "✓ applied        usage Before  long" in said.read_text())
        stack.stop("ingest")
        eventually(lambda: "waiting for it" in said.read_text())
        stack.start("ingest")
        send("After")
        eventually(lambda: "✓ applied        usage After  long" in said.read_text())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=20) == 0
    finally:
        watching.kill()
        watching.wait()
    whole = said.read_text()
    assert "Traceback" not in whole
    assert (whole.count("the last 0 events"), whole.count("waiting for it"), whole.count("applied")) == (1, 1, 2)
