"""`churnwatch people check`: whether everybody of people.yaml is somebody Slack knows."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from cyclopts import App
from pydantic import Field, SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from lab.trouble import Trouble
from services.alerts.channels.people import People, Person, faults_of
from shared.settings import ServiceSettings, load

app = App(name="people", help="Check the people who are responsible for accounts.")


class PeopleSettings(ServiceSettings):
    """What asking Slack needs."""

    slack_url: Annotated[str, Field(description="Where Slack's Web API is")] = "https://slack.com/api/"
    slack_token: SecretStr | None = Field(None, description="Slack bot token (xoxb-...)")


@app.command
async def check(*, config: Path = Path("config")) -> None:
    """Check people.yaml itself, and each person in it against Slack; ends with 1 if anything is wrong."""
    people = read_people(config)
    wrong = [f"{config / 'people.yaml'}: {fault}" for fault in faults_of(people)]
    client = client_of(load(PeopleSettings))
    if client is None:
        print("slack was not asked: set CHURNWATCH_SLACK_TOKEN (and CHURNWATCH_SLACK_URL for the local stand-in)")
    else:
        wrong += [fault for person in people.people if (fault := await _in_slack(client, person)) is not None]
    for line in wrong:
        print(line)
    print(f"{len(people.people)} people, {len(wrong)} faults")
    if wrong:
        raise SystemExit(1)


async def strangers(owners: Collection[str], *, config: Path) -> Collection[str]:
    """Return the owners that neither people.yaml nor Slack knows, in lower case; without a token none is named."""
    client = client_of(load(PeopleSettings))
    if client is None:
        return ()
    known = read_people(config).by_email()
    found = []
    for owner in sorted({owner.lower() for owner in owners}):
        person = known.get(owner)
        if (person is None or person.slack is None) and await _id_of(client, owner) is None:
            found.append(owner)
    return found


def read_people(config: Path) -> People:
    """Read people.yaml; raises Trouble."""
    path = config / "people.yaml"
    try:
        return msgspec.convert(yaml.safe_load(path.read_text("utf-8")), People)
    except OSError as fault:
        raise Trouble(f"{path}: {fault.strerror}") from None
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as fault:
        raise Trouble(f"{path}: {' '.join(str(fault).split())}") from None


def client_of(settings: PeopleSettings) -> AsyncWebClient | None:
    """Return a client of Slack, None without a token."""
    if settings.slack_token is None:
        return None
    return AsyncWebClient(token=settings.slack_token.get_secret_value(), base_url=settings.slack_url, timeout=10)


async def _in_slack(client: AsyncWebClient, person: Person) -> str | None:
    """Return what is wrong with a person in Slack, None if nothing is."""
    found = await _id_of(client, person.email)
    if found is None and person.slack is None:
        return f"{person.email}: Slack knows nobody of this address; give the person's Slack id under `slack`"
    if found is not None and person.slack is not None and found != person.slack:
        return f"{person.email}: is {found} in Slack, people.yaml says {person.slack}"
    return None


async def _id_of(client: AsyncWebClient, email: str) -> str | None:
    try:
        answer = await client.users_lookupByEmail(email=email)
    except SlackApiError as fault:
        error = fault.response.get("error") if fault.response is not None else None
        if error in {"users_not_found", "user_not_found", "invalid_arguments"}:
            return None
        raise Trouble(f"slack answers {error or fault}") from None
    except (SlackClientError, OSError, TimeoutError) as fault:
        raise Trouble(f"slack does not answer: {str(fault) or type(fault).__name__}") from None
    user = answer.get("user") or {}
    return None if user.get("deleted") else str(user.get("id"))
