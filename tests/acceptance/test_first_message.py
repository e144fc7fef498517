"""From an SDK to a message, through the real stack: Kafka, Redis, a Slack double, a mail server and all three services.

Every test tells of accounts of its own on one stack. That nothing comes twice is seen once something later has come: in
the same partition a later account's message follows whatever an earlier one would still cause.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from redis import Redis
from segment.analytics import Client

from lab.slack_double.press import Interactivity
from lab.slack_double.workspace import Said
from shared.contracts.health import AccountHealth, Band
from shared.contracts.journey import MilestoneState
from shared.contracts.partition import partition_of
from shared.contracts.topics import PARTITIONS
from tests.support import node_sdk
from tests.support.risk import CONFIG
from tests.support.stack import Stack, whole_stack
from tests.support.waiting import eventually

DUPLICATES = 'churn_scorer_records_total{fate="duplicate"}'
DEFAULT_CHANNEL = "#churn-alerts"
TWO_CALLS = 2


JOURNEY = """
stages:
  - name: pilot
    goal: It is in use
    milestones:
      - { name: kick-off held, asserted: true, within: { days: 10, of: account } }
      - { name: contract signed, asserted: true, within: { days: 15, of: account } }
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    config = Path(shutil.copytree(CONFIG, tmp_path_factory.mktemp("config") / "config"))
    (config / "journey.yaml").write_text(JOURNEY, "utf-8")
    with whole_stack(tmp_path_factory.mktemp("stack"), config=config) as started:
        yield started


@pytest.fixture(scope="module")
def write_key(stack: Stack) -> str:
    return stack.new_key("web-app")


@pytest.fixture(scope="module")
def read_key(stack: Stack) -> str:
    return stack.new_key("page", "--scope", "read")


@pytest.fixture
def sdk(stack: Stack, write_key: str) -> Iterator[Client]:
    """Return Segment's SDK for Python, pointed at the ingest; what it could not send fails the test."""
    faults: list[object] = []
    client = Client(write_key, host=stack.ingest, on_error=lambda error, _items: faults.append(error), max_retries=1)
    yield client
    client.shutdown()
    assert not faults


def fail_to_pay(sdk: Client, *accounts: str, owner: str | None = "") -> None:
    """Send the two calls of the README for each account, with the same message ids whenever; "" is its own owner."""
    for account in accounts:
        user, context = f"user-of-{account}", {"groupId": account}
        known = f"{account}@example.com" if owner == "" else owner
        traits = {"name": account, "arr": 48_000, "currency": "EUR", **({"owner": known} if known else {})}
        sdk.group(user, account, traits, message_id=f"{account}-group")
        sdk.track(user, "Payment Failed", context=context, message_id=f"{account}-failed")
    sdk.flush()


def about(stack: Stack, account: str) -> Sequence[Mapping[str, Any]]:
    """Return the Slack messages about an account."""
    return [said for said in stack.said() if said["text"].endswith((f" {account}: critical", f" {account}: resolved"))]


def last_about(stack: Stack, account: str) -> Mapping[str, Any]:
    """Return the last Slack message about an account."""
    return [said for said in stack.said() if f" {account}: " in said["text"]][-1]


def buttons_about(stack: Stack, account: str) -> Sequence[str]:
    """Return what may be said to be reached under the last message about an account."""
    blocks = last_about(stack, account)["blocks"]
    elements = [element for block in blocks if block.get("block_id") == "milestones" for element in block["elements"]]
    return [element["text"]["text"] for element in elements]


def press(stack: Stack, message: Mapping[str, Any], action: str) -> tuple[int, str]:
    """Press a button of a message as somebody sees it, whatever it reads by now; return status and text."""
    secret = (stack.settings.data / "secrets" / "slack_signing_secret").read_text("ascii").strip()
    slack = Interactivity(url=f"{stack.alerts}/slack/interactions", secret=secret)
    fields = {name: message[name] for name in ("channel", "ts", "text", "blocks", "metadata")}
    seen = Said(**fields, thread_ts=None, posted_at=0.0)
    return asyncio.run(slack.press(seen, action, user="U1", name="Dana"))


def mails_about(stack: Stack, account: str) -> Sequence[EmailMessage]:
    """Return the mails about an account, the oldest first."""
    return [mail for mail in stack.mails() if str(mail["Subject"]).endswith(f"{account}: churn risk")]


def told(stack: Stack) -> tuple[Counter[str], Counter[str]]:
    """Return how many Slack messages, replies included, and how many mails there are of each alert."""
    slack = Counter(str(said["metadata"]["event_payload"]["alert_id"]) for said in stack.said())
    return slack, Counter(str(mail["X-Churnwatch-Alert"]) for mail in stack.mails())


def wait_told(stack: Stack, *accounts: str) -> None:
    """Return once each account is told of, in Slack and by mail."""
    posts, mails = "🔴 {}: critical", "{}: churn risk"
    eventually(lambda: {posts.format(a) for a in accounts} <= {said["text"] for said in stack.said()})
    eventually(lambda: {mails.format(a) for a in accounts} <= {str(mail["Subject"]) for mail in stack.mails()})


def _texts(value: object) -> Sequence[str]:
    if isinstance(value, Mapping):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []


def everywhere(word: str) -> Sequence[str]:
    """Return names of accounts that start with a word, one in each partition."""
    found: dict[int, str] = {}
    for number in count():
        account = f"{word}-{number}"
        found.setdefault(partition_of(account.encode(), partitions=PARTITIONS), account)
        if len(found) == PARTITIONS:
            return list(found.values())
    raise AssertionError


def test_a_failed_payment_tells_the_owner_in_slack_and_by_mail(stack: Stack, sdk: Client, read_key: str) -> None:
    for quiet in ("bystander", "another"):
        sdk.group(f"user-of-{quiet}", quiet, {"name": quiet, "owner": "dana@example.com"})
        sdk.track(f"user-of-{quiet}", "Report Exported", context={"groupId": quiet})
    fail_to_pay(sdk, "initech", owner="dana@example.com")
    wait_told(stack, "initech")

    (message,), (mail,) = about(stack, "initech"), mails_about(stack, "initech")
    assert (message["name"], mail["To"]) == ("dana@example.com", "dana@example.com")
    said = {"*A payment failed today*\nNo invoice was paid since", "*At stake*\nEUR 48,000 a year", "Account initech"}
    assert said <= set(_texts(message["blocks"]))
    assert [text for text in _texts(stack.said()) if text in {"Account bystander", "Account another"}] == []

    shown = stack.answer("/v1/accounts/initech", key=read_key).json()
    assert [episode["rule"] for episode in shown["episodes"]] == ["failed_payment"]
    assert shown["alert"] == shown["episodes"][0]["id"] == message["metadata"]["event_payload"]["alert_id"]
    assert shown["attributes"] == {"name": "initech", "owner": "dana@example.com", "arr": 48_000, "currency": "EUR"}
    assert held(stack, "initech") == msgspec.convert(shown, AccountHealth)
    assert held(stack, "bystander").episodes == []
    assert stack.answer("/v1/accounts/initech", key="ck_0_0").status_code == 401


def test_an_owner_whom_slack_does_not_know_is_told_of_in_the_default_channel(stack: Stack, sdk: Client) -> None:
    fail_to_pay(sdk, "hooli", owner="nobody@elsewhere.test")
    fail_to_pay(sdk, "umbrella", owner=None)
    eventually(lambda: bool(about(stack, "hooli") and about(stack, "umbrella")))

    (unknown,), (none,) = about(stack, "hooli"), about(stack, "umbrella")
    assert unknown["name"] == none["name"] == DEFAULT_CHANNEL
    assert "its owner, nobody@elsewhere.test, is unknown here" in str(unknown["blocks"])
    assert "the account has no owner" in str(none["blocks"])
    # events name the owner, and anyone with a write key can send them: nothing is mailed to strangers
    assert [*mails_about(stack, "hooli"), *mails_about(stack, "umbrella")] == []


def test_the_same_batch_again_changes_nothing(stack: Stack, sdk: Client) -> None:
    accounts = everywhere("again")
    fail_to_pay(sdk, *accounts)
    wait_told(stack, *accounts)
    duplicates, healths, before = stack.metric(DUPLICATES), [held(stack, account) for account in accounts], told(stack)

    fail_to_pay(sdk, *accounts)
    eventually(lambda: stack.metric(DUPLICATES) == duplicates + TWO_CALLS * len(accounts))
    later = everywhere("after-again")
    fail_to_pay(sdk, *later)
    wait_told(stack, *later)

    assert [held(stack, account) for account in accounts] == healths
    for was, now in zip(before, told(stack), strict=True):
        assert set((now - was).values()) == {1}
        assert (len(now) - len(was), now.total() - was.total()) == (PARTITIONS, PARTITIONS)


def test_a_paid_invoice_edits_the_message_that_is_there(stack: Stack, sdk: Client, read_key: str) -> None:
    fail_to_pay(sdk, "vehement")
    wait_told(stack, "vehement")
    (opened,) = about(stack, "vehement")

    sdk.track("user-of-vehement", "Invoice Paid", context={"groupId": "vehement"})
    sdk.flush()
    eventually(lambda: about(stack, "vehement")[0]["text"] == "✅ vehement: resolved")
    eventually(lambda: len(mails_about(stack, "vehement")) == 2)

    (resolved,), mails = about(stack, "vehement"), mails_about(stack, "vehement")
    assert (resolved["ts"], resolved["edits"]) == (opened["ts"], 1)
    assert "No invoice was paid since" not in str(resolved["blocks"])
    assert mails[1]["In-Reply-To"] == mails[0]["Message-ID"]
    shown = stack.answer("/v1/accounts/vehement", key=read_key).json()
    assert (shown["episodes"], shown["alert"]) == ([], None)
    alert = resolved["metadata"]["event_payload"]["alert_id"]
    assert stack.answer(f"/v1/alerts/{alert}", key=read_key).json()["state"] == "resolved"


def test_somebodys_word_by_button_or_api_ends_what_is_overdue(stack: Stack, sdk: Client) -> None:
    accounts = ("soylent", "tyrell")
    for account in accounts:
        traits = {"name": account, "owner": "dana@example.com", "stage": "pilot"}
        sdk.group(f"user-of-{account}", account, traits, timestamp=datetime.now(UTC) - timedelta(days=20))
    sdk.flush()
    eventually(lambda: {f"🟠 {account}: at risk" for account in accounts} <= {said["text"] for said in stack.said()})
    assert buttons_about(stack, "soylent") == ["Mark 'kick-off held' as reached", "Mark 'contract signed' as reached"]

    duplicates = stack.metric(DUPLICATES)
    opened = last_about(stack, "soylent")
    for _ in range(2):  # a double click
        assert press(stack, opened, "milestone_0") == (200, "")
    eventually(lambda: buttons_about(stack, "soylent") == ["Mark 'contract signed' as reached"])
    assert "Dana: 'kick-off held' is reached" in str(last_about(stack, "soylent")["blocks"])
    eventually(lambda: stack.metric(DUPLICATES) == duplicates + 1)
    assert press(stack, last_about(stack, "soylent"), "milestone_0") == (200, "")
    eventually(lambda: last_about(stack, "soylent")["text"] == "✅ soylent: resolved")

    headers = {"Authorization": f"Bearer {stack.new_key('crm', '--scope', 'act')}", "Idempotency-Key": "crm-0001"}
    for name in ("kick-off held", "kick-off held", "contract signed"):
        body = {"name": name, "by": "ken@example.com"}
        answer = httpx.post(f"{stack.alerts}/v1/accounts/tyrell/milestones", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
    eventually(lambda: last_about(stack, "tyrell")["text"] == "✅ tyrell: resolved")
    eventually(lambda: stack.metric(DUPLICATES) == duplicates + 2)
    for account in accounts:
        journey = held(stack, account).journey
        assert journey is not None
        assert [milestone.state for milestone in journey.milestones] == [MilestoneState.MET] * 2


@pytest.mark.parametrize("end", [Stack.stop, Stack.kill], ids=["stopped", "killed"])
def test_a_restart_repeats_nothing_and_misses_nothing(
    stack: Stack, sdk: Client, end: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    way = request.node.callspec.id
    earlier, meanwhile, later = (everywhere(f"{when}-{way}") for when in ("before", "meanwhile", "after"))
    fail_to_pay(sdk, *earlier)
    wait_told(stack, *earlier)
    before, edits = told(stack), stack.slack_counts()["edits"]

    end(stack, "scorer", "alerts")
    fail_to_pay(sdk, *meanwhile)
    stack.start("scorer", "alerts")
    wait_told(stack, *meanwhile)
    fail_to_pay(sdk, *later)
    wait_told(stack, *later)

    for was, now in zip(before, told(stack), strict=True):
        assert set((now - was).values()) == {1}
        assert (len(now) - len(was), now.total() - was.total()) == (2 * PARTITIONS, 2 * PARTITIONS)
    assert stack.slack_counts()["edits"] == edits


def test_verify_finds_nothing_until_redis_says_something_else(stack: Stack, sdk: Client) -> None:
    fail_to_pay(sdk, "globex")
    wait_told(stack, "globex")
    agreed = stack.churnwatch("verify")
    assert (agreed.returncode, agreed.stderr) == (0, "")
    assert "differing: 0\n" in agreed.stdout

    right = held(stack, "globex")
    put(stack, msgspec.structs.replace(right, health=99_000, band=Band.HEALTHY))
    differs = stack.churnwatch("verify")
    put(stack, right)
    assert differs.returncode == 1
    assert f"globex: health (health, band) differs, first at {right.at}" in differs.stdout
    assert "differing: 1\n" in differs.stdout


@pytest.mark.proof
def test_segments_node_sdk_gives_a_message_too(stack: Stack, write_key: str) -> None:
    node_sdk.send(stack.ingest, write_key)
    eventually(lambda: bool(about(stack, "Acme")))
    (message,) = about(stack, "Acme")
    assert message["name"] == DEFAULT_CHANNEL
    assert "its owner, dana@vendor.test, is unknown here" in str(message["blocks"])


def held(stack: Stack, account: str) -> AccountHealth:
    """Return the health of an account as it lies in Redis."""
    with Redis.from_url(stack.redis) as redis:
        return msgspec.json.decode(redis.hget(f"churn:health:{account}", "p") or b"", type=AccountHealth)


def put(stack: Stack, health: AccountHealth) -> None:
    """Write a health over what Redis has."""
    with Redis.from_url(stack.redis) as redis:
        redis.hset(f"churn:health:{health.account}", "p", msgspec.json.encode(health))
