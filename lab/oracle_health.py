"""Work out what docs/scoring.md §7 and §8 say of one account at one tick: health, band, episodes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lab.oracle_features import HOUR, History, change_of_usage, survey_score
from lab.oracle_goal import is_untold
from lab.oracle_journey import Standing, lifecycle
from lab.oracle_rhythm import Tables, deadline_after
from shared.contracts.health import Band, Contribution
from shared.contracts.journey import Goal
from shared.contracts.risk import ENDS, Change, Evidence, ReceiverClass, Severity, episode_id

OF_GOAL = {"goal_pace", "goal_behind_days", "goal_shortfall"}
OF_JOURNEY = OF_GOAL | {"milestones_overdue", "milestone_overdue_days"}
WORSE = (Severity.OPPORTUNITY, Severity.AT_RISK, Severity.CRITICAL)
BETTER = (Band.CRITICAL, Band.AT_RISK, Band.WATCH, Band.HEALTHY)

Condition = dict[str, Any]
Rule = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An open episode."""

    id: str
    rule: str
    severity: Severity
    opened_at: int


@dataclass(slots=True, kw_only=True)
class Waits:
    """What is remembered of rules that are not open: those that hold, and from which account-day on one may open."""

    holding: dict[str, bool] = field(default_factory=dict)
    """Whether it was so before judging began."""
    ready: dict[str, int] = field(default_factory=dict)

    def begin(self, rule: Rule, *, day: int, standing: bool) -> None:
        if rule["name"] not in self.holding:
            self.holding[rule["name"]] = standing
            self._not_before(rule["name"], day, rule.get("hold_days") or 0)

    def cool_down(self, rule: Rule, *, day: int) -> None:
        self._not_before(rule["name"], day, rule.get("cool_down_days") or 0)

    def _not_before(self, name: str, day: int, days: int) -> None:
        if days:
            self.ready[name] = max(day + days, self.ready.get(name, day + days))

    def only(self, rules: list[Rule]) -> None:
        """Forget what is remembered of other rules."""
        names = {rule["name"] for rule in rules}
        for remembered in (self.holding, self.ready):
            for name in remembered.keys() - names:
                del remembered[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happened to an episode at a tick, before it becomes a transition."""

    episode: Episode
    change: Change
    playbook: str | None
    evidence: list[Evidence]
    standing: bool = False
    receiver: ReceiverClass = ReceiverClass.CS
    precision_percent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything a rule may look at: an account at T."""

    history: History
    t: int
    features: dict[str, int]
    deadline: int | None
    enough: bool
    alpha_permille: int
    standing: Callable[[int], Standing]
    """Where the account stood in its journey at a moment, by what is known now."""
    goal: Callable[[int], tuple[dict[str, int], Goal | None]]
    """Its goal and the features of that at a moment, by what is known now."""
    calendars: Tables | None = None
    held: bool = False
    """Whether a guarded source feeds the account."""
    missed_since: int | None = None
    """When the hold began of a source that feeds the account and is missed."""
    stood: bool = False
    """Whether what holds now was so before judging began."""

    def stands_still(self, rule: Rule) -> bool:
        return self.held and rule["based_on"] == "activity" and not self.history.ended


def stage_of(view: View, stages: dict[str, int]) -> str:
    """Return the lifecycle stage at T: the one told, else what it follows from."""
    tenure, until = view.features.get("tenure_days"), view.features.get("renewal_days")
    return lifecycle(view.history, tenure=tenure, until_renewal=until, stages=stages)


def scorecard_of(history: History, stage: str, scorecard: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return name and dimensions of the scorecard for the account: the first use that fits, else the default."""
    segment = history.value("segment") or ""
    for use in scorecard.get("use") or []:
        if segment in (use.get("segments") or [segment]) and stage in (use.get("stages") or [stage]):
            name = use["scorecard"]
            others = {"default": scorecard, **(scorecard.get("scorecards") or {})}
            return name, others[name]["dimensions"]
    return "default", scorecard["dimensions"]


def contributions_of(features: dict[str, int], dimensions: dict[str, Any]) -> list[Contribution]:
    """Return what each measure that is not left out adds, in the order of the file."""
    scored = []
    for dimension, inside in dimensions.items():
        kept = {name: m for name, m in inside["measures"].items() if name in features or m["missing"] != "exclude"}
        for name, measure in kept.items():
            weight = inside["weight"] * measure["weight"] * 10**6 // sum(m["weight"] for m in kept.values())
            scored.append((dimension, name, weight, _score(features.get(name), measure)))
    whole = sum(weight for _, _, weight, _ in scored)
    contributions, points, weights = [], 0, 0
    for dimension, name, weight, score in scored:
        before = (points // whole, weights * 100_000 // whole)
        points, weights = points + weight * score, weights + weight
        contributions.append(
            Contribution(
                dimension=dimension,
                measure=name,
                points=points // whole - before[0],
                possible=weights * 100_000 // whole - before[1],
                value=features.get(name, 0),
                missing=name not in features,
            )
        )
    return contributions


def overridden(health: int) -> Contribution:
    """Return the only contribution to a health set by hand."""
    return Contribution(dimension="override", measure="override", points=1000 * health, possible=100_000, value=health)


def _score(value: int | None, measure: dict[str, Any]) -> int:
    if value is None:
        return 50_000 if measure["missing"] == "neutral" else 0
    curve = measure["curve"]
    if value <= curve[0][0]:
        return int(1000 * curve[0][1])
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 < value < x1:
            return int(1000 * y0 + 1000 * (y1 - y0) * (value - x0) // (x1 - x0))
        if value == x1:
            return int(1000 * y1)
    return int(1000 * curve[-1][1])


def band_of(health: int | None, *, before: Band, bands: dict[str, int]) -> Band:
    """Return the band: worse at once, better only with the margin."""
    if health is None:
        return Band.UNKNOWN
    lies_in = [b for b in BETTER if b is Band.CRITICAL or health >= bands[b]][-1]
    if before is Band.UNKNOWN or BETTER.index(lies_in) <= BETTER.index(before):
        return lies_in
    earned = [b for b in BETTER if b is Band.CRITICAL or health >= bands[b] + bands["margin"]][-1]
    return earned if BETTER.index(earned) > BETTER.index(before) else before


def judged(health: int | None, band: Band) -> dict[str, int]:
    """Return health and band as features that rules may name."""
    return {} if health is None else {"health": health, "band": 1 + BETTER.index(band)}


def is_news(before: tuple[Band, int | None, int] | None, band: Band, health: int | None, day: int) -> bool:
    """Say whether a health belongs on `churn.scores.v1` after the one published before (§9)."""
    if before is None or before[0] is not band or before[2] != day:
        return True
    if health is None or before[1] is None:
        return health is not before[1]
    return abs(health - before[1]) >= 1000


def steps_of(view: View, rules: list[Rule], episodes: list[Episode], waits: Waits) -> tuple[list[Step], list[Episode]]:
    """Return what happens to the account's episodes at T, rules in order, and the episodes open afterwards."""
    waits.only(rules)
    was_open = {episode.rule: episode for episode in episodes}
    steps: list[Step] = []
    after: list[Episode] = []
    for rule in rules:
        episode = was_open.pop(rule["name"], None)
        if view.stands_still(rule):
            after += [episode] if episode else []
            continue
        stood = waits.holding.get(rule["name"], view.stood) and episode is None
        change, now = _open(view, rule, waits) if episode is None else _go_on(view, rule, episode)
        if now is None:
            continue
        if change in ENDS:
            waits.cool_down(rule, day=view.history.day(view.t))
        if change is not None:
            step = Step(
                episode=now,
                change=change,
                playbook=rule.get("playbook"),
                evidence=_told(view, rule),
                standing=stood,
                receiver=ReceiverClass(rule.get("receiver", "cs")),
                precision_percent=rule.get("precision_percent"),
            )
            steps.append(step)
        if change in {None, Change.OPENED, Change.WORSENED, Change.EASED}:
            after.append(now)
    gone = [was_open[name] for name in sorted(was_open)]
    steps += [Step(episode=e, change=Change.WITHDRAWN, playbook=None, evidence=[]) for e in gone]
    return steps, after


def _open(view: View, rule: Rule, waits: Waits) -> tuple[Change | None, Episode | None]:
    name, day = rule["name"], view.history.day(view.t)
    if not _holds(view, rule, is_open=False):
        waits.holding.pop(name, None)
        return None, None
    waits.begin(rule, day=day, standing=view.stood)
    if day < waits.ready.get(name, day):
        return None, None
    del waits.holding[name]
    identity = episode_id(view.history.account, rule=name, opened_at=view.t)
    severity = _severity(view, rule, now=None)
    return Change.OPENED, Episode(id=identity, rule=name, severity=severity, opened_at=view.t)


def _go_on(view: View, rule: Rule, episode: Episode) -> tuple[Change | None, Episode]:
    if view.history.ended:
        return Change.EXPIRED, episode
    if not _holds(view, rule, is_open=True):
        was_true = _are_met(rule, lambda condition: _was_true(view, condition, opened_at=episode.opened_at))
        return (Change.RESOLVED if was_true else Change.WITHDRAWN), episode
    severity = _severity(view, rule, now=episode.severity)
    if severity is episode.severity:
        return None, episode
    now = Episode(id=episode.id, rule=episode.rule, severity=severity, opened_at=episode.opened_at)
    rose = WORSE.index(severity) > WORSE.index(episode.severity)
    return (Change.WORSENED if rose else Change.EASED), now


def _holds(view: View, rule: Rule, *, is_open: bool) -> bool:
    return (
        _are_met(rule, lambda c: _is_met(view.features.get(c["feature"]), c, leaving=is_open))
        and all(_is_met(view.features.get(c["feature"]), c) for c in rule.get("minimum") or [])
        and not view.history.ended
        and (view.enough or rule["based_on"] == "fact")
    )


def _are_met(rule: Rule, is_met: Callable[[Condition], bool]) -> bool:
    """Say whether all of `all` are met, and one of `any` where there is any."""
    one_of = rule.get("any") or []
    return all(map(is_met, rule.get("all") or [])) and (not one_of or any(map(is_met, one_of)))


def _severity(view: View, rule: Rule, *, now: Severity | None) -> Severity:
    critical = rule.get("critical") or []
    leaving = now is Severity.CRITICAL
    if critical and all(_is_met(view.features.get(c["feature"]), c, leaving=leaving) for c in critical):
        return Severity.CRITICAL
    return Severity(rule["severity"])


def _is_met(value: int | None, condition: Condition, *, leaving: bool = False) -> bool:
    if value is None:
        return False
    rising = "at_least" in condition
    level: int = condition["at_least"] if rising else condition["at_most"]
    if leaving:
        level = condition.get("leave", level)
    return value >= level if rising else value <= level


def _was_true(view: View, condition: Condition, *, opened_at: int) -> bool:
    """Say whether a condition (given level) was true at the opening T₀, as far as today's activity can tell."""
    history, feature, day = view.history, condition["feature"], view.history.day(opened_at)
    if feature == "silence":
        return _was_silent(view, opened_at)
    if feature == "usage_change":
        told = bool(history.hours) and day - 35 > history.front - 91
        return not told or _is_met(change_of_usage(history, day).get("usage_change"), condition)
    if feature == "payment_failed_days":
        return _was_unpaid(view, condition, opened_at=opened_at)
    if feature in {"nps", "csat"}:
        answered = history.time(feature)
        told = answered is None or answered <= opened_at
        return not told or _is_met(survey_score(history, feature, day=day), condition)
    return feature not in OF_JOURNEY or _was_behind(view, condition, opened_at=opened_at)


def _was_behind(view: View, condition: Condition, *, opened_at: int) -> bool:
    feature, stood = condition["feature"], view.standing(opened_at)
    if feature in OF_GOAL:
        return is_untold(view.history, opened_at) or _is_met(view.goal(opened_at)[0].get(feature), condition)
    untold = stood.since is None or stood.since > stood.day
    return untold or _is_met(stood.features().get(feature), condition)


def _was_unpaid(view: View, condition: Condition, *, opened_at: int) -> bool:
    history = view.history
    failed, paid = history.time("payment_failed_at"), history.time("invoice_paid_at")
    if failed is None or failed > opened_at:
        return True
    paid_by_then = paid is not None and failed <= paid <= opened_at
    return not paid_by_then and _is_met(history.day(opened_at) - history.day(failed), condition)


def _was_silent(view: View, opened_at: int) -> bool:
    history, since = view.history, view.history.last
    if not view.enough or since is None:
        return True
    if since > opened_at:
        hours = [(day, hour) for day, active in history.remembered().items() for hour in active]
        before = [slot for slot in hours if slot < (history.day(opened_at), history.hour(opened_at))]
        if not before:
            return True
        day, hour = max(before)
        since = day * 24 * HOUR + history.roll + hour * HOUR
    day = history.day(since)
    if max(day - 85, history.first_day) <= history.front - 91:
        return True
    deadline = deadline_after(history, since, alpha_permille=view.alpha_permille, calendars=view.calendars)
    return deadline <= opened_at


def _told(view: View, rule: Rule) -> list[Evidence]:
    told: list[Evidence] = []
    conditions = [*(rule.get("all") or []), *(rule.get("any") or [])]
    for feature in dict.fromkeys(condition["feature"] for condition in conditions):
        if feature == "silence":
            if view.deadline is not None and view.history.last is not None:
                last = view.history.last
                told.append(Evidence(feature=feature, value=view.t - last, normal=view.deadline - last))
        elif feature == "milestones_overdue" and view.features.get(feature):
            unmet = view.standing(view.t).unmet()
            told.append(Evidence(feature=feature, value=view.features[feature], unmet=unmet))
        elif feature in view.features:
            told.append(Evidence(feature=feature, value=view.features[feature]))
        if feature == "goal_pace" and "goal_behind_days" in view.features:
            told.append(Evidence(feature="goal_behind_days", value=view.features["goal_behind_days"]))
        if feature == "usage_change" and "usage_7" in view.features:
            normal = view.features["usage_normal_28"] // 4
            told.append(Evidence(feature="usage_7", value=view.features["usage_7"], normal=normal))
    if rule["based_on"] == "activity" and view.missed_since is not None:
        told.append(Evidence(feature="incomplete_data", value=view.t - view.missed_since))
    return told
