"""`churnwatch people check` asks Slack through the real SDK, and says how everybody stands."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.people import command
from lab.people.slack import Slack as Directory
from lab.people.slack import SlackSettings, slack_client, unknown_to_slack
from lab.slack_double.faults import Fault, FaultKind
from lab.trouble import Trouble
from shared.settings import load
from tests.support.alerting import Slack, slack_double

FILE = """
people:
  - {{ email: fine@example.com }}
  - {{ email: moved@example.com, slack: U1 }}
  - {{ email: gone@example.com, slack: {gone} }}
  - {{ email: stranger@elsewhere.test, backup: nobody@example.com }}
"""


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slack]:
    async with slack_double() as double:
        monkeypatch.setenv("CHURNWATCH_SLACK_URL", f"{double.url}api/")
        monkeypatch.setenv("CHURNWATCH_SLACK_TOKEN", "xoxb-local")
        yield double


@pytest.fixture
def people(slack: Slack, tmp_path: Path) -> Path:
    workspace = slack.double.workspace
    for email in ("fine@example.com", "moved@example.com"):
        workspace.know(email)
    gone = workspace.know("gone@example.com")
    workspace.deactivated.add(gone)
    path = tmp_path / "people.yaml"
    path.write_text(FILE.format(gone=gone), "utf-8")
    return path


async def test_each_person_is_told_with_the_remedy(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        await command.check(people=people)
    assert end.value.code == 1
    said = capsys.readouterr().out
    for line in (
        "known        fine@example.com\n",
        "id differs   moved@example.com  the file says U1",
        "deactivated  gone@example.com",
        "not found    stranger@elsewhere.test",
        "people[3].backup: stranger@elsewhere.test: nobody@example.com is none of the people",
        "4 people: 1 known, 1 id differs, 1 deactivated, 1 not found; 1 faults in the file",
    ):
        assert line in said


async def test_the_same_as_json(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        await command.check(people=people, json=True)
    said = json.loads(capsys.readouterr().out)
    assert [one["standing"] for one in said["people"]] == ["known", "id differs", "deactivated", "not found"]
    assert len(said["faults"]) == 1


async def test_a_good_file_ends_with_nothing_to_do(slack: Slack, tmp_path: Path) -> None:
    slack.double.workspace.know("fine@example.com")
    path = tmp_path / "people.yaml"
    path.write_text("people: [{ email: fine@example.com }]", "utf-8")
    await command.check(people=path)


async def test_without_a_token_only_the_file_is_checked(
    people: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHURNWATCH_SLACK_TOKEN", "")
    with pytest.raises(SystemExit):
        await command.check(people=people)
    assert "slack was not asked: set CHURNWATCH_SLACK_TOKEN" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "words"),
    [("invalid_auth", "copy the bot token"), ("missing_scope", "manifest.yaml"), ("some_new_error", "some_new_error")],
)
async def test_what_slack_refuses_is_said_with_the_remedy(people: Path, slack: Slack, error: str, words: str) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.ERROR, error=error)])
    with pytest.raises(Trouble, match=words):
        await command.check(people=people)


@pytest.mark.usefixtures("people")
async def test_a_slack_that_is_busy_is_asked_again(slack: Slack) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.RATE_LIMITED, retry_after="0")])
    client = slack_client(load(SlackSettings))
    assert client is not None
    assert await unknown_to_slack(["fine@example.com", "gone@example.com", "who@else.test"], Directory(client)) == {
        "gone@example.com",
        "who@else.test",
    }


async def test_no_slack_at_all_is_one_line(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURNWATCH_SLACK_URL", "http://127.0.0.1:9/api/")
    with pytest.raises(Trouble, match="no slack answers"):
        await command.check(people=people)
