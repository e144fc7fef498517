"""Score a log event by event: the naive version of docs/scoring.md that the columnar core must equal exactly.

Written from that page alone. It is slow, keeps everything, and computes every number from scratch at each evaluation.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.oracle_features import DAY, HOUR, History, deadline_after, features_of
from lab.oracle_health import Episode, View, band_of, contributions_of, steps_of
from lab.oracle_records import CHECKED, Dead, Event, Record, Tick, read
from shared.contracts.events import MOVED_HEADER, AccountFacts, Kind
from shared.contracts.health import AccountHealth, Attributes, Band, OpenEpisode
from shared.contracts.partition import partition_of, roll_ms
from shared.contracts.risk import Change, Transition, transition_id

TIMELESS = CHECKED | {Kind.OUTCOME, Kind.GOAL, Kind.MILESTONE}
PRESENCE = {Kind.LOGIN, Kind.USAGE, Kind.OUTCOME}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A version of the configuration: the parsed YAML files."""

    version: str
    scorecard: dict[str, Any]
    rules: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """What one tick that raised the clock published."""

    offset: int
    at: int
    healths: dict[str, AccountHealth] = field(default_factory=dict)
    scores: list[AccountHealth] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Result:
    """The fate of every record and everything published; `healths` has the latest of every account."""

    fates: list[str] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    healths: dict[str, AccountHealth] = field(default_factory=dict)

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.fates)

    @property
    def scores(self) -> list[AccountHealth]:
        return [score for evaluation in self.evaluations for score in evaluation.scores]

    @property
    def transitions(self) -> list[Transition]:
        return [transition for evaluation in self.evaluations for transition in evaluation.transitions]


@dataclass(slots=True, kw_only=True)
class _Account:
    history: History
    touched: bool = True
    due: int = 0
    band: Band = Band.UNKNOWN
    episodes: list[Episode] = field(default_factory=list)
    published: tuple[Band, int | None, int] | None = None


@dataclass(slots=True, kw_only=True)
class _Log:
    partition: int
    partitions: int
    generation: int
    contexts: Mapping[int, Bundle]
    clock: int | None = None
    arrival: int = 0
    bundle: Bundle | None = None
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    accounts: dict[str, _Account] = field(default_factory=dict)
    result: Result = field(default_factory=Result)


def run(
    records: Iterable[Record], *, partition: int, partitions: int, contexts: Mapping[int, Bundle], generation: int = 1
) -> Result:
    """Return the fate of every record of one partition and all that its ticks publish.

    `contexts` are the entries of kind `bundle` in `churn.context.v1` by offset.
    """
    log = _Log(partition=partition, partitions=partitions, generation=generation, contexts=contexts)
    for record in records:
        log.arrival = max(log.arrival, record.ts)
        try:
            log.result.fates.append(_fate(log, record))
        except Dead as reason:
            log.result.fates.append(str(reason))
    return log.result


def _fate(log: _Log, record: Record) -> str:
    event = read(record)
    if isinstance(event, Tick):
        return _tick(log, event, offset=record.offset)
    if partition_of(event.account.encode(), partitions=log.partitions) != log.partition:
        if any(name == MOVED_HEADER for name, _ in record.headers):
            raise Dead("wrong_partition")
        return "moved"
    if event.at > record.ts + 300_000:
        raise Dead("in_future")
    if log.clock is not None and event.at < log.clock - 91 * DAY and event.kind not in TIMELESS:
        raise Dead("too_late")
    hour = log.arrival // HOUR
    identity = (event.source, event.id)
    if identity in log.seen and hour <= log.seen[identity] + 24:
        return "duplicate"
    log.seen[identity] = hour
    _apply(log, event)
    return "applied"


def _apply(log: _Log, event: Event) -> None:
    if event.account not in log.accounts:
        history = History(account=event.account, roll=roll_ms(event.account.encode()))
        log.accounts[event.account] = _Account(history=history)
    account = log.accounts[event.account]
    account.touched = True
    history, data, stamp = account.history, event.data, (event.at, event.id.encode(), event.source.encode())
    if event.kind in PRESENCE or event.kind not in set(Kind):
        history.count(_signal(log.bundle, event), at=event.at)
        history.be_present(event.at, user=data.get("user"))
    elif event.kind == Kind.TICKET:
        history.count("ticket", at=event.at)
    elif event.kind == Kind.ACCOUNT:
        for name in AccountFacts.__struct_fields__:
            if data.get(name) is not None:
                history.learn(name, data[name], stamp=stamp)
    elif event.kind == Kind.SUBSCRIPTION:
        history.learn("subscription", data["status"], stamp=stamp)
    elif event.kind == Kind.SURVEY:
        history.learn(data["kind"], data["score"], stamp=stamp)
    elif event.kind == Kind.BILLING:
        history.learn(f"{data['status']}_at", None, stamp=stamp)


def _signal(bundle: Bundle | None, event: Event) -> str:
    if event.kind in {Kind.LOGIN, Kind.OUTCOME}:
        return event.kind
    name = event.data.get("name")
    if name is None and event.kind != Kind.USAGE:
        name = event.kind
    return f"usage:{name}" if bundle and name in _key_features(bundle) else "usage"


def _key_features(bundle: Bundle) -> list[str]:
    return bundle.scorecard.get("key_features") or []


def _tick(log: _Log, tick: Tick, *, offset: int) -> str:
    if log.clock is not None and tick.at <= log.clock:
        return "tick"
    log.clock = tick.at
    known = [entry for entry in log.contexts if entry <= tick.context]
    if known:
        bundle = log.contexts[max(known)]
        changed = log.bundle is None or bundle.version != log.bundle.version
        log.bundle = bundle
        _evaluate(log, Evaluation(offset=offset, at=tick.at), bundle=bundle, changed=changed)
    return "tick"


def _evaluate(log: _Log, evaluation: Evaluation, *, bundle: Bundle, changed: bool) -> None:
    for account in log.accounts.values():
        if account.touched or account.due <= evaluation.at or changed:
            _judge(log, account, evaluation, bundle=bundle, changed=changed)
    log.result.evaluations.append(evaluation)
    log.result.healths.update(evaluation.healths)


def _judge(log: _Log, account: _Account, evaluation: Evaluation, *, bundle: Bundle, changed: bool) -> None:
    history, t = account.history, evaluation.at
    view = _view(history, t, bundle=bundle)
    contributions = contributions_of(view.features, bundle.scorecard) if view.enough and not history.ended else []
    health = sum(c.points for c in contributions) if contributions else None
    account.band = band_of(health, before=account.band, bands=bundle.scorecard["bands"])
    steps, account.episodes = steps_of(view, bundle.rules["rules"], account.episodes)
    next_day = (history.day(t) + 1) * DAY + history.roll
    account.due = min(next_day, view.deadline) if view.deadline is not None and view.deadline > t else next_day
    account.touched = False
    needed = bundle.scorecard["evidence"]
    published = AccountHealth(
        account=history.account,
        at=t,
        partition=log.partition,
        offset=evaluation.offset,
        generation=log.generation,
        bundle=bundle.version,
        health=health,
        band=account.band,
        evidence_days=min(view.features.get("tenure_days", 0), needed["days"]),
        evidence_needed=needed["days"],
        active_days=min(view.features["active_days"], needed["active_days"]),
        active_days_needed=needed["active_days"],
        last_activity=history.last,
        silence_deadline=view.deadline,
        contributions=contributions,
        episodes=[
            OpenEpisode(id=e.id, rule=e.rule, severity=e.severity, opened_at=e.opened_at) for e in account.episodes
        ],
        attributes=_attributes(history),
    )
    evaluation.healths[history.account] = published
    evaluation.transitions += [
        Transition(
            id=transition_id(step.episode.id, change=step.change, at=t),
            episode=step.episode.id,
            account=history.account,
            rule=step.episode.rule,
            change=step.change,
            severity=step.episode.severity,
            at=t,
            opened_at=step.episode.opened_at,
            partition=log.partition,
            offset=evaluation.offset,
            bundle=bundle.version,
            standing=changed and step.change is Change.OPENED,
            playbook=step.playbook,
            band=account.band,
            health=health,
            evidence=step.evidence,
            contributions=contributions,
            attributes=published.attributes,
        )
        for step in steps
    ]
    if _is_news(account.published, account.band, health, history.day(t)):
        evaluation.scores.append(published)
        account.published = (account.band, health, history.day(t))


def _view(history: History, t: int, *, bundle: Bundle) -> View:
    features = features_of(history, t, key_features=_key_features(bundle))
    needed, alpha = bundle.scorecard["evidence"], bundle.rules["silence"]["alpha_permille"]
    enough = (
        features.get("tenure_days", 0) >= needed["days"]
        and features["active_days"] >= needed["active_days"]
        and history.last is not None
    )
    deadline = None
    if enough and not history.ended and history.last is not None:
        deadline = deadline_after(history, history.last, alpha_permille=alpha)
        features["silence"] = 1 if t >= deadline else 0
    return View(history=history, t=t, features=features, deadline=deadline, enough=enough, alpha_permille=alpha)


def _is_news(before: tuple[Band, int | None, int] | None, band: Band, health: int | None, day: int) -> bool:
    if before is None or before[0] is not band or before[2] != day:
        return True
    if health is None or before[1] is None:
        return health is not before[1]
    return abs(health - before[1]) >= 1000


def _attributes(history: History) -> Attributes:
    names = (*AccountFacts.__struct_fields__, "subscription")
    return Attributes(**{name: history.value(name) for name in names})
