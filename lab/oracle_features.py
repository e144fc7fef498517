"""Work out what docs/scoring.md §3, §5 and §6 say of one account: day by day, in plain Python, from all its events."""

import re
from collections import Counter, defaultdict
from collections.abc import Container, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

HOUR = 3_600_000
DAY = 24 * HOUR
BY_HAND = ("login", "usage", "export", "admin", "error")  # and every signal that starts with "usage:"
EVENTS = (*BY_HAND, "outcome", "automation")
WINDOWS = (1, 7, 14, 28, 91)

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
    users: dict[Hashable, set[int]] = field(default_factory=dict)
    uses: dict[tuple[Hashable, str], int] = field(default_factory=dict)
    """The latest day of each user and key feature."""
    facts: dict[str, Fact] = field(default_factory=dict)
    earlier: int | None = None
    """The earliest day told by a history from before every window."""
    sources: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    """When what milestones need was done first, by event; `first_by` by event and user, `said` by milestone."""
    first_by: dict[tuple[str, Hashable], int] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)
    since: int | None = None
    """When the first fact was told."""
    stages: dict[str, int] = field(default_factory=dict)
    """When each stage was told first."""
    number: int | None = None
    """Its number in the snapshot it came from."""

    def day(self, t: int) -> int:
        return (t - self.roll) // DAY

    def hour(self, t: int) -> int:
        return (t - self.roll) % DAY // HOUR

    def count(self, signal: str, *, at: int) -> None:
        self.counts[signal][self.day(at)] += 1

    def be_present(self, at: int) -> None:
        self.hours[self.day(at)].add(self.hour(at))
        self.last = at if self.last is None else max(self.last, at)

    def see_user(self, user: Hashable, signal: str, *, at: int) -> None:
        day = self.day(at)
        self.users.setdefault(user, set()).add(day)
        if signal.startswith("usage:"):
            self.uses[user, signal] = max(day, self.uses.get((user, signal), day))

    def forget_user(self, user: Hashable) -> None:
        self.users.pop(user, None)
        self.first_by = {(event, whose): at for (event, whose), at in self.first_by.items() if whose != user}
        self.uses = {(whose, signal): day for (whose, signal), day in self.uses.items() if whose != user}

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

    def be_told(self, stage: str | None, *, at: int) -> None:
        """Note that a fact was told, perhaps a stage."""
        self.since = at if self.since is None else min(at, self.since)
        if stage:
            self.stages[stage] = min(at, self.stages.get(stage, at))

    def value(self, name: str) -> Any:
        return self.facts[name][1] if name in self.facts else None

    def time(self, name: str) -> int | None:
        return self.facts[name][0][0] if name in self.facts else None

    @property
    def first_day(self) -> int:
        return min([*self.hours, *([] if self.earlier is None else [self.earlier])])

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

    def signals(self, of: str) -> list[str]:
        """Return the signals that count together as `events` or `hand_use`, or the one of that name."""
        if of not in {"events", "hand_use"}:
            return [of]
        together = EVENTS if of == "events" else BY_HAND
        return [signal for signal in self.counts if signal in together or signal.startswith("usage:")]

    def sum(self, of: str, *, since: int, until: int) -> int:
        return sum(self.total(signal, since=since, until=until) for signal in self.signals(of))

    def active_users(self) -> dict[Hashable, set[int]]:
        """Return the days of each user not forgotten."""
        kept = {user: {d for d in days if d > max(days) - 32} for user, days in self.users.items()}
        return {user: days for user, days in kept.items() if max(days) > self.front - 32}


class Names:
    """What ids and users are known by: themselves, unless the run began at a snapshot (§10)."""

    def id(self, source: str, id: str) -> Hashable:  # noqa: A002  the envelope's own word
        return source, id

    def user(self, history: History, user: str | None) -> Hashable:  # noqa: ARG002  an account of a snapshot has other names
        return user


def change_of_usage(history: History, day: int) -> dict[str, int]:
    """Return usage_7, usage_normal_28 and, unless it is missing, usage_change, as seen on `day`."""
    recent = history.sum("events", since=day - 7, until=day - 1)
    normal = history.sum("events", since=day - 35, until=day - 8)
    return {"usage_7": recent, "usage_normal_28": normal, **change("usage_change", 4 * recent, normal)}


def change(name: str, recent: int, before: int) -> dict[str, int]:
    return {name: recent * 1000 // before - 1000} if before > 0 else {}


def share(name: str, part: int, whole: int) -> dict[str, int]:
    return {name: part * 1000 // whole} if whole > 0 else {}


def survey_score(history: History, name: str, *, day: int) -> int | None:
    """Return the last score of a survey, or None if there is none or it is older than 90 days."""
    at = history.time(name)
    if at is None or day - history.day(at) > 90:
        return None
    return int(history.value(name))


def features_of(
    history: History, t: int, *, key_features: list[str], wanted: Container[str] | None = None
) -> dict[str, int]:
    """Return every feature at T that is not missing but `silence`; counts in windows only if wanted (None: all)."""
    day = history.day(t)
    features: dict[str, int] = {"active_days": 0}
    if history.hours:
        features |= _counts(history, day, wanted)
        features |= _changes(history, day)
        features |= _of_users(history, day)
        features |= _of_key_features(history, day, key_features)
    if "outcome" in history.counts:
        features |= {f"outcomes_{w}": history.sum("outcome", since=day - w + 1, until=day) for w in WINDOWS}
    features |= _days_since(history, day)
    features |= _facts_at(history, day)
    return features


def _counts(history: History, day: int, wanted: Container[str] | None) -> dict[str, int]:
    remembered = history.remembered()
    features = {
        "tenure_days": day - history.first_day + 1,
        "active_days": len(remembered),
        "recency_days": max(0, day - history.front),
        **change_of_usage(history, day),
    }
    before = min(max(features["tenure_days"] - features["recency_days"], 1), 91)
    features["missed_days"] = features["recency_days"] * len(remembered) * 1000 // before
    signals = {"events": "events", "hand_use": "hand_use", "logins": "login", "automation": "automation"}
    signals |= {"exports": "export", "admin_actions": "admin", "errors": "error", "removals": "removal"}
    signals |= {"tickets": "ticket"}
    for w in WINDOWS:
        features[f"active_days_{w}"] = sum(day - w < d <= day for d in remembered)
        for name, signal in signals.items():
            if wanted is not None and f"{name}_{w}" not in wanted and (name, w) != ("events", 91):
                continue
            features[f"{name}_{w}"] = history.sum(signal, since=day - w + 1, until=day)
    return features


def _changes(history: History, day: int) -> dict[str, int]:
    later, earlier = range(day - 28, day), range(day - 56, day - 28)
    active = [sum(d in half for d in history.remembered()) for half in (later, earlier)]
    hand, automation, events = (
        [history.sum(of, since=half[0], until=half[-1]) for half in (later, earlier)]
        for of in ("hand_use", "automation", "events")
    )
    found = change("active_days_change", *active) | change("hand_use_change", *hand)
    if all(events):
        now, before = (part * 1000 // whole for part, whole in zip(automation, events, strict=True))
        found["automation_share_change"] = now - before
    usual = history.sum("events", since=day - 35, until=day - 8)
    if usual:
        rise = 4 * history.sum("automation", since=day - 7, until=day - 1)
        rise -= history.sum("automation", since=day - 35, until=day - 8)
        found["automation_rise"] = rise * 1000 // usual
    part, whole = (history.sum(of, since=day - 27, until=day) for of in ("automation", "events"))
    normal = history.sum("export", since=day - 34, until=day - 7)
    spike = history.sum("export", since=day - 6, until=day) * 4000 // max(4, normal)
    alone = {d for d in range(day - 27, day + 1) if history.sum("events", since=d, until=d)}
    quiet = {d for d in alone if not history.sum("ticket", since=d, until=d)}
    return {
        **found,
        **share("automation_share", part, whole),
        "exports_spike": spike,
        **share("self_reliance", len(quiet), len(alone)),
    }


def _of_users(history: History, day: int) -> dict[str, int]:
    users, seats = history.active_users(), history.value("seats")
    features = {}
    for w, name in ((1, "seats_used_1"), (7, "seats_used_7"), (28, "seats_used")):
        features[f"users_{w}"] = sum(max(days) > day - w for days in users.values())
        if seats is not None and seats > 0:
            features[name] = min(1000, features[f"users_{w}"] * 1000 // seats)
    weeks = [sum(any(d in week for d in days) for days in users.values()) for week in _weeks(day)]
    active = sorted((sum(day - 27 <= d <= day for d in days) for days in users.values()), reverse=True)
    return {
        **features,
        **change("users_change", *weeks),
        **share("top_user_share", sum(active[:1]), sum(active)),
        **share("top_3_users_share", sum(active[:3]), sum(active)),
    }


def _weeks(day: int) -> tuple[range, range]:
    return range(day - 7, day), range(day - 14, day - 7)


def _of_key_features(history: History, day: int, key_features: list[str]) -> dict[str, int]:
    if not key_features:
        return {}
    use = {f: history.total(f"usage:{f}", since=day - 27, until=day) for f in key_features}
    users = sum(max(days) > day - 28 for days in history.active_users().values())
    features = {"features_used": sum(n > 0 for n in use.values()) * 1000 // len(key_features)}
    for f in key_features:
        latest = [d for (_, signal), d in history.uses.items() if signal == f"usage:{f}"]
        adopted = sum(d > max(day - 28, history.front - 32) for d in latest)
        features |= {f"use_28:{f}": use[f], **share(f"adoption:{f}", adopted, users)}
    return features


def _days_since(history: History, day: int) -> dict[str, int]:
    signals = {"login": "login", "automation": "automation", "export": "export", "admin_action": "admin"}
    signals |= {"error": "error", "removal": "removal", "ticket": "ticket", "outcome": "outcome"}
    features = {}
    for name, of in {**signals, "hand_use": "hand_use"}.items():
        fronts = [max(history.counts[s]) for s in history.signals(of) if history.counts.get(s)]
        if fronts:
            features[f"days_since_{name}"] = max(0, day - max(fronts))
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
    renewal = day_of_date(history.value("renewal_date"))
    if renewal is not None:
        features["renewal_days"] = renewal - day
    for name in ("sentiment", "override"):
        told = history.value(name)
        if told is not None and told[0] is not None and day <= last_day(history, name):
            features[name] = told[0]
    for name in ("nps", "csat", "ces"):
        score = survey_score(history, name, day=day)
        if score is not None:
            features[name] = score
    return features


def last_day(history: History, name: str) -> int:
    """Return the last account-day on which a sentiment or an override is good."""
    until, at = day_of_date(history.value(name)[1]), history.time(name)
    return history.day(at or 0) + 90 if until is None else until


def day_of_date(text: str | None) -> int | None:
    """Return the day, since 1970-01-01, of a date YYYY-MM-DD; None for anything else."""
    if text is None or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).toordinal() - 719_163
    except ValueError:
        return None
