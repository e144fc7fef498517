"""Run it all: start, let events flow, let things go wrong, heal, wait until all is quiet, and judge."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from shared import clock
from shared.contracts.topics import EVENTS, PARTITIONS
from tests.faults.real import ledger as ledgers
from tests.faults.real import messages
from tests.faults.real.deployment import STEADY, Deployment
from tests.faults.real.disk import Disk
from tests.faults.real.faults import Faults
from tests.faults.real.judge import FATES, Judged, Snapshot, filled, judge, snapshot
from tests.faults.real.ledger import Answer, Ledger
from tests.faults.real.nemesis import Fault, Injection, draw
from tests.faults.real.progress import NoAnswer, Progress, reached
from tests.faults.real.report import Injected, Report
from tests.faults.real.supervisor import KILLED, Ended, until
from tests.faults.real.traffic import Traffic

RECOVERED_WITHIN_S: Final = 120.0
BEHIND_S: Final = 16.0
"""A checkpoint waits five seconds for Redis, then its cycle, and one more, take some seconds each."""
QUIET_S: Final = 6.0
"""Longer than until a scorer looks whether Redis has everything."""
QUIET_WITHIN_S: Final = 180.0
COUNTED_WITHIN_S: Final = 20.0
"""A scorer counts its fates once a second."""
TRAFFIC_ENDS_WITHIN_S: Final = 60.0
JUDGES: Final = 2
KAFKA_AWAY: Final = 3
"""What uvicorn ends with when a service can't start."""
PLANNED_EXITS: Final = frozenset({KILLED, 1, KAFKA_AWAY, 70, 75, 76, 77, 78})
"""What a service may end with while servers fail: crash-only, restarted, and right afterwards."""
_IN_A_CALL: Final = frozenset(
    {Fault.KILL, Fault.POINT, Fault.PAUSE, Fault.LATENCY, Fault.CUT, Fault.HALF_OPEN, Fault.DISK_FULL}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run is told. `folder` keeps ledger and logs; `with_disk` puts Kafka on a small disk that is filled."""

    minutes: float
    seed: int
    folder: Path
    rate: float = 150.0
    accounts: int = 100
    with_disk: bool = False


@dataclass(kw_only=True)
class Run:
    """One run. `say` tells people what happens."""

    told: Told
    report: Report = field(init=False)
    deployment: Deployment = field(init=False)
    progress: Progress = field(init=False)
    _fates_at: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.report = Report(seed=self.told.seed, minutes=self.told.minutes)
        self.deployment = Deployment(folder=self.told.folder)

    async def __call__(self) -> Report:
        """Do all of it and return what was found."""
        disk = Disk(self.told.folder / "kafka") if self.told.with_disk else None
        if disk is not None:
            disk.mount()
        try:
            await self._run(disk)
        finally:
            await self.deployment.end()
            if disk is not None:
                disk.unmount()
        return self.report

    async def _run(self, disk: Disk | None) -> None:
        began = time.monotonic()
        await self.deployment.start()
        self.progress = Progress(bootstrap=self.deployment.bootstrap)
        self._took("start", began)
        try:
            await self._disturb(Faults(deployment=self.deployment, disk=disk))
            began = time.monotonic()
            snapshots = await self._quiet_twice()
            self._took("quiet", began)
            began = time.monotonic()
            await self._judge(snapshots)
            self._took("judging", began)
        finally:
            await self.progress.close()

    async def _disturb(self, faults: Faults) -> None:
        """Let events flow and faults come for the time given; then heal."""
        traffic = self._traffic()
        flowing = asyncio.create_task(traffic.run(), name="traffic")
        until_s = time.monotonic() + self.told.minutes * 60
        try:
            await self._until_flowing(flowing)
            for injection in draw(self.told.seed, with_disk=faults.disk is not None):
                if time.monotonic() + injection.after_s > until_s or flowing.done():
                    break
                await asyncio.sleep(injection.after_s)
                await self._inject(faults, injection)
            self._heal()
            await faults.let_redis_take_nothing()
            await asyncio.sleep(3.0)
        finally:
            traffic.stop()
        async with asyncio.timeout(TRAFFIC_ENDS_WITHIN_S):
            await flowing
        traffic.ledger.close()
        await self._end_scorers_ahead_of_redis(faults)
        self.report.counts |= {"sent": traffic.sent, "repeats": traffic.repeats, "requests": traffic.ledger.requests}
        self.report.not_reached += faults.not_reached
        self.report.violations += faults.violations

    async def _end_scorers_ahead_of_redis(self, faults: Faults) -> None:
        """Kill every scorer after its checkpoint went on without a Redis that takes nothing; then Redis takes writes.

        It comes last, for it shows only while nothing new is evaluated.
        """
        await self.progress.until_reached(within_s=RECOVERED_WITHIN_S)
        await asyncio.sleep(BEHIND_S)
        self._kill_scorers()
        await faults.let_redis_take_writes()

    def _kill_scorers(self) -> None:
        for name in self.deployment.running("scorer"):
            self.deployment.services[name].kill()

    def _traffic(self) -> Traffic:
        return Traffic(
            url=self.deployment.ingest_url,
            key=self.deployment.key,
            bootstrap=self.deployment.bootstrap,
            ledger=Ledger(self._ledger),
            random=random.Random(self.told.seed),
            rate=self.told.rate,
            accounts=self.told.accounts,
        )

    @property
    def _ledger(self) -> Path:
        return self.told.folder / "ledger.jsonl"

    async def _until_flowing(self, flowing: "asyncio.Task[None]") -> None:
        await asyncio.sleep(1.0)
        if flowing.done():
            flowing.result()
        if await self.progress.until_reached(within_s=RECOVERED_WITHIN_S) is None:
            raise RuntimeError("nothing is scored although nothing went wrong yet")

    async def _inject(self, faults: Faults, injection: Injection) -> None:
        one = Injected(injection=injection, began=clock.now_ms(), healed=0)
        self.report.injected.append(one)
        await faults.inject(injection)
        one.healed = clock.now_ms()
        if not injection.overlaps:
            one.recovery_s = await self._recovered()
            if one.recovery_s is None:
                self.report.violations.append(f"not recovered within {RECOVERED_WITHIN_S:g} s: {injection.label}")
        told = "overlapped" if one.recovery_s is None else f"recovered in {one.recovery_s:.1f} s"
        say(f"{injection.label} {injection.point or ''} ({injection.for_s:g} s): {told}")

    async def _recovered(self) -> float | None:
        """Return how long it took until all in the log was scored and heard, Redis whole and the ingest ready again."""
        began = time.monotonic()
        if await self.progress.until_reached(within_s=RECOVERED_WITHIN_S) is None:
            return None
        for holds in (self._is_filled, lambda: self.deployment.is_ready("ingest")):
            if not await until(holds, within_s=RECOVERED_WITHIN_S, poll_s=0.2):
                return None
        return time.monotonic() - began

    def _heal(self) -> None:
        for link in self.deployment.links.values():
            link.heal()
        for name in STEADY:
            self.deployment.services[name].start()

    async def _quiet_twice(self) -> Sequence[Snapshot]:
        """Return what Redis holds when all is quiet, and what the checkpoint alone brings back into an empty one."""
        first = await self._quiet()
        await self._count_fates()
        self._kill_scorers()
        await asyncio.to_thread(self.deployment.redis.kill)
        await asyncio.to_thread(self.deployment.redis.start)
        return first, await self._quiet()

    async def _quiet(self) -> Snapshot:
        await self._until_quiet()
        ends = (await self.progress.ends())[EVENTS]
        return Snapshot(held=await snapshot(self.deployment.redis.url), ends=ends)

    async def _until_quiet(self) -> None:
        """Return when nothing is unread, unwritten or untold, and nothing new came for a while."""
        deadline, quiet_since, last = time.monotonic() + QUIET_WITHIN_S, time.monotonic(), None
        while time.monotonic() < deadline:
            try:
                ends, committed = await self.progress.ends(), await self.progress.committed()
            except NoAnswer:
                continue
            if ends != last or not reached(committed, ends) or not await self._all_written():
                quiet_since, last = time.monotonic(), ends
            elif time.monotonic() - quiet_since > QUIET_S:
                return
            await asyncio.sleep(0.3)
        self.report.violations.append(f"not quiet within {QUIET_WITHIN_S:g} s of the last event")

    async def _all_written(self) -> bool:
        """Return whether Redis got what was scored, all of it is there, and no message waits for Slack."""
        scorers = [await self.deployment.metrics(name) for name in self.deployment.running("scorer")]
        alerts = [await self.deployment.metrics(name) for name in self.deployment.running("alerts")]
        owned = sum(found.get("churn_scorer_partitions", 0) for found in scorers)
        waiting = sum(found.get("churn_scorer_redis_waiting_accounts", 1) for found in scorers)
        untold = sum(found.get('churn_alerts_deliveries_waiting{channel="slack"}', 1) for found in alerts)
        active = sum(found.get("churn_alerts_active", 0) for found in alerts)
        return (owned, waiting, untold, active) == (PARTITIONS, 0, 0, 1) and await self._is_filled()

    async def _is_filled(self) -> bool:
        return await filled(self.deployment.redis.url) == PARTITIONS

    async def _count_fates(self) -> None:
        """Note the fates that the running scorers count, and the log ends at that moment."""
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while True:
            self._fates_at = (await self.progress.ends())[EVENTS]
            found = [await self.deployment.metrics(name) for name in self.deployment.running("scorer")]
            self.report.fates = {
                fate: sum(int(one.get(f'{_LOG}{{fate="{fate}"}}', 0)) for one in found) for fate in FATES
            }
            if self.report.fates_sum == sum(self._fates_at.values()) or time.monotonic() > deadline:
                return
            await asyncio.sleep(0.5)

    async def _judge(self, snapshots: Sequence[Snapshot]) -> None:
        for name in (*self.deployment.running("scorer"), "ingest"):
            await self.deployment.services[name].stop()
        self.report.exits = [end for service in self.deployment.services.values() for end in service.ended]
        unplanned = {f"{end.service} {end.code}" for end in self.report.exits if not _is_planned(end)}
        self.report.violations += [f"ended with a code nobody planned: {one}" for one in sorted(unplanned)]
        judged = await self._judged(snapshots)
        self._judge_scores(judged)
        self._judge_ledger(judged)
        self._judge_messages(judged, await asyncio.to_thread(messages.read, self.deployment.slack_url))

    async def _judged(self, snapshots: Sequence[Snapshot]) -> Sequence[Judged]:
        loop, kafka = asyncio.get_running_loop(), self.deployment.bootstrap
        with ProcessPoolExecutor(JUDGES, mp_context=get_context("spawn")) as pool:
            asked = [
                loop.run_in_executor(pool, judge, kafka, number, PARTITIONS, snapshots, self._fates_at[number])
                for number in range(PARTITIONS)
            ]
            return await asyncio.gather(*asked)

    def _judge_scores(self, judged: Sequence[Judged]) -> None:
        said = self.report
        for one in judged:
            for difference in one.differences:
                said.blame(difference.at)
                said.violations.append(f"{difference.account}: {difference.what} differs, first at {difference.at}")
            if one.behind:
                said.violations.append(f"partition {one.partition}: redis is behind the log for {one.behind} accounts")
            if one.undead:
                said.violations.append(f"partition {one.partition}: {one.undead} dead letters too few or too many")
            if sum(one.fates.values()) != one.end:
                said.violations.append(f"partition {one.partition}: the fates don't add up to {one.end}")
        self._judge_fates(judged)
        said.counts |= {
            "log end": sum(one.end for one in judged),
            "accounts": sum(one.accounts for one in judged),
            "differences": sum(len(one.differences) for one in judged),
            "transitions": sum(len(one.transitions) for one in judged),
            "transitions written again": sum(one.repeated for one in judged),
            "episodes": len({transition.episode for one in judged for transition in one.transitions}),
        }

    def _judge_fates(self, judged: Sequence[Judged]) -> None:
        """Compare the fates the scorers counted with the oracle's over the same records."""
        truth = {fate: sum(one.fates_then.get(fate, 0) for one in judged) for fate in FATES}
        if truth != self.report.fates:
            self.report.violations.append(f"fates counted {self.report.fates}, by the oracle {truth}")

    def _judge_ledger(self, judged: Sequence[Judged]) -> None:
        account = ledgers.read(self._ledger)
        ids = {name for one in judged for name in one.ids}
        lost = account.of(Answer.ACCEPTED) - ids
        invented = ids - account.answers.keys()
        refused = account.of(Answer.REJECTED) & ids
        for name in sorted(lost):
            self.report.blame(account.at[name])
        for what, names in (("accepted but lost", lost), ("never sent", invented), ("rejected but stored", refused)):
            self.report.violations += [f"event {name}: {what}" for name in sorted(names)]
        self.report.counts |= {
            **{answer.value: len(account.of(answer)) for answer in Answer},
            "unknown but stored": len(account.of(Answer.UNKNOWN) & ids),
            "lost": len(lost),
            "stored more than once": sum(count > 1 for one in judged for count in one.ids.values()),
        }

    def _judge_messages(self, judged: Sequence[Judged], said: messages.Told) -> None:
        wanted = messages.alerts_of(transition for one in judged for transition in one.transitions)
        doubled = said.doubled
        strange = messages.unexplained(doubled, self._in_calls())
        for what, alerts in (("not told", wanted - said.alerts), ("told without reason", said.alerts - wanted)):
            self.report.violations += [f"alert {alert}: {what}" for alert in sorted(alerts)]
        for channel, alert in strange:
            self.report.violations.append(f"alert {alert}: told twice in {channel}, in no fault of a call")
            self.report.blame(min(doubled[channel, alert]))
        self.report.counts |= {
            "alerts": len(wanted),
            "messages": len(said.posts),
            "messages doubled": len(doubled),
            "doubled in no call": len(strange),
        }

    def _in_calls(self) -> Iterator[tuple[int, int]]:
        """Yield when a call to Slack may have been cut off: our ends of the alert service, and faults of its link."""
        for end in self.report.exits:
            if end.service.startswith("alerts"):
                yield end.at, end.at
        for one in self.report.injected:
            if one.injection.fault in _IN_A_CALL and one.injection.target in {"alerts", "slack"}:
                yield one.began, one.healed

    def _took(self, what: str, began: float) -> None:
        self.report.seconds[what] = round(time.monotonic() - began, 1)


def _is_planned(end: Ended) -> bool:
    return end.code in PLANNED_EXITS or (end.by_us and end.code in {0, -signal.SIGTERM})


def say(words: str) -> None:
    """Tell whoever looks on."""
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)  # noqa: T201  a command line


_LOG: Final = "churn_scorer_log_records"
