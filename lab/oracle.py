"""Score a log event by event: the naive version of docs/scoring.md that the columnar core must equal exactly.

Written from that page alone. It is slow, keeps everything, and computes every number from scratch at each evaluation.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lab.oracle_champion import champion_silence
from lab.oracle_erasure import expiries
from lab.oracle_features import DAY, HOUR, History, Names, features_of, last_day
from lab.oracle_goal import goal_at
from lab.oracle_health import (
    Episode,
    View,
    Waits,
    band_of,
    contributions_of,
    is_news,
    judged,
    overridden,
    scorecard_of,
    stage_of,
    steps_of,
)
from lab.oracle_journey import Standing, note_event, note_word
from lab.oracle_medians import Usual, compared, usual_by
from lab.oracle_records import CHECKED, FACTS, Dead, Event, Record, Tick, read
from lab.oracle_rhythm import deadline_after
from lab.oracle_seen import Seen
from shared.contracts.context import Guard, GuardState, Import, ImportState, Quarantine, Summary, source_in
from shared.contracts.events import MOVED_HEADER, AccountFacts, Kind
from shared.contracts.health import AccountHealth, Attributes, Band, OpenEpisode, OverrideNote
from shared.contracts.partition import partition_of, roll_ms
from shared.contracts.risk import Transition, transition_id

LASTING = FACTS | {Kind.OUTCOME, Kind.GOAL, Kind.MILESTONE}
TIMELESS = LASTING | {Kind.USER, Kind.ERASURE}
PRESENCE = {Kind.LOGIN, Kind.USAGE, Kind.OUTCOME}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A version of the configuration: the parsed YAML files."""

    version: str
    scorecard: dict[str, Any]
    rules: dict[str, Any]
    journey: dict[str, Any] | None = None
    calendars: dict[str, Any] | None = None
    """Its tables (§6)."""


Entry = Bundle | Import | Guard | Quarantine | Summary
Contexts = Mapping[int, Entry]
"""Entries of `churn.context.v1` by offset, as far as scoring reads them."""


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """What one tick that raised the clock published."""

    offset: int
    at: int
    erased: set[str] = field(default_factory=set)
    """Accounts whose health and history are removed here, before anything of them is published."""
    healths: dict[str, AccountHealth] = field(default_factory=dict)
    scores: list[AccountHealth] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Result:
    """The fate of every record and everything published; `healths` has the latest of every account."""

    fates: list[str] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    facts: list[tuple[int, str]] = field(default_factory=list)
    """Offset and key of every event published again."""
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
class Account:
    """An account as it stands after the record at `upto`, or after what was read of the log so far."""

    history: History
    touched: bool = True
    due: int = 0
    band: Band = Band.UNKNOWN
    episodes: list[Episode] = field(default_factory=list)
    waits: Waits = field(default_factory=Waits)
    published: tuple[Band, int | None, int] | None = None
    job: str | None = None
    upto: int = -1
    erased_at: int = -1
    erased_users: dict[Hashable, int] = field(default_factory=dict)
    gone: bool = True
    to_end: list[Episode] | None = None
    """After an erasure, until the next tick that evaluates: the episodes that were open."""


@dataclass(slots=True, kw_only=True)
class Log:
    """What is remembered of one partition."""

    partition: int
    partitions: int
    generation: int
    contexts: "Contexts"
    clock: int | None = None
    arrival: int = 0
    bundle: Bundle | None = None
    names: Names = field(default_factory=Names)
    seen: Seen = field(default_factory=Seen)
    rows: dict[str, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    guarded: set[str] = field(default_factory=set)
    missed: dict[str, int] = field(default_factory=dict)
    """Guards whose hold is over though what they miss is not back, and when it began: a matter of one tick."""
    usual: dict[int, Usual] = field(default_factory=dict)
    """Medians by segment and feature, by the UTC day of the ticks they are good for."""
    accounts: dict[str, Account] = field(default_factory=dict)
    result: Result = field(default_factory=Result)


def run(
    records: Iterable[Record],
    *,
    partition: int,
    partitions: int,
    contexts: Contexts,
    generation: int = 1,
    begin: Callable[[Log], None] | None = None,
) -> Result:
    """Return the fate of every record of one partition and all that its ticks publish.

    `begin` fills in what a snapshot remembers; the records are those from its base on.
    """
    log = Log(partition=partition, partitions=partitions, generation=generation, contexts=contexts)
    if begin is not None:
        begin(log)
    for record in records:
        log.arrival = max(log.arrival, record.ts)
        try:
            fate = _fate(log, record)
            log.result.fates.append(fate)
            if fate == "applied":
                _last(log, record)
        except Dead as reason:
            log.result.fates.append(str(reason))
    return log.result


def _fate(log: Log, record: Record) -> str:
    if any(isinstance(entry, Quarantine) and _is_set_aside(record, entry, log) for entry in log.contexts.values()):
        raise Dead("bug")
    event = read(record)
    if isinstance(event, Tick):
        return _tick(log, event, offset=record.offset)
    if partition_of(event.account.encode(), partitions=log.partitions) != log.partition:
        if event.job is not None or any(name == MOVED_HEADER for name, _ in record.headers):
            raise Dead("wrong_partition")
        return "moved"
    if event.at > record.ts + 300_000:
        raise Dead("in_future")
    if event.job is None and _is_before_windows(log, event):
        raise Dead("too_late")
    if event.job is not None and event.row is not None:
        if event.row <= log.rows.get(event.job, -1):
            return "duplicate"
        log.rows[event.job] = event.row
        log.heard[event.job] = max(record.ts, log.heard.get(event.job, record.ts))
        _apply(log, event, offset=record.offset)
        return "applied"
    log.seen.forget_before(log.arrival // HOUR - 24)
    identity = log.names.id(event.source, event.id)
    if identity in log.seen.ids:
        return "duplicate"
    log.seen.remember(identity, hour=log.arrival // HOUR)
    _apply(log, event, offset=record.offset)
    return "applied"


def _last(log: Log, record: Record) -> None:
    event = read(record)
    if not isinstance(event, Event) or event.kind not in LASTING or len(record.value or b"") > 1_048_576:
        return
    account = log.accounts[event.account]
    if event.at > max(account.erased_at, account.erased_users.get(_user(log, account, event), -1)):
        log.result.facts.append((record.offset, f"{event.account}/{event.kind}/{event.id}"))


def _user(log: Log, account: Account, event: Event) -> Hashable:
    return log.names.user(account.history, event.data.get("user"))


def _is_set_aside(record: Record, entry: Quarantine, log: Log) -> bool:
    return (entry.partition, entry.offset) == (log.partition, record.offset)


def _is_before_windows(log: Log, event: Event) -> bool:
    return log.clock is not None and event.at < log.clock - 91 * DAY and event.kind not in TIMELESS


def _apply(log: Log, event: Event, *, offset: int) -> None:
    if event.account not in log.accounts:
        history = History(account=event.account, roll=roll_ms(event.account.encode()))
        log.accounts[event.account] = Account(history=history, touched=False)
    account = log.accounts[event.account]
    if offset <= account.upto or event.at <= account.erased_at:
        return
    if event.kind == Kind.ERASURE:
        _erase(log, account, event)
        return
    account.touched, account.gone = True, False
    account.job = account.job if event.job is None else event.job
    is_presence = event.kind in PRESENCE or event.kind not in set(Kind)
    if is_presence or event.kind == Kind.TICKET:
        _act(log, account, event, is_presence=is_presence)
    elif event.kind == Kind.USER and event.data.get("removed"):
        account.history.count("removal", at=event.at)
    elif event.kind == Kind.MILESTONE:
        note_word(account.history, _journey(log.bundle), event.data.get("name"), at=event.at)
    else:
        _learn(account.history, event)


def _learn(history: History, event: Event) -> None:
    data, stamp = event.data, (event.at, event.id.encode(), event.source.encode())
    if event.kind in CHECKED - {Kind.USER}:
        history.be_told(data.get("stage") if event.kind == Kind.ACCOUNT else None, at=event.at)
    if event.kind == Kind.ACCOUNT:
        for name in AccountFacts.__struct_fields__:
            if data.get(name) is not None:
                history.learn(name, data[name], stamp=stamp)
    elif event.kind == Kind.SUBSCRIPTION:
        history.learn("subscription", data["status"], stamp=stamp)
    elif event.kind == Kind.SURVEY:
        history.learn(data["kind"], data["score"], stamp=stamp)
    elif event.kind == Kind.BILLING:
        history.learn(f"{data['status']}_at", None, stamp=stamp)
    elif event.kind in {Kind.SENTIMENT, Kind.OVERRIDE, Kind.GOAL}:
        history.learn(event.kind, _judged(event), stamp=stamp)


def _judged(event: Event) -> Any:
    """Return what somebody judged, or set as a goal, as it is kept."""
    data = event.data
    if event.kind == Kind.SENTIMENT:
        return data["score"], data.get("until")
    if event.kind == Kind.OVERRIDE:
        return data.get("health"), data.get("until"), data["by"], data.get("reason")
    return data


def _erase(log: Log, account: Account, event: Event) -> None:
    user = _user(log, account, event)
    if user is None:
        history = History(account=event.account, roll=account.history.roll, number=account.history.number)
        log.accounts[event.account] = Account(
            history=history,
            touched=False,
            upto=account.upto,
            erased_at=event.at,
            erased_users=account.erased_users,
            to_end=account.episodes if account.to_end is None else account.to_end + account.episodes,
        )
    elif event.at > account.erased_users.get(user, -1):
        account.erased_users[user] = event.at
        account.history.forget_user(user)
        account.touched = True


def _act(log: Log, account: Account, event: Event, *, is_presence: bool) -> None:
    history, user = account.history, _user(log, account, event)
    if event.at <= account.erased_users.get(user, -1):
        user = None
    is_old = _is_before_windows(log, event)
    signal = _signal(log.bundle, event) if is_presence else "ticket"
    if is_presence:
        whose = None if signal == "automation" else user
        note_event(history, _journey(log.bundle), event.kind, _name(event), user=whose, at=event.at)
    if is_presence and is_old:
        history.begin(event.at)
    elif is_presence:
        history.count(signal, at=event.at)
        history.be_present(event.at)
        if user and signal != "automation":
            history.see_user(user, signal, at=event.at)
        history.come_through(event.source, at=event.at)
    elif not is_old:
        history.count("ticket", at=event.at)


def _signal(bundle: Bundle | None, event: Event) -> str:
    if event.kind == Kind.OUTCOME:
        return event.kind
    named = (bundle.scorecard.get("signals") or {}) if bundle else {}
    if event.source in [f"/sources/{source}" for source in named.get("automation_sources", ())]:
        return "automation"
    if event.kind == Kind.LOGIN:
        return event.kind
    name = _name(event)
    for words, signal in (("automation",) * 2, ("exports", "export"), ("admin",) * 2, ("errors", "error")):
        if name in named.get(words, ()):
            return signal
    return f"usage:{name}" if bundle and name in _key_features(bundle) else "usage"


def _name(event: Event) -> str | None:
    name = event.data.get("name")
    return event.kind if name is None and event.kind != Kind.USAGE else name


def _journey(bundle: Bundle | None) -> dict[str, Any]:
    return (bundle.journey if bundle else None) or {}


def _named(bundle: Bundle) -> set[str]:
    """Return the features that a bundle's scorecards and rules name."""
    cards = [bundle.scorecard, *(bundle.scorecard.get("scorecards") or {}).values()]
    named = {name for card in cards for dimension in card["dimensions"].values() for name in dimension["measures"]}
    parts = [rule.get(part) or [] for rule in bundle.rules["rules"] for part in ("all", "any", "minimum", "critical")]
    return named | {condition["feature"] for part in parts for condition in part}


def _key_features(bundle: Bundle) -> list[str]:
    return bundle.scorecard.get("key_features") or []


def _tick(log: Log, tick: Tick, *, offset: int) -> str:
    if log.clock is not None and tick.at <= log.clock:
        return "tick"
    log.clock = tick.at
    entries = [log.contexts[entry] for entry in sorted(log.contexts) if entry <= tick.context]
    bundles = [entry for entry in entries if isinstance(entry, Bundle)]
    if bundles:
        before, log.bundle = log.bundle, bundles[-1]
        changed = before is None or before.version != log.bundle.version
        log.usual.setdefault(tick.at // DAY, usual_by([e for e in entries if isinstance(e, Summary)]))
        running = {job for job in log.rows if _runs(log, job, entries, at=tick.at)}
        silent = _silent(log, entries)
        were_guarded = log.guarded
        log.guarded = {key for key, since in silent.items() if tick.at < since + 4 * HOUR}
        log.missed = {key: since for key, since in silent.items() if key not in log.guarded}
        evaluation = Evaluation(offset=offset, at=tick.at)
        _evaluate(log, evaluation, changed=changed, running=running, freed=were_guarded - log.guarded)
    return "tick"


def _runs(log: Log, job: str, entries: list[Entry], *, at: int) -> bool:
    said = [entry for entry in entries if isinstance(entry, Import) and entry.job == job]
    if not said or said[-1].state is not ImportState.RUNNING:
        return False
    return at < max(said[-1].at, log.heard[job]) + 600_000


def _silent(log: Log, entries: list[Entry]) -> dict[str, int]:
    """Return the guards of which the last word is that they are held, and when that was said."""
    guards = [entry for entry in entries if isinstance(entry, Guard) and log.partition in entry.partitions]
    last = {guard.key: guard for guard in guards}
    return {key: guard.at for key, guard in last.items() if guard.state is GuardState.HELD}


def _evaluate(log: Log, evaluation: Evaluation, *, changed: bool, running: set[str], freed: set[str]) -> None:
    for account in log.accounts.values():
        if account.upto >= evaluation.offset:
            continue
        _remove(log, account, evaluation)
        if account.gone or (account.job in running and not changed):
            continue
        is_over = account.job is not None and account.job not in running
        is_freed = any(account.history.is_fed_by(source_in(key)) for key in freed)
        if account.touched or account.due <= evaluation.at or changed or is_over or is_freed:
            _judge(log, account, evaluation, standing=changed or is_over)
            account.job = None if is_over else account.job
    log.result.evaluations.append(evaluation)
    for name in evaluation.erased:
        log.result.healths.pop(name, None)
    log.result.healths.update(evaluation.healths)


def _remove(log: Log, account: Account, evaluation: Evaluation) -> None:
    if account.to_end is None or log.bundle is None:
        return
    evaluation.erased.add(account.history.account)
    evaluation.transitions += expiries(
        account.history.account,
        account.to_end,
        at=evaluation.at,
        place=(log.partition, evaluation.offset),
        bundle=log.bundle.version,
    )
    account.to_end = None


def _judge(log: Log, account: Account, evaluation: Evaluation, *, standing: bool) -> None:
    if log.bundle is None:
        return
    history, t, bundle = account.history, evaluation.at, log.bundle
    usual = log.usual.get(t // DAY, {}).get(history.value("segment") or "", {})
    held = any(history.is_fed_by(source_in(key)) for key in log.guarded)
    missed = [since for key, since in log.missed.items() if history.is_fed_by(source_in(key))]
    view = _view(history, t, bundle=bundle, usual=usual)
    view = replace(view, missed_since=min(missed, default=None), held=held, stood=standing)
    stage = stage_of(view, bundle.scorecard.get("stages") or {})
    card, dimensions = scorecard_of(history, stage, bundle.scorecard)
    contributions = contributions_of(view.features, dimensions) if view.enough and not history.ended else []
    if "override" in view.features:
        card, contributions = "override", [] if history.ended else [overridden(view.features["override"])]
    health = sum(c.points for c in contributions) if contributions else None
    account.band = band_of(health, before=account.band, bands=bundle.scorecard["bands"])
    view.features.update(judged(health, account.band))
    steps, account.episodes = steps_of(view, bundle.rules["rules"], account.episodes, account.waits)
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
        evidence_days=max(0, min(view.features.get("tenure_days", 0), needed["days"])),
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
        scorecard=card,
        stage=stage,
        override=_note(history) if card == "override" and not history.ended else None,
        journey=view.standing(t).journey(),
        goal=view.goal(t)[1],
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
            standing=step.standing,
            receiver=step.receiver,
            precision_percent=step.precision_percent,
            playbook=step.playbook,
            band=account.band,
            health=health,
            evidence=step.evidence,
            contributions=contributions,
            attributes=published.attributes,
        )
        for step in steps
    ]
    if is_news(account.published, account.band, health, history.day(t)):
        evaluation.scores.append(published)
        account.published = (account.band, health, history.day(t))


def _view(history: History, t: int, *, bundle: Bundle, usual: Mapping[str, int]) -> View:
    features = features_of(history, t, key_features=_key_features(bundle), wanted=_named(bundle))
    features |= compared(features, usual)
    standing = partial(Standing, history, journey=bundle.journey, stages=bundle.scorecard.get("stages") or {})
    goal = partial(goal_at, history, key_features=_key_features(bundle))
    features |= standing(t).features() | goal(t)[0]
    needed, alpha = bundle.scorecard["evidence"], bundle.rules["silence"]["alpha_permille"]
    if history.hours:
        features |= champion_silence(history, history.day(t), alpha_permille=alpha)
    enough = (
        features.get("tenure_days", 0) >= needed["days"]
        and features["active_days"] >= needed["active_days"]
        and history.last is not None
    )
    deadline = None
    if enough and not history.ended and history.last is not None:
        deadline = deadline_after(history, history.last, alpha_permille=alpha, calendars=bundle.calendars)
        features["silence"] = 1 if t >= deadline else 0
    return View(
        history=history,
        t=t,
        features=features,
        deadline=deadline,
        enough=enough,
        alpha_permille=alpha,
        standing=standing,
        goal=goal,
        calendars=bundle.calendars,
    )


def _note(history: History) -> OverrideNote:
    health, _, by, reason = history.value("override")
    return OverrideNote(health=health, by=by, reason=reason, until=last_day(history, "override"))


def _attributes(history: History) -> Attributes:
    names = Attributes.__struct_fields__
    return Attributes(**{name: history.value(name) for name in names})
