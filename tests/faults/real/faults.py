"""Make things go wrong, one after the other, and heal them again."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.local.server import HOST
from tests.faults.real.deployment import Deployment
from tests.faults.real.disk import Disk
from tests.faults.real.nemesis import Fault, Injection
from tests.faults.real.points import EXIT_UNKNOWN_POINT
from tests.faults.real.supervisor import KILLED, Service, until

FENCED: Final = 76
"""Exit code of a scorer that stood still."""
FENCE_WITHIN_S: Final = 15.0
POINT_WITHIN_S: Final = 30.0
READY_WITHIN_S: Final = 30.0
NOBODY: Final = "1"
"""A port on which no Redis answers."""


class UnknownPoint(RuntimeError):
    """The table of points names what a service does not have: the run is worth nothing."""


@dataclass(kw_only=True)
class Faults:
    """`inject` returns when the fault is healed; `violations` says what a service should not have done in it."""

    deployment: Deployment
    disk: Disk | None = None
    violations: list[str] = field(default_factory=list)
    not_reached: list[str] = field(default_factory=list)

    async def inject(self, injection: Injection) -> None:
        """Do it, keep it up for its time, and heal it. Raises UnknownPoint."""
        await self._how[injection.fault](injection)

    @property
    def _how(self) -> Mapping[Fault, Callable[[Injection], Awaitable[None]]]:
        return {
            Fault.KILL: self._kill,
            Fault.POINT: self._at_point,
            Fault.PAUSE: self._pause,
            Fault.BROKER_KILL: self._kill_broker,
            Fault.BROKER_PAUSE: self._pause_broker,
            Fault.REDIS_KILL: self._kill_redis,
            Fault.REDIS_FLUSH: self._flush_redis,
            Fault.REDIS_FULL: self._fill_redis,
            Fault.REDIS_READ_ONLY: self._degrade_redis,
            Fault.STORM: self._storm,
            Fault.LATENCY: self._slow_link,
            Fault.CUT: self._cut_link,
            Fault.HALF_OPEN: self._darken_link,
            Fault.DISK_FULL: self._fill_disk,
        }

    async def _service(self, target: str) -> Service:
        return self.deployment.services[await self._active() if target == "alerts" else target]

    async def _active(self) -> str:
        names = self.deployment.running("alerts")
        active = [name for name in names if (await self.deployment.metrics(name)).get("churn_alerts_active")]
        return (active or list(names))[0]

    async def _kill(self, injection: Injection) -> None:
        (await self._service(injection.target)).kill()

    async def _at_point(self, injection: Injection) -> None:
        victim = await self._standby() if injection.target == "alerts" else await self._service(injection.target)
        point, before = str(injection.point), len(victim.ended)
        victim.arm(point)
        victim.terminate()
        if injection.target == "alerts":
            await self._hand_over_to(victim)
        await victim.until_ended(before + 2, within_s=POINT_WITHIN_S)
        died = [end for end in victim.ended[before:] if end.point == point]
        if any(end.code == EXIT_UNKNOWN_POINT for end in died):
            raise UnknownPoint(f"{point} in {victim.name}: see {victim.log}")
        if not any(end.code == KILLED and not end.by_us for end in died):
            self.not_reached.append(point)
            victim.kill()

    async def _standby(self) -> Service:
        active = await self._active()
        others = [name for name in self.deployment.running("alerts") if name != active]
        return self.deployment.services[(others or [active])[0]]

    async def _hand_over_to(self, victim: Service) -> None:
        """Let the other process step down once the victim is back, so that the victim is elected."""
        ended = len(victim.ended)
        await until(lambda: len(victim.ended) > ended, within_s=READY_WITHIN_S)
        await until(lambda: self.deployment.is_ready(victim.name), within_s=READY_WITHIN_S, poll_s=0.2)
        for name in self.deployment.running("alerts"):
            if name != victim.name:
                self.deployment.services[name].terminate()

    async def _pause(self, injection: Injection) -> None:
        service = await self._service(injection.target)
        if injection.target != "alerts":  # one that has taken nothing yet holds nothing back to be fenced
            await until(lambda: self.deployment.is_ready(service.name), within_s=READY_WITHIN_S, poll_s=0.2)
        before = len(service.ended)
        # an alert service's session is longer than a scorer's here
        service.pause()
        await asyncio.sleep(injection.for_s + (4.0 if injection.target == "alerts" else 0.0))
        service.resume()
        if injection.target == "alerts":
            return
        ended = await service.until_ended(before + 1, within_s=FENCE_WITHIN_S)
        if not ended or service.ended[before].code != FENCED:
            code = service.ended[before].code if ended else None
            self.violations.append(f"{service.name} suspended for {injection.for_s} s ended with {code}, not {FENCED}")

    async def _kill_broker(self, injection: Injection) -> None:
        await asyncio.to_thread(self.deployment.kafka.kill)
        await asyncio.sleep(injection.for_s)
        await asyncio.to_thread(self.deployment.kafka.start)

    async def _pause_broker(self, injection: Injection) -> None:
        self.deployment.signal_kafka(signal.SIGSTOP)
        await asyncio.sleep(injection.for_s / 2)
        self.deployment.services[injection.target].kill()
        await asyncio.sleep(injection.for_s / 2)
        self.deployment.signal_kafka(signal.SIGCONT)

    async def _kill_redis(self, injection: Injection) -> None:
        await asyncio.to_thread(self.deployment.redis.kill)
        await asyncio.sleep(injection.for_s)
        await asyncio.to_thread(self.deployment.redis.start)

    async def _flush_redis(self, _injection: Injection) -> None:
        await self._redis("FLUSHALL")

    async def _fill_redis(self, injection: Injection) -> None:
        await self._redis("CONFIG", "SET", "maxmemory", "1")
        await asyncio.sleep(injection.for_s)
        await self._redis("CONFIG", "SET", "maxmemory", "0")

    async def _degrade_redis(self, injection: Injection) -> None:
        await self.let_redis_take_nothing()
        await asyncio.sleep(injection.for_s)
        await self.let_redis_take_writes()

    async def let_redis_take_nothing(self) -> None:
        """Make it a replica of nobody: it keeps what it has and refuses every write."""
        await self._redis("REPLICAOF", HOST, NOBODY)

    async def let_redis_take_writes(self) -> None:
        """Make it its own master again."""
        await self._redis("REPLICAOF", "NO", "ONE")

    async def _redis(self, *words: str) -> None:
        client = Redis.from_url(self.deployment.redis.url)
        try:
            await client.execute_command(*words)  # type: ignore[no-untyped-call]
        except RedisError as fault:
            raise RuntimeError(f"redis refuses {' '.join(words)}: {fault}") from fault
        finally:
            await client.aclose()

    async def _storm(self, injection: Injection) -> None:
        second, third = (self.deployment.services[name] for name in ("scorer-2", "scorer-3"))
        await second.stop(at_once=True)
        await asyncio.sleep(injection.for_s)
        second.start()
        third.start()
        await until(lambda: self.deployment.is_ready("scorer-3"), within_s=READY_WITHIN_S, poll_s=0.2)
        await asyncio.sleep(injection.for_s)
        await third.stop(at_once=injection.for_s > 5)

    async def _slow_link(self, injection: Injection) -> None:
        link = self.deployment.links[injection.target]
        link.latency_s = 0.05 + injection.for_s / 30
        await asyncio.sleep(injection.for_s)
        link.heal()

    async def _cut_link(self, injection: Injection) -> None:
        link = self.deployment.links[injection.target]
        link.refusing = True
        link.cut()
        await asyncio.sleep(injection.for_s)
        link.heal()

    async def _darken_link(self, injection: Injection) -> None:
        link = self.deployment.links[injection.target]
        link.darken()
        await asyncio.sleep(injection.for_s)
        link.heal()

    async def _fill_disk(self, injection: Injection) -> None:
        if self.disk is None:
            raise RuntimeError("a full disk needs --with-root")
        self.disk.fill()
        await asyncio.sleep(injection.for_s)
        self.disk.free()
        # the broker ends itself when its only log directory fails; where it didn't, it has to begin anew all the same
        await asyncio.to_thread(self.deployment.kafka.kill)
        await asyncio.to_thread(self.deployment.kafka.start)
