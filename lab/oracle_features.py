"""Work out what docs/scoring.md §3, §5 and §6 say of one account: day by day, in plain Python, from all its events."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import cache
from typing import Any

HOUR = 3_600_000
DAY = 24 * HOUR
PRESENT = ("login", "outcome")  # and every signal that starts with "usage"
EXACT = Context(prec=60)

Stamp = tuple[int, bytes, bytes]
Fact = tuple[Stamp, Any]


@dataclass(slots=True, kw_only=True)
class History:
    """Everything that was ever applied to one account; nothing is deleted, what is forgotten is left out on reading."""

    account: str
    roll: int
    counts: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    hours: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    last: int | None = None
    users: dict[Hashable, int] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    earlier: int | None = None
    """The earliest day told by a history from before every window."""
    sources: dict[str, int] = field(default_factory=dict)
    number: int | None = None
    """Its number in the snapshot it came from."""

    def day(self, t: int) -> int:
        return (t - self.roll) // DAY

    def hour(self, t: int) -> int:
        return (t - self.roll) % DAY // HOUR

    def count(self, signal: str, *, at: int) -> None:
        self.counts[signal][self.day(at)] += 1

    def be_present(self, at: int, *, user: Hashable) -> None:
        day = self.day(at)
        self.hours[day].add(self.hour(at))
        self.last = at if self.last is None else max(self.last, at)
        if user:
            self.users[user] = max(day, self.users.get(user, day))

    def begin(self, at: int) -> None:
        day = self.day(at)
        self.earlier = day if self.earlier is None else min(day, self.earlier)

    def come_through(self, source: str, *, at: int) -> None:
        self.sources[source] = max(at, self.sources.get(source, at))

    def is_fed_by(self, source: str) -> bool:
        return self.last is not None and source in self.sources and self.sources[source] >= self.last - 28 * DAY

    def learn(self, name: str, value: Any, *, stamp: Stamp) -> None:
        if name not in self.facts or stamp > self.facts[name][0]:
            self.facts[name] = (stamp, value)

    def value(self, name: str) -> Any:
        return self.facts[name][1] if name in self.facts else None

    def time(self, name: str) -> int | None:
        return self.facts[name][0][0] if name in self.facts else None

    @property
    def first_day(self) -> int:
        first = min(self.hours)
        return first if self.earlier is None else min(first, self.earlier)

    @property
    def front(self) -> int:
        return max(self.hours)

    @property
    def ended(self) -> bool:
        return self.value("deleted") is True or self.value("subscription") == "cancelled"

    def remembered(self) -> dict[int, set[int]]:
        return {day: hours for day, hours in self.hours.items() if day > self.front - 91}

    def total(self, signal: str, *, since: int, until: int) -> int:
        days = self.counts.get(signal)
        if not days:
            return 0
        front = max(days)
        return sum(min(n, 65_535) for day, n in days.items() if since <= day <= until and day > front - 91)

    def presence(self, *, since: int, until: int) -> int:
        signals = [s for s in self.counts if s in PRESENT or s == "usage" or s.startswith("usage:")]
        return sum(self.total(signal, since=since, until=until) for signal in signals)


class Names:
    """What ids and users are known by: themselves, unless the run began at a snapshot (§10)."""

    def id(self, source: str, id: str) -> Hashable:  # noqa: A002  the envelope's own word
        return source, id

    def user(self, history: History, user: str | None) -> Hashable:  # noqa: ARG002  an account of a snapshot has other names
        return user


def change_of_usage(history: History, day: int) -> dict[str, int]:
    """Return usage_7, usage_normal_28 and, unless it is missing, usage_change, as seen on `day`."""
    recent = history.presence(since=day - 7, until=day - 1)
    normal = history.presence(since=day - 35, until=day - 8)
    features = {"usage_7": recent, "usage_normal_28": normal}
    if normal:
        features["usage_change"] = recent * 4000 // normal - 1000
    return features


def survey_score(history: History, name: str, *, day: int) -> int | None:
    """Return the last score of a survey, or None if there is none or it is older than 90 days."""
    at = history.time(name)
    if at is None or day - history.day(at) > 90:
        return None
    return int(history.value(name))


def features_of(history: History, t: int, *, key_features: list[str]) -> dict[str, int]:
    """Return every feature at T that is not missing, but for `silence`."""
    day = history.day(t)
    features: dict[str, int] = {"active_days": 0}
    if history.hours:
        remembered = history.remembered()
        users = sum(d > day - 28 for d in history.users.values() if d > history.front - 32)
        seats = history.value("seats")
        features |= {
            "tenure_days": day - history.first_day + 1,
            "active_days": len(remembered),
            "active_days_28": sum(day - 27 <= d <= day for d in remembered),
            "recency_days": max(0, day - history.front),
            "users_28": users,
            **change_of_usage(history, day),
        }
        if seats is not None and seats > 0:
            features["seats_used"] = min(1000, users * 1000 // seats)
        if key_features:
            used = [f for f in key_features if history.total(f"usage:{f}", since=day - 27, until=day) > 0]
            features["features_used"] = len(used) * 1000 // len(key_features)
    if "outcome" in history.counts:
        features["outcomes_28"] = history.total("outcome", since=day - 27, until=day)
    features |= _facts_at(history, day)
    return features


def _facts_at(history: History, day: int) -> dict[str, int]:
    features: dict[str, int] = {}
    failed, paid = history.time("payment_failed_at"), history.time("invoice_paid_at")
    if failed is not None and (paid is None or paid < failed):
        features["payment_failed_days"] = max(0, day - history.day(failed))
    if failed is not None or paid is not None:
        features["payment_ok"] = 0 if features.get("payment_failed_days", 31) <= 30 else 1
    if history.value("subscription") is not None:
        features["contract_ok"] = 0 if history.value("subscription") == "notice_given" else 1
    for name in ("nps", "csat"):
        score = survey_score(history, name, day=day)
        if score is not None:
            features[name] = score
    return features


def deadline_after(history: History, last: int, *, alpha_permille: int) -> int:
    """Return the moment at which silence since `last` becomes abnormal (§6)."""
    day = history.day(last)
    considered = [d for d in range(day - 84, day) if d >= history.first_day and d > history.front - 91]
    days_of = [[d for d in considered if weekday(d) == w] for w in range(7)]
    chances = [_chance(history, days_of[w], prior=512 if w < 5 else 128) for w in range(7)]
    active = Counter((weekday(d), h) for d in considered for h in history.hours.get(d, ()))
    rates = [_rates(active, on=w, chance=chances[w]) for w in range(7)]
    expected_days = min(max(32 * sum(chances) // 1024, 1), 224)
    missing = max(1_000_000, millionths_of_ln(expected_days * 1000, 8 * alpha_permille))
    start, end = last, last + HOUR - (last - history.roll) % HOUR
    while start < last + 84 * DAY:
        rate = rates[weekday(history.day(start))][history.hour(start)]
        gained = rate * (end - start) // HOUR
        if gained >= missing:
            return min(max(start + -(-missing * HOUR // rate), last + DAY), last + 84 * DAY)
        missing -= gained
        start, end = end, end + HOUR
    return last + 84 * DAY


def weekday(day: int) -> int:
    return (day + 3) % 7


@cache
def millionths_of_ln(numerator: int, denominator: int) -> int:
    """Return floor(10⁶ · ln(numerator / denominator)), exactly."""
    ln = EXACT.ln(EXACT.divide(Decimal(numerator), Decimal(denominator)))
    return int(EXACT.multiply(ln, Decimal(1_000_000)).to_integral_value(rounding="ROUND_FLOOR"))


def _chance(history: History, days: list[int], *, prior: int) -> int:
    active = sum(bool(history.hours.get(d)) for d in days)
    return min(max((1024 * active + 2 * prior) // (len(days) + 2), 16), 1008)


def _rates(active: Counter[tuple[int, int]], *, on: int, chance: int) -> list[int]:
    hazard = millionths_of_ln(1024, 1024 - chance)
    shares = [4 * active[on, h] + sum(active[w, h] for w in range(7)) + 1 for h in range(24)]
    return [hazard * share // sum(shares) for share in shares]
