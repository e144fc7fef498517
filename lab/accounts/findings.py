"""Say what is missing or doubtful in what is known of the accounts."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from lab.accounts.aliases import aliases
from services.alerts.core.people import People
from shared.contracts.health import AccountHealth, Attributes


class Problem(StrEnum):
    """What may be wrong with an account, the gravest first."""

    NOT_TOLD = "nobody told of the account"
    NO_EVENTS = "no events"
    ALIAS = "ids that look alike"
    NO_OWNER = "no owner"
    OWNER_UNKNOWN = "owner unknown"
    NO_ARR = "no ARR"
    RENEWAL_PAST = "renewal in the past"


REMEDY = {
    Problem.NOT_TOLD: "events name it, but no group call and no import told of it: import it, or correct the id sent",
    Problem.NO_EVENTS: "it is known and sends nothing: compare its id with the groupId of your events",
    Problem.ALIAS: "if it is one customer, send one id: events and facts of the others are not added up",
    Problem.NO_OWNER: "give it an owner (an address) in the CRM and import it again; until then it goes to the default",
    Problem.OWNER_UNKNOWN: "add the address to people.yaml, or correct the owner in the CRM and import it again",
    Problem.NO_ARR: "tell its ARR: without it nobody knows what is at stake, and it is ranked last",
    Problem.RENEWAL_PAST: "tell the next renewal date, or send `Subscription Cancelled` if it ended",
}
_ENDED = frozenset({"cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at: the accounts it is about (several only for ids that look alike)."""

    problem: Problem
    accounts: Sequence[str]
    detail: str = ""

    @property
    def remedy(self) -> str:
        """Say what to do."""
        return REMEDY[self.problem]


def findings(
    known: Iterable[AccountHealth], *, people: People, unknown_to_slack: Collection[str], today: date
) -> Sequence[Finding]:
    """Return everything found, by problem; deleted and cancelled accounts only count as possible aliases."""
    held = list(known)
    found = [finding for health in held if not _is_over(health.attributes) for finding in _of(health, people, today)]
    found += _of_owners(held, unknown_to_slack)
    found += [Finding(problem=Problem.ALIAS, accounts=group) for group in aliases(one.account for one in held)]
    order = list(Problem)
    return sorted(found, key=lambda finding: (order.index(finding.problem), finding.accounts))


def _of(health: AccountHealth, people: People, today: date) -> Iterator[Finding]:
    facts, account = health.attributes, (health.account,)
    if facts == Attributes(subscription=facts.subscription):
        yield Finding(problem=Problem.NOT_TOLD, accounts=account)
        return
    if health.last_activity is None:
        yield Finding(problem=Problem.NO_EVENTS, accounts=account)
    if facts.owner is None:
        yield Finding(problem=Problem.NO_OWNER, accounts=account)
    elif not people.is_staff(facts.owner):
        yield Finding(problem=Problem.OWNER_UNKNOWN, accounts=account, detail=f"{facts.owner} is not in people.yaml")
    if facts.arr is None and not facts.trial:
        yield Finding(problem=Problem.NO_ARR, accounts=account)
    if facts.renewal_date is not None and facts.renewal_date < today.isoformat():
        yield Finding(problem=Problem.RENEWAL_PAST, accounts=account, detail=facts.renewal_date)


def _of_owners(held: Iterable[AccountHealth], unknown: Collection[str]) -> Iterator[Finding]:
    for health in held:
        owner = health.attributes.owner
        if owner in unknown and not _is_over(health.attributes):
            detail = f"slack knows no {owner}"
            yield Finding(problem=Problem.OWNER_UNKNOWN, accounts=(health.account,), detail=detail)


def _is_over(facts: Attributes) -> bool:
    return bool(facts.deleted) or facts.subscription in _ENDED
