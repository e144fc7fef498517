"""Run the Slack double: `python -m lab.slack_double --port 8804 --data .data/slack`."""

import argparse
import time
from pathlib import Path

import yaml
from aiohttp import web

from lab.slack_double.press import Interactivity
from lab.slack_double.server import SlackDouble
from lab.slack_double.workspace import Workspace


def main() -> None:
    """Serve until told to stop."""
    told = arguments().parse_args()
    workspace = Workspace(now_s=time.time, folder=told.data)
    workspace.load()
    know(workspace, people=told.people, users=told.user)
    interactivity = None
    if told.interactions_url and told.signing_secret_file:
        secret = told.signing_secret_file.read_text("ascii").strip()
        interactivity = Interactivity(url=told.interactions_url, secret=secret)
    web.run_app(SlackDouble(workspace, interactivity=interactivity).app(), host=told.host, port=told.port, print=None)


def arguments() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(prog="python -m lab.slack_double", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; anybody who reaches it reads along")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, help="folder to keep messages in")
    parser.add_argument("--people", type=Path, default=Path("config/people.yaml"), help="who is known to this Slack")
    parser.add_argument("--user", action="append", default=[], metavar="EMAIL", help="somebody else who is known")
    parser.add_argument("--interactions-url", help="where a pressed button is told of")
    parser.add_argument("--signing-secret-file", type=Path, help="file of the secret presses are signed with")
    return parser


def know(workspace: Workspace, *, people: Path, users: list[str]) -> None:
    """Let the workspace know everybody of `people.yaml`, and the users given."""
    known = yaml.safe_load(people.read_text("utf-8")) if people.exists() else {}
    workspace.domains = frozenset(domain.lower() for domain in known.get("domains") or [])
    for person in known.get("people") or []:
        if person.get("slack"):
            workspace.emails[person["email"].lower()] = person["slack"]
        else:
            workspace.know(person["email"])
    for email in users:
        workspace.know(email)


if __name__ == "__main__":
    main()
