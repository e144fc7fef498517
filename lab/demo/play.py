"""What can be made to happen while the demo runs: the buttons of the page, pressed by a person or by the story."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from lab.demo.customers import NAMED, WITNESS
from lab.demo.named import Customer, Placed, place, rows_of
from lab.demo.row import Row
from lab.demo.stage import Stage
from lab.demo.traffic import Traffic
from services.scorer.core.bundle import CompiledBundle
from shared.contracts.events import Kind

BROKEN: Final = WITNESS.source
WITNESS_AFTER_S: Final = 24
"""From the press to the witness's deadline: by then the guard has noticed, and holds."""

Bring = Callable[[Sequence[Row], str], Awaitable[int]]
"""Import rows as a job of that name; return how many there were once the import is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One line of what happened, for whoever looks on."""

    at: int
    text: str


@dataclass(slots=True, kw_only=True)
class Outage:
    """A product that is out: since when, until when (epoch ms), and the deadline that passed meanwhile."""

    source: str
    began: int
    deadline: int
    ended: int | None = None


@dataclass(slots=True, kw_only=True)
class Play:
    """The state of the play; `imported` counts the rows brought so far."""

    stage: Stage
    traffic: Traffic
    bring: Bring
    bundle: CompiledBundle
    now_ms: Callable[[], int]
    imported: int = 0
    placed: list[Placed] = field(default_factory=list)
    returned: dict[str, int] = field(default_factory=dict)
    outage: Outage | None = None
    kills: list[int] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)
    _breaking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def say(self, text: str) -> None:
        """Write down what happens."""
        self.happened.append(Happened(at=self.now_ms(), text=text))

    @property
    def sent(self) -> int:
        """How many events were sent and answered, imported ones included."""
        return self.imported + self.traffic.total()

    async def fall_silent(self, waits_s: Sequence[int]) -> None:
        """Bring the past of the named customers, whose deadlines are so many seconds from now."""
        now = self.now_ms()
        self.placed = [self._place(customer, at=now + s * 1000) for customer, s in zip(NAMED, waits_s, strict=True)]
        rows = sorted((row for placed in self.placed for row in rows_of(placed)), key=lambda row: row.at)
        self.imported += await self.bring(rows, f"named-{now}")

    def customer_returns(self, customer: Customer) -> None:
        """Let somebody of a customer log in again."""
        self.returned[customer.account] = now = self.now_ms()
        self.traffic.happens(_login(customer, at=now))
        self.say(f"{customer.name} logs in again")

    async def break_source(self) -> None:
        """Let a product fall silent, while the silence of a customer of it is about to become abnormal."""
        async with self._breaking:
            if BROKEN in self.traffic.out:
                return
            now = self.now_ms()
            if WITNESS.account not in self.returned:
                witness = self._place(WITNESS, at=now + WITNESS_AFTER_S * 1000)
                self.imported += await self.bring(list(rows_of(witness)), f"witness-{now}")
                deadline = witness.deadline
            else:
                deadline = now
            self.traffic.out.add(BROKEN)
            self.outage = Outage(source=BROKEN, began=self.now_ms(), deadline=deadline)
            self.say(f"{BROKEN} sends nothing any more")

    def restore(self) -> None:
        """Let the product send again, what it held back first."""
        if self.outage is None or self.outage.ended is not None:
            return
        self.outage.ended = self.returned[WITNESS.account] = now = self.now_ms()
        self.traffic.happens(_login(WITNESS, at=now))
        self.traffic.out.discard(self.outage.source)
        self.say(f"{self.outage.source} is back, and sends what it held back")

    def kill_scorer(self) -> None:
        """End the scorer with kill -9."""
        pid = self.stage.kill_scorer()
        if pid is not None:
            self.kills.append(self.now_ms())
            self.say(f"kill -9 {pid}: the scorer is gone, its keeper starts it again")

    def _place(self, customer: Customer, *, at: int) -> Placed:
        return place(customer, at=at, now=self.now_ms(), bundle=self.bundle, seed=at % 1000)


def _login(customer: Customer, *, at: int) -> Row:
    return Row(account=customer.account, at=at, kind=Kind.LOGIN, source=customer.source, user=customer.users[0])
