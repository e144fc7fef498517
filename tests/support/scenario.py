"""Tell a story of one account in days, and see whom it makes the scorer's and the alert service's cores tell what.

No I/O and no clock: the story has its own time, a tick an hour, and every message arrives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from lab.oracle import Bundle
from services.alerts.core.alert import Position, fold
from services.alerts.core.delivery import delivered, owes, owes_reply, plan, replied, with_delivery
from services.alerts.core.routing import Routes, decide
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from shared.contracts.alerts import Alert, AlertState, Delivery
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition
from shared.contracts.topics import RISK
from tests.support.histories import CONFIG, shipped
from tests.support.log import DAY, HOUR, MINUTE, SEED, START, Configurations, Log, batch_of

TICK = -1
"""Stands for a tick where the number of an event would."""
OWNER_IN_SLACK = {
    "receivers": {"owner": {"slack": ["owner"]}},
    "route": {"receivers": ["owner"]},
    "default_channel": "#churn-alerts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A message that interrupts somebody, or the edit of one, which does not."""

    at: int
    channel: str
    target: str
    rules: Sequence[str]
    account: str
    is_edit: bool
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something the account did, or a fact about it, sent at once."""

    at: int
    kind: str
    data: Mapping[str, object]


def day(number: float) -> int:
    """Return the moment (epoch ms) at which day `number` of a story begins; day 0 is a Monday."""
    return START + int(number * DAY)


class Scenario:
    """One account's story. Days are told in order; what happened is worked out when it is asked for."""

    def __init__(
        self,
        *,
        rules: str | None = None,
        routes: str = "shipped",
        owner: str | None = "dana@example.com",
        journey: dict[str, Any] | None = None,
    ) -> None:
        scorecard, every_rule = shipped()
        chosen = [rule for rule in every_rule["rules"] if rules in {None, rule["name"]}]
        judged = {**every_rule, "rules": chosen}
        self.bundle = Bundle(version="b_story", scorecard=scorecard, rules=judged, journey=journey)
        self.routes = _routes(routes)
        self.account = "acme"
        self.days = 0
        self._events: list[Happening] = []
        self._sent_again = False
        self._unexpected: list[Told] | None = None
        self._alert: Alert | None = None
        self._told: list[Told] = []
        self._health: AccountHealth | None = None
        self.account_is(name="Acme", **({"owner": owner} if owner else {}))

    def account_is(self, **facts: object) -> None:
        """Tell facts of the account at the present day."""
        self._happens("account", at=day(self.days) + MINUTE, data=facts)

    def happens(self, kind: str, /, **data: object) -> None:
        """Let something happen at 10:00 of the present day."""
        self._happens(kind, at=day(self.days) + 10 * HOUR, data=data)

    def every_workday(self, *, weeks: int, logins: int, users: int = 3) -> None:
        """Let users log in from 9:00 on, Monday to Friday."""
        for number in range(self.days, self.days + 7 * weeks):
            if number % 7 < 5:
                for n in range(logins):
                    at = day(number) + 9 * HOUR + n * 40 * MINUTE
                    self._happens("login", at=at, data={"user": f"u{n % users}"})
        self.days += 7 * weeks

    def users_on_their_days(self, users: Mapping[str, Sequence[int]], *, weeks: int, logins: int) -> None:
        """Let users log in from 9:00 on, each on weekdays of its own (0 is Monday): as often a day all together."""
        for number in range(self.days, self.days + 7 * weeks):
            at_work = [user for user, weekdays in users.items() if number % 7 in weekdays]
            for n in range(logins if at_work else 0):
                at = day(number) + 9 * HOUR + n * 40 * MINUTE
                self._happens("login", at=at, data={"user": at_work[n % len(at_work)]})
        self.days += 7 * weeks

    def silence_until(self, *, day: int) -> None:
        """Let nothing happen until a day begins."""
        self.days = day

    def everything_is_sent_again(self) -> None:
        """Let the app send each of its events a second time, an hour after the first."""
        self._sent_again = True

    def expect(
        self,
        *,
        rule: str,
        between: tuple[int, int],
        slack: str | None = None,
        mail: str | None = None,
        times: int = 1,
        note: str | None = None,
    ) -> None:
        """Assert that a person or channel was told of a rule, this often within a span; edits don't count."""
        channel, target = ("slack", slack) if slack else ("mail", mail)
        told = self._interruptions()
        found = [t for t in told if (t.channel, t.target) == (channel, target) and rule in t.rules]
        assert len([t for t in found if between[0] <= t.at < between[1] and t.note == note]) == times, self.told()
        self._unexpected = [t for t in told if t not in found]

    def expect_nothing_else(self) -> None:
        """Assert that nobody was interrupted but as expected before."""
        assert self._interruptions() == [], self.told()

    def told(self) -> list[Told]:
        """Return everything told, edits included, in order."""
        self._work_out()
        return self._told

    def alert(self) -> Alert:
        """Return the account's alert as it is at the end."""
        self._work_out()
        assert self._alert is not None, "no alert was ever opened"
        return self._alert

    def health(self) -> AccountHealth:
        """Return the account's health at the last tick that judged it."""
        self._work_out()
        assert self._health is not None
        return self._health

    @property
    def is_over(self) -> bool:
        return self.alert().state not in {AlertState.OPEN, AlertState.ACKNOWLEDGED}

    def _happens(self, kind: str, *, at: int, data: Mapping[str, object]) -> None:
        self._events.append(Happening(at=at, kind=kind, data=data))

    def _interruptions(self) -> list[Told]:
        if self._unexpected is None:
            self._unexpected = [told for told in self.told() if not told.is_edit]
        return self._unexpected

    def _log(self) -> Log:
        """Return the story as records: each event at its time, the same id for the same event, a tick an hour."""
        log = Log()
        received = [(event.at, n) for n, event in enumerate(self._events)]
        if self._sent_again:
            received += [(at + HOUR, n) for at, n in received]
        ticks = [(at, TICK) for at in range(day(0), day(self.days) + 1, HOUR)]
        for ts, n in sorted(received + ticks):
            if n == TICK:
                log.tick(ts)
            else:
                event = self._events[n]
                log.event(self.account, event.kind, at=event.at, ts=ts, data=event.data, id=f"e{n}")
        return log

    def _work_out(self) -> None:
        if self._told or self._health:
            return
        state = Partition.empty(partition=0, partitions=1, seed=SEED)
        batch = batch_of(self._log().records, partition=0)
        outputs = step(state, batch, known_at=Configurations({0: self.bundle}))
        for offset, record in enumerate(outputs.transitions):
            self._take(msgspec.json.decode(record.value, type=Transition), offset=offset)
        if outputs.healths:
            self._health = msgspec.json.decode(outputs.healths[-1].payload, type=AccountHealth)

    def _take(self, transition: Transition, *, offset: int) -> None:
        folded = fold(self._alert, transition, position=Position(topic=RISK, partition=0, offset=offset))
        assert folded.alert is not None
        decision = decide(folded.alert, self.routes, now=transition.at)
        alert = plan(self._alert, folded.alert, decision, outcome=folded.outcome, now=transition.at)
        for delivery in alert.deliveries:
            alert = with_delivery(alert, self._deliver(alert, delivery, at=transition.at))
        self._alert = alert

    def _deliver(self, alert: Alert, delivery: Delivery, *, at: int) -> Delivery:
        if owes(delivery):
            is_edit = delivery.channel == "slack" and delivery.delivered_revision > 0
            self._say(alert, delivery, at=at, is_edit=is_edit)
            delivery = delivered(delivery, revision=delivery.revision, handle="somewhere")
        if owes_reply(delivery):
            self._say(alert, delivery, at=at, is_edit=False)
            delivery = replied(delivery, revision=delivery.reply_revision)
        return delivery

    def _say(self, alert: Alert, delivery: Delivery, *, at: int, is_edit: bool) -> None:
        rules = [reason.rule for reason in (*alert.reasons, *alert.ended)]
        note = str(delivery.note) if delivery.note else None
        told = Told(
            at=at,
            channel=delivery.channel,
            target=delivery.target,
            rules=rules,
            account=alert.account,
            is_edit=is_edit,
            note=note,
        )
        self._told.append(told)


def _routes(name: str) -> Routes:
    known = {"shipped": yaml.safe_load((CONFIG / "routes.yaml").read_text("utf-8")), "owner_in_slack": OWNER_IN_SLACK}
    return msgspec.convert(known[name], Routes)
