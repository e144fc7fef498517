"""`churnwatch erase`: forget an account or a person, and say when the last trace of them is gone."""

import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from cyclopts import App
from pydantic import Field

from lab.caught_up import alert_let_go, checkpointed, ends_of, transitions_obeyed
from lab.traces import Subject, accounts_of, facts_of, identities_of, take_back
from lab.trouble import Trouble
from services.ingest.core.identity import is_account, user_hasher
from shared import clock
from shared.contracts.alerts import Command, CommandKind
from shared.contracts.events import Erasure, Event, Kind, type_of, wire_time
from shared.contracts.topics import (
    ACTIVITY,
    ALERTS,
    COMMANDS,
    DEAD_LETTERS,
    EVENTS,
    FACTS,
    IDENTITY,
    NOTICES,
    RISK,
    ROLLED_AFTER,
    SCORES,
    SNAPSHOTS,
    TOPICS,
    UNATTRIBUTED,
)
from shared.kafka import producer, wait_ready
from shared.settings import HexKey, ServiceSettings, load
from shared.topology import current_topology

PATIENCE_S: Final = 300.0
SOURCE: Final = "/churnwatch/erase"
OF_USERS: Final = (EVENTS, SNAPSHOTS, DEAD_LETTERS, UNATTRIBUTED, ACTIVITY, IDENTITY, FACTS)
OF_ACCOUNTS: Final = (*OF_USERS, RISK, SCORES, COMMANDS, ALERTS, NOTICES)

app = App(name="erase", help="Forget an account or a person, and say when the last trace of them is gone.")


class EraseSettings(ServiceSettings):
    """What finding a person needs."""

    user_hash_key: HexKey = Field(description="Key of the hash that replaces end users' ids; never change it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Erasures that are durable: when they say it is (epoch ms), and the last offset in each partition.

    `since` is where the checkpoint's topic `activity` ended before: what tells that scorers came past them is written
    after it. `facts` are the partitions of `churn.facts.v1` in which facts of these accounts lie.
    """

    at: int
    activity: str
    facts: frozenset[int]
    offsets: Mapping[int, int]
    since: Mapping[int, int]


@app.command
async def account(account_id: str, *, patience_s: float = PATIENCE_S) -> None:
    """Forget everything an account did. What it does from now on builds it up anew.

    Parameters
    ----------
    account_id
        The account's id as events carry it.
    patience_s
        How long to wait for the scorers and the alert service, in seconds each; running it again is harmless.
    """
    if not is_account(account_id):
        raise Trouble(f"{account_id!r} can be no account's id")
    kafka = load(ServiceSettings).kafka
    await wait_ready(kafka, 5.0)
    subject = Subject(account=account_id)
    written = await write(kafka, [account_id])
    _say(f"{account_id} is erased as of {wire_time(written.at)}; waiting for a checkpoint after that")
    await _forget(kafka, subject, written, patience_s=patience_s)
    await _let_go_of_alert(kafka, account_id, at=written.at, patience_s=patience_s)
    _say_what_is_left(OF_ACCOUNTS)


@app.command
async def user(user_id: str, *, source: str, patience_s: float = PATIENCE_S) -> None:
    """Forget a person in every account, by the id an app sends. Numbers that name nobody stay.

    Parameters
    ----------
    user_id
        The user's id as the app sends it, before it is hashed.
    source
        Name of the app that sends this user's events.
    patience_s
        How long to wait for the scorers, in seconds; running it again is harmless.
    """
    settings = load(EraseSettings)
    await wait_ready(settings.kafka, 5.0)
    hashed = user_hasher(settings.user_hash_key.get_secret_value())(user_id)
    subject = Subject(source=source, user=hashed)
    accounts = await accounts_of(settings.kafka, subject, tell=_say)
    if not accounts:
        raise Trouble(f"nothing here knows a user of this id of the source {source!r}: is it the id the app sends?")
    written = await write(settings.kafka, accounts, user=hashed)
    _say(f"{hashed} is erased as of {wire_time(written.at)}; waiting for checkpoints after that")
    await _forget(settings.kafka, subject, written, patience_s=patience_s)
    _say_what_is_left(OF_USERS)


async def write(kafka: str, accounts: Sequence[str], *, user: str | None = None) -> Written:
    """Write an erasure of each account, or of a user in it, and return when all are durable."""
    topology, at = await current_topology(kafka), clock.now_ms()
    numbers = {name: topology.home(EVENTS, name.encode()) for name in accounts}
    since = await ends_of(kafka, topology.activity, set(numbers.values()))
    offsets: dict[int, int] = {}
    async with producer(kafka) as client:
        for name, number in numbers.items():
            value = msgspec.json.encode(_erasure(name, user=user, at=at))
            sent = await client.send_and_wait(topology.events, value, key=name.encode(), partition=number)
            offsets[number] = int(sent.offset)
    facts = frozenset(topology.home(FACTS, name.encode()) for name in accounts)
    return Written(at=at, activity=topology.activity, facts=facts, offsets=offsets, since=since)


def last_days(topics: Iterable[str], *, now: datetime) -> Mapping[str, str]:
    """Return for each topic the day (YYYY-MM-DD, UTC) after which Kafka holds nothing written until `now`.

    A segment is closed within a week and deleted when its last record is older than the retention.
    """
    kept = {name: TOPICS[name].retention or timedelta(0) for name in topics}
    return {name: f"{now + retention + ROLLED_AFTER + timedelta(days=1):%Y-%m-%d}" for name, retention in kept.items()}


def _erasure(account_id: str, *, user: str | None, at: int) -> Event:
    return Event(
        id=f"erase_{uuid.uuid4().hex}",
        source=SOURCE,
        type=type_of(Kind.ERASURE),
        subject=account_id,
        time=wire_time(at),
        data=msgspec.Raw(msgspec.json.encode(Erasure(user=user))),
    )


async def _forget(kafka: str, subject: Subject, written: Written, *, patience_s: float) -> None:
    """Take facts and identities back, once no replay of the scorers can write a fact again."""
    await checkpointed(kafka, written.activity, written.offsets, since=written.since, patience_s=patience_s)
    facts = await facts_of(kafka, subject, partitions=written.facts)
    await take_back(kafka, FACTS, facts)
    identities = await identities_of(kafka, subject)
    await take_back(kafka, IDENTITY, identities)
    _say(f"taken back: {len(facts)} facts, {len(identities)} users' belonging")


async def _let_go_of_alert(kafka: str, account_id: str, *, at: int, patience_s: float) -> None:
    if not await transitions_obeyed(kafka, account_id, patience_s=patience_s):
        _say("no alert service has ever read here: it knows no alert")
        return
    command = Command(
        id=f"erase-{at}", kind=CommandKind.ERASE, alert="", account=account_id, by="churnwatch erase", at=at
    )
    async with producer(kafka) as client:
        await client.send_and_wait(COMMANDS, msgspec.json.encode(command), key=account_id.encode())
    await alert_let_go(kafka, account_id, until=at, patience_s=patience_s)
    _say("the alert service knows no alert of it any more")


def _say_what_is_left(topics: Iterable[str]) -> None:
    _say("\nWhat lies in Kafka is not read any more, and gone for good after")
    for name, day in last_days(topics, now=datetime.fromtimestamp(clock.now_ms() / 1000, UTC)).items():
        _say(f"    {day}  {name}")
    _say("Lists of recent events for people who plug an app in go within 7 days.")
    _say(
        "Messages already sent to Slack or by mail are not recalled, and backups of Kafka's disks are yours to delete."
    )


def _say(words: str) -> None:
    print(words, file=sys.stdout, flush=True)
