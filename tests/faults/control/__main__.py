"""See what a plain Faust table loses and doubles under the same kills: `python -m tests.faults.control --minutes 5`.

The same events over the same ingest, the same supervisor, and two of the same faults. Published, not asserted: what is
asserted is that it counts right as long as nothing is killed (the test), and that it counted at all.
"""

import argparse
import asyncio
import json
import logging
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

from shared.contracts.topics import EVENTS, PARTITIONS, Topic
from shared.kafka import create_topics, read_to_end
from tests.faults.control.plain import CHANGELOG, NAME, WINDOW_S
from tests.faults.real import ledger as ledgers
from tests.faults.real.deployment import Deployment
from tests.faults.real.ledger import Answer, Ledger
from tests.faults.real.progress import Progress
from tests.faults.real.run import say
from tests.faults.real.supervisor import Service
from tests.faults.real.traffic import Traffic

SCORED_WITHIN_S: Final = 60.0
MOST_HANGS: Final = 20
SETTLED_S: Final = 5.0
"""Its changelog follows within seconds of a commit."""
PAUSE_S: Final = (4.0, 14.0)
"""As long as the broker is suspended for our own scorer."""

Counts = Mapping[tuple[int, str, int], int]
"""By partition, account and window of arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the plain scorer made of the log. Where an account lost some of a window and doubled others only the
    rest shows.
    """

    kills: int
    pauses: int
    hangs: int
    """How often it stood still after a kill until it was started again."""
    accepted: int
    accepted_but_not_in_log: int
    in_log: int
    counted: int
    lost: int
    doubled: int
    accounts: int
    accounts_wrong: int
    repeats_counted: int
    """Events sent again after a lost answer, and counted again: it knows no ids."""


@dataclass(slots=True, kw_only=True)
class Disturbed:
    """What was done to it: kills, of them while the broker was suspended, and what it could not get over."""

    kills: int = 0
    pauses: int = 0
    hangs: int = 0


class _Event(msgspec.Struct):
    subject: str
    id: str


async def control(*, minutes: float, seed: int, folder: Path, kill: bool = True) -> Found:
    """Run the plain scorer under kills, or undisturbed, wait until it has read everything, and count what it says."""
    deployment = Deployment(folder=folder)
    try:
        await deployment.start(services=("ingest",))
        await create_topics(deployment.bootstrap, [Topic(name=CHANGELOG, partitions=PARTITIONS, compacted=True)])
        plain = Service(
            name=NAME,
            module="tests.faults.control.plain",
            environment={"CHURNWATCH_KAFKA": deployment.bootstrap, "CHURNWATCH_DATA": str(deployment.data)},
            log=deployment.data / "logs" / "plain.log",
        )
        deployment.services[NAME] = plain
        plain.start()
        disturbed = await _disturb(deployment, plain, minutes=minutes, seed=seed, kill=kill)
        await asyncio.sleep(SETTLED_S)
        await plain.stop()
        return await _found(deployment, folder / "ledger.jsonl", disturbed)
    finally:
        await deployment.end()


async def _disturb(deployment: Deployment, plain: Service, *, minutes: float, seed: int, kill: bool) -> Disturbed:
    """Let events flow, and kill if told to."""
    chance = random.Random(seed)
    ledger = Ledger(deployment.folder / "ledger.jsonl")
    traffic = Traffic(
        url=deployment.ingest_url,
        key=deployment.key,
        bootstrap=deployment.bootstrap,
        ledger=ledger,
        random=chance,
        rate=150.0,
        accounts=100,
        astray=False,  # its table keeps an account once, whatever partition its events lie in
    )
    progress = Progress(bootstrap=deployment.bootstrap, readers={EVENTS: NAME})
    flowing = asyncio.create_task(traffic.run(), name="traffic")
    done, until_s = Disturbed(), time.monotonic() + minutes * 60
    while time.monotonic() < until_s:
        await _scored(progress, plain, done)
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        if not kill:
            continue
        done.kills += 1
        if chance.random() < 0.5:
            say("kill -9")
            plain.kill()
            continue
        done.pauses += 1
        pause_s = chance.uniform(*PAUSE_S)
        say(f"broker suspended for {pause_s:.1f} s, kill -9 in it")
        deployment.signal_kafka(signal.SIGSTOP)
        await asyncio.sleep(pause_s / 2)
        plain.kill()
        await asyncio.sleep(pause_s / 2)
        deployment.signal_kafka(signal.SIGCONT)
    traffic.stop()
    await flowing
    ledger.close()
    await _scored(progress, plain, done)
    await progress.close()
    return done


async def _scored(progress: Progress, plain: Service, done: Disturbed) -> None:
    """Return when it has read the log; where it stands still it is started again, as somebody on call would."""
    while await progress.until_reached(within_s=SCORED_WITHIN_S) is None:
        done.hangs += 1
        say(f"nothing read for {SCORED_WITHIN_S:g} s: started again")
        if done.hangs > MOST_HANGS:
            raise RuntimeError(f"the plain scorer does not read the log: see {plain.log}")
        plain.kill()


async def _found(deployment: Deployment, ledger: Path, disturbed: Disturbed) -> Found:
    account = ledgers.read(ledger)
    truth, ids = await _log(deployment.bootstrap)
    said = await _changelog(deployment.bootstrap)
    off = {place: said.get(place, 0) - truth.get(place, 0) for place in {*truth, *said}}
    return Found(
        kills=disturbed.kills,
        pauses=disturbed.pauses,
        hangs=disturbed.hangs,
        accepted=len(account.of(Answer.ACCEPTED)),
        accepted_but_not_in_log=len(account.of(Answer.ACCEPTED) - ids.keys()),
        in_log=sum(truth.values()),
        counted=sum(said.values()),
        lost=-sum(min(0, difference) for difference in off.values()),
        doubled=sum(max(0, difference) for difference in off.values()),
        accounts=len({name for _, name, _ in truth}),
        accounts_wrong=len({name for (_, name, _), difference in off.items() if difference}),
        repeats_counted=sum(count - 1 for count in ids.values()),
    )


async def _log(kafka: str) -> tuple[Counts, Counter[str]]:
    """Return how many events of each account and window the log holds, and how often each id."""
    truth: Counter[tuple[int, str, int]] = Counter()
    ids: Counter[str] = Counter()
    async for record in read_to_end(kafka, EVENTS):
        try:
            event = msgspec.json.decode(record.value or b"", type=_Event)
        except msgspec.MsgspecError:
            continue
        truth[record.partition, event.subject, record.timestamp // 1000 // WINDOW_S] += 1
        ids[event.id] += 1
    return truth, ids


async def _changelog(kafka: str) -> Counts:
    """Return what the table's changelog says last of each account and window."""
    said: dict[tuple[int, str, int], int] = {}
    for number in range(PARTITIONS):
        async for record in read_to_end(kafka, CHANGELOG, number):
            account, window = json.loads(record.key or b"").split()
            said[number, account, int(window)] = json.loads(record.value or b"0")
    return said


def table(found: Found, ours: Mapping[str, int] | None) -> str:
    """Return what it found as a table, beside a report of our own scorer if there is one."""
    rows = [
        ("events accepted", found.accepted, "accepted"),
        ("accepted but not in the log", found.accepted_but_not_in_log, "lost"),
        ("events in the log", found.in_log, None),
        ("lost by the scorer", found.lost, None),
        ("counted twice by the scorer", found.doubled, None),
        ("repeated by senders and counted again", found.repeats_counted, None),
        ("stood still until started again", found.hangs, None),
        ("accounts", found.accounts, "accounts"),
        ("accounts wrong", found.accounts_wrong, "differences"),
    ]
    kills = f"{found.kills} kills, {found.pauses} of them in a suspended broker"
    head = f"| {kills} | plain Faust table | ours |\n|---|---|---|"
    lines = [f"| {what} | {value} | {_ours(ours, what, name)} |" for what, value, name in rows]
    return "\n".join([head, *lines])


def _ours(counts: Mapping[str, int] | None, what: str, name: str | None) -> str:
    if counts is None or (name is None and "in the log" in what):
        return "–"
    # our scorer's health is compared byte by byte: an event lost or doubled is an account that differs
    return str(counts[name] if name else counts["differences"])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.control", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ours", type=Path, help="a report of `python -m tests.faults.real` to show beside it")
    parser.add_argument("--report", type=Path, help="where to write what was found as JSON")
    told = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="churnwatch-control-"))
    found = asyncio.run(control(minutes=told.minutes, seed=told.seed, folder=folder))
    ours = json.loads(told.ours.read_text("utf-8"))["counts"] if told.ours else None
    if told.report:
        told.report.write_text(json.dumps(asdict(found), indent=1) + "\n", "utf-8")
    print(table(found, ours))  # noqa: T201  a command line
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
