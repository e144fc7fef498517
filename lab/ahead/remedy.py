"""Search the smallest set of events that brings an account back, by applying each set (docs/scoring.md §16)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Final

import msgspec

from lab.ahead.alone import Alone
from lab.ahead.future import Standing, fell
from services.scorer.core.bundle import CompiledBundle
from shared.contracts.events import BillingStatus, Kind, SubscriptionStatus, SurveyKind, source_of, type_of, wire_time
from shared.contracts.health import AccountHealth

MOST_TOGETHER: Final = 3
"""Sets up to this size are all tried; larger ones grow by the event that helps most."""
MOST_EVENTS: Final = 12
MOST_UNUSED: Final = 6
"""Key features that nobody used lately, to be tried."""
SOURCE: Final = source_of("ahead")
_BEST: Final = {SurveyKind.NPS: 10, SurveyKind.CSAT: 5, SurveyKind.CES: 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that can happen, in words, as kind and data of an event; `by_new_user` adds a user not seen before."""

    words: str
    kind: Kind
    data: tuple[tuple[str, Any], ...] = ()
    by_new_user: bool = False

    def record(self, account: str, number: int, *, at: int) -> bytes:
        """Return the event of kind and data at a moment (epoch ms), the `number`-th of its set."""
        user = {"user": f"somebody new, {number}"} if self.by_new_user else {}
        envelope = {
            "specversion": "1.0",
            "id": f"ahead-{at}-{number}",
            "source": SOURCE,
            "type": type_of(self.kind),
            "subject": account,
            "time": wire_time(at),
            "data": dict(self.data) | user,
        }
        return msgspec.json.encode(envelope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A set of events at `at`, after which the account is back at `back_at` as `health` says (epoch ms)."""

    acts: tuple[Act, ...]
    at: int
    back_at: int
    health: AccountHealth

    def records(self) -> list[bytes]:
        """Return its events."""
        return _records(self.acts, self.health.account, at=self.at)


def acts_of(bundle: CompiledBundle, *, unused: Sequence[str]) -> list[Act]:
    """Return what may happen to an account, the most ordinary first: of surveys and features what the bundle reads."""
    read = {measure.name for measure in bundle.measures}
    read |= {c.feature for rule in bundle.rules for c in (*rule.all, *rule.minimum, *rule.critical)}
    named = [name for name in bundle.scorecard.key_features if {f"adoption:{name}", f"use_28:{name}"} & read]
    features = list(dict.fromkeys([*named, *unused[:MOST_UNUSED]]))
    return [
        Act(words="a log-in", kind=Kind.LOGIN),
        Act(words="a log-in by somebody new", kind=Kind.LOGIN, by_new_user=True),
        *(
            Act(words=f"a use of {name} by somebody new", kind=Kind.USAGE, data=(("name", name),), by_new_user=True)
            for name in features
        ),
        Act(words="a value achieved (outcome)", kind=Kind.OUTCOME),
        Act(words="an invoice paid", kind=Kind.BILLING, data=(("status", BillingStatus.INVOICE_PAID),)),
        Act(words="the contract renewed", kind=Kind.SUBSCRIPTION, data=(("status", SubscriptionStatus.RENEWED),)),
        *(
            Act(
                words=f"an answer of {best} to {kind.upper()}", kind=Kind.SURVEY, data=(("kind", kind), ("score", best))
            )
            for kind, best in _BEST.items()
            if kind in read
        ),
        *(
            Act(words="a sentiment of 100", kind=Kind.SENTIMENT, data=(("score", 100), ("by", "ahead")))
            for name in ("sentiment",)
            if name in read
        ),
    ]


def remedies(account: Alone, acts: Sequence[Act], *, wanted: Standing) -> list[Remedy]:
    """Return the smallest sets of events, at the last tick, after which an account stands no worse than `wanted`.

    All sets of at most MOST_TOGETHER events are tried; if none does, one of at most MOST_EVENTS from which none can be
    left out; an empty list if that fails too. Call it for an account that stands worse.
    """
    search = _Search(account, wanted=wanted)
    for size in range(1, MOST_TOGETHER + 1):
        found = list(search.working(combinations_with_replacement(acts, size)))
        if found:
            return found
    return search.grown(acts)


class _Search:
    """Tries sets of events on copies of one account."""

    def __init__(self, account: Alone, *, wanted: Standing) -> None:
        self._account = account
        self._now = account.copy().now()
        self._wanted = wanted

    def working(self, sets: Iterable[tuple[Act, ...]]) -> Iterator[Remedy]:
        """Yield the sets that bring it back."""
        for acts in sets:
            found = self._tried(acts)
            if self._is_back(found.health):
                yield found

    def grown(self, acts: Sequence[Act]) -> list[Remedy]:
        """Add what helps most until it is back, then leave out whatever it does without."""
        chosen: tuple[Act, ...] = ()
        while len(chosen) < MOST_EVENTS:
            tried = [self._tried((*chosen, act)) for act in acts]
            best = max(tried, key=lambda one: (self._is_back(one.health), one.health.health or 0))
            chosen = best.acts
            if self._is_back(best.health):
                return [self._without_needless(best)]
        return []

    def _without_needless(self, remedy: Remedy) -> Remedy:
        fewer = [(*remedy.acts[:n], *remedy.acts[n + 1 :]) for n in range(len(remedy.acts))]
        smaller = next(self.working(fewer), None)
        return remedy if smaller is None else self._without_needless(smaller)

    def _tried(self, acts: tuple[Act, ...]) -> Remedy:
        """Apply events, and look at once and when it is judged next: some features count whole days only."""
        account, at = self._account.copy(), self._account.clock
        health = account.go_on(at + 1, events=_records(acts, self._now.account, at=at)) or self._now
        if not self._is_back(health):
            health = account.go_on(account.next_at) or health
        return Remedy(acts=acts, at=at, back_at=health.at, health=health)

    def _is_back(self, health: AccountHealth) -> bool:
        return not fell(health, since=self._wanted)


def _records(acts: Sequence[Act], account: str, *, at: int) -> list[bytes]:
    return [act.record(account, number, at=at) for number, act in enumerate(acts)]
