"""`churnwatch key`: make, list and revoke the keys of the HTTP APIs."""

import base64
from typing import Annotated

from cyclopts import App, Parameter
from pydantic import Field

from lab.trouble import Trouble
from shared import keys
from shared.kafka import producer, wait_ready
from shared.settings import HexKey, ServiceSettings, load

PATIENCE_S = 5.0

app = App(name="key", help="Make, list and revoke keys: for sending events, reading health, acting on alerts.")


class KeySettings(ServiceSettings):
    """What making a key needs."""

    key_pepper: HexKey = Field(description="Key of the hashes under which API keys are kept")


@app.command
async def create(
    source: str,
    *,
    scope: Annotated[list[keys.Scope] | None, Parameter(consume_multiple=True)] = None,
    mode: keys.Mode = keys.Mode.LIVE,
    url: str = "http://127.0.0.1:8801",
    api_url: str = "http://127.0.0.1:8803",
) -> None:
    """Make a key and show it, once, with code to paste.

    Parameters
    ----------
    source
        Name of the app whose events come with this key, for example "web".
    scope
        What the key may do; several may be given.
    mode
        Events of a test key are judged and answered, and never kept.
    url
        Where the ingest is reached from the app.
    api_url
        Where the API for accounts and alerts is reached.
    """
    settings = load(KeySettings)
    scopes = scope or [keys.Scope.INGEST]
    pepper = settings.key_pepper.get_secret_value()
    try:
        key, record = keys.create(scopes=scopes, source=source, pepper=pepper, mode=mode)
    except keys.BadSource as fault:
        raise Trouble(str(fault)) from None
    await _publish(settings.kafka, record)
    print(f"key  {key}\n\nIt is shown this once; kept is only its hash, under the id {record.id}.")
    if keys.Scope.INGEST in scopes:
        print(_to_send(url=url, key=key))
    if keys.Scope.READ in scopes:
        print(_to_read(url=api_url, key=key))


@app.command(name="list")
async def list_() -> None:
    """List all keys; none can be shown again."""
    kafka = load(ServiceSettings).kafka
    await wait_ready(kafka, PATIENCE_S)
    found = await keys.load(kafka)
    for record in sorted(found.values(), key=lambda record: (record.source, record.id)):
        state = "revoked" if record.revoked else record.mode
        print(f"{record.id}  {record.source:20} {'+'.join(sorted(record.scopes)):18} {state}")
    if not found:
        print("no keys yet; `churnwatch key create web` makes one")


@app.command
async def revoke(key_id: str) -> None:
    """End a key, by the id that `churnwatch key list` shows; the services obey within seconds."""
    kafka = load(ServiceSettings).kafka
    if keys.looks_like_key(key_id):
        key_id = key_id.split("_")[1]
    await wait_ready(kafka, PATIENCE_S)
    found = (await keys.load(kafka)).get(key_id)
    if found is None:
        raise Trouble(f"key {key_id!r} is not known; `churnwatch key list` shows the ids")
    await _publish(kafka, keys.revoked(found))
    print(f"revoked {key_id}")


async def _publish(kafka: str, record: keys.KeyRecord) -> None:
    await wait_ready(kafka, PATIENCE_S)
    sender = producer(kafka)
    await sender.start()
    try:
        await keys.publish(sender, record)
    finally:
        await sender.stop()


def _to_read(*, url: str, key: str) -> str:
    return f"""
Accounts, the worst health first, and alerts:

    curl {url}/v1/accounts -H 'Authorization: Bearer {key}'
    curl {url}/v1/alerts -H 'Authorization: Bearer {key}'
"""


def _to_send(*, url: str, key: str) -> str:
    basic = base64.b64encode(f"{key}:".encode()).decode()
    return f"""
Send events to {url}. Each of these gives one message about the account globex;
another payment that fails gives no second one while that alert is open.

Python (pip install segment-analytics-python):

    import segment.analytics as analytics
    analytics.write_key = "{key}"
    analytics.host = "{url}"
    analytics.group("user-1", "globex", {{"name": "Globex", "owner": "you@example.com", "arr": 12000}})
    analytics.track("user-1", "Payment Failed", context={{"groupId": "globex"}})
    analytics.flush()

Node (npm install @segment/analytics-node):

    import {{ Analytics }} from "@segment/analytics-node"
    const analytics = new Analytics({{ writeKey: "{key}", host: "{url}" }})
    analytics.group({{ userId: "user-1", groupId: "globex", traits: {{ name: "Globex", owner: "you@example.com" }} }})
    analytics.track({{ userId: "user-1", event: "Payment Failed", context: {{ groupId: "globex" }} }})
    await analytics.closeAndFlush()

curl:

    curl {url}/v1/batch -H 'Authorization: Basic {basic}' -H 'Content-Type: application/json' -d '{{"batch": [
      {{"type": "group", "messageId": "try-1", "userId": "user-1", "groupId": "globex",
       "traits": {{"name": "Globex", "owner": "you@example.com", "arr": 12000}}}},
      {{"type": "track", "messageId": "try-2", "userId": "user-1", "event": "Payment Failed",
       "context": {{"groupId": "globex"}}}}]}}'
"""
