"""`churnwatch people check`: compare people.yaml with Slack."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cyclopts import App

from lab.accounts.known import read_known
from lab.people.file import file_faults, read_people
from lab.people.slack import Slack, SlackSettings, check_people, slack_client
from lab.people.standing import Checked, Standing
from lab.service import API_URL, Service
from services.alerts.core.people import People
from shared.settings import load

app = App(name="people", help="Check who looks after accounts: config/people.yaml against Slack.")


@app.command
async def check(
    *, people: Path = Path("config/people.yaml"), key: str | None = None, url: str = API_URL, json: bool = False
) -> None:
    """Say of everybody in people.yaml whether Slack knows them, and what is wrong in the file itself.

    Slack is asked with CHURNWATCH_SLACK_TOKEN at CHURNWATCH_SLACK_URL. Exit code 1 if anything needs doing.

    Parameters
    ----------
    people
        The file.
    key
        A key of scope read: with it, the segments of the file are compared with those accounts have.
    url
        Where the alert service's API is.
    json
        Print JSON.
    """
    found = read_people(people)
    segments = None
    if key is not None:
        api = Service(url, key=key, called="alert API")
        segments = {known.attributes.segment or "" for known in read_known(api)}
    faults = file_faults(found, segments=segments)
    checked = await _in_slack(found)
    if json:
        print(_as_json(faults, checked))
    else:
        _show(found, people, faults, checked)
    if faults or any(one.standing is not Standing.KNOWN for one in checked or ()):
        sys.exit(1)


async def _in_slack(people: People) -> Sequence[Checked] | None:
    client = slack_client(load(SlackSettings))
    return None if client is None else await check_people(people, Slack(client))


def _show(people: People, path: Path, faults: Sequence[str], checked: Sequence[Checked] | None) -> None:
    for fault in faults:
        print(f"{path}: {fault}")
    for one in checked or ():
        print(f"{one.standing:12} {one.email}{f'  {one.remedy}' if one.remedy else ''}")
    if checked is None:
        print("slack was not asked: set CHURNWATCH_SLACK_TOKEN to the app's bot token (xoxb-…)")
    counts = Counter(str(one.standing) for one in checked or ())
    said = ", ".join(f"{count} {standing}" for standing, count in counts.most_common())
    print(f"{len(people.people)} people{f': {said}' if said else ''}; {len(faults)} faults in the file")


def _as_json(faults: Sequence[str], checked: Sequence[Checked] | None) -> str:
    people = None if checked is None else [asdict(one) for one in checked]
    return json.dumps({"faults": list(faults), "people": people}, ensure_ascii=False, indent=1)
