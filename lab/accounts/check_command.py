"""`churnwatch accounts check`: list what is missing or doubtful, each with its remedy."""

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from lab.accounts.findings import REMEDY, Finding, findings
from lab.accounts.known import read_known
from lab.people.file import read_people
from lab.people.slack import Slack, SlackSettings, slack_client, unknown_to_slack
from lab.service import API_URL, Service
from services.alerts.core.people import People
from shared import clock
from shared.contracts.health import AccountHealth
from shared.settings import load

SHOWN: Final = 20


async def check(
    *,
    key: str,
    url: str = API_URL,
    people: Path = Path("config/people.yaml"),
    json: bool = False,
    all: bool = False,  # noqa: A002  the option's name
) -> None:
    """List accounts without owner, ARR or events, with a renewal in the past, unknown owners, and ids that look alike.

    Exit code 1 if anything was found. Owners are looked up in Slack where CHURNWATCH_SLACK_TOKEN is set.

    Parameters
    ----------
    key
        A key of scope read: `churnwatch key create me --scope read` makes one.
    url
        Where the alert service's API is.
    people
        The file that says who is staff.
    json
        Print JSON, always whole.
    all
        List every account, not only the first 20 of a kind.
    """
    staff = read_people(people)
    known = list(read_known(Service(url, key=key, called="alert API")))
    unknown = await _unknown(known, staff)
    found = findings(known, people=staff, unknown_to_slack=unknown or (), today=clock.now().date())
    if json:
        print(_as_json(known, found))
    else:
        _show(found, most=None if all else SHOWN)
        asked = (
            "" if unknown is not None else " (owners were not looked up in slack: CHURNWATCH_SLACK_TOKEN is not set)"
        )
        print(f"{len(known)} accounts, {len(found)} findings{asked}")
    if found:
        sys.exit(1)


async def _unknown(known: Iterable[AccountHealth], people: People) -> frozenset[str] | None:
    """Return the owners whom Slack does not know, None if it can't be asked; an id in people.yaml needs no look-up."""
    client = slack_client(load(SlackSettings))
    if client is None:
        return None
    with_id = {person.email.lower() for person in people.people if person.slack}
    owners = {health.attributes.owner for health in known if health.attributes.owner}
    return await unknown_to_slack(
        (owner for owner in owners if owner and people.is_staff(owner) and owner not in with_id), Slack(client)
    )


def _show(found: Sequence[Finding], *, most: int | None) -> None:
    for problem, group in groupby(found, key=lambda finding: finding.problem):
        several = list(group)
        print(f"{problem}: {len(several)}. {REMEDY[problem][:1].upper()}{REMEDY[problem][1:]}.")
        for finding in several[:most]:
            print(f"  {', '.join(finding.accounts)}{f'  ({finding.detail})' if finding.detail else ''}")
        if most is not None and len(several) > most:
            print(f"  … and {len(several) - most} more: --all lists them")


def _as_json(known: Sequence[AccountHealth], found: Sequence[Finding]) -> str:
    shown = [
        {"problem": one.problem.name.lower(), "accounts": one.accounts, "detail": one.detail, "remedy": one.remedy}
        for one in found
    ]
    return msgspec.json.encode({"accounts": len(known), "findings": shown}).decode()
