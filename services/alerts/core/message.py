"""Say an alert to a person: what changed, what it is worth, what to do; the same for every channel."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from services.alerts.core import words
from services.alerts.core.alert import OPEN_STATES
from services.alerts.core.routing import Note
from services.alerts.core.stage import asked_by, unmet
from shared.contracts.alerts import Alert, AlertState, Reason, Word
from shared.contracts.health import Contribution
from shared.contracts.playbook import Playbook
from shared.contracts.risk import INCOMPLETE, Evidence

REASONS_SHOWN: Final = 8
MILESTONES_SHOWN: Final = 3
COSTS_SHOWN: Final = 3
NAME_LENGTH: Final = 100
HEADLINE_LENGTH: Final = 300


class Tone(StrEnum):
    """How a message looks."""

    CRITICAL = "critical"
    AT_RISK = "at_risk"
    OPPORTUNITY = "opportunity"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What a message says beyond the alert itself: configuration."""

    playbooks: Mapping[str, Playbook]
    alpha_permille: int
    """False openings of the silence rule an account and 28 days, in thousandths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One reason: a headline and, where there is one, what is normal for this account."""

    headline: str
    detail: str | None
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An alert in words. Every string is free of control and direction characters, and unescaped."""

    alert: str
    account: str
    name: str
    title: str
    tone: Tone
    points: Sequence[Point]
    more: str | None
    health: str
    costs: Sequence[str]
    cost_sum: str | None
    worth: str
    renewal: str
    owner: str | None
    steps: Sequence[str]
    playbook_url: str | None
    precision: str
    status: str
    note: str | None
    verdict: str | None
    """What a person said of the alert."""
    words: Sequence[str]
    """What people said is reached."""
    assertable: Sequence[str]
    """Milestones, as the journey calls them, that somebody may say are reached."""
    account_id: str
    """As buttons name the account: not for people."""
    can_be_acknowledged: bool
    worsened: str
    """What a thread reply says when the alert became critical."""


def message_of(alert: Alert, background: Background, *, note: Note | None = None) -> Message:
    """Return what an alert says at its revision; `note` tells why the message lies where it lies."""
    name = clean(alert.attributes.name or alert.account)
    reasons = _shown(alert)
    shown = reasons[:REASONS_SHOWN]
    lines, total = costs(alert.contributions)
    playbook = _playbook(reasons, background.playbooks)
    owner = clean(alert.attributes.owner or "") or None
    named = {"owner": owner, "contact": clean(asked_by(alert).contact or words.NOT_KNOWN)}
    return Message(
        alert=alert.id,
        account=clean(alert.account),
        name=name,
        title=words.SUBJECT.format_map({"name": name, "state": _state(alert)}),
        tone=_tone(alert),
        points=[_point(reason, background, over=reason in alert.ended) for reason in shown],
        more=words.more_reasons(len(reasons) - len(shown)) if len(reasons) > len(shown) else None,
        health=words.health(alert.health, alert.band),
        costs=lines,
        cost_sum=total,
        worth=clean(words.money(alert.attributes.arr, alert.attributes.currency)),
        renewal=clean(alert.attributes.renewal_date or words.NOT_KNOWN),
        owner=owner,
        steps=[clean(step, 500) for step in playbook.steps[:8]] if playbook and alert.state in OPEN_STATES else [],
        playbook_url=playbook.url if playbook else None,
        precision=words.precision(reasons[0].precision_percent if reasons else None),
        status=clean(_status(alert), 300),
        note=words.NOTE[note].format_map(named) if note else None,
        verdict=_verdict(alert),
        words=[_word(word) for word in alert.words[-MILESTONES_SHOWN:]],
        assertable=_assertable(alert),
        account_id=alert.account,
        can_be_acknowledged=alert.state is AlertState.OPEN,
        worsened=words.REPLY.format_map({"name": name, "severity": words.SEVERITY[alert.severity]}),
    )


def clean(text: str, limit: int = NAME_LENGTH) -> str:
    """Return text as one line without control, direction, surrogate or private characters, cut to `limit`."""
    kept = "".join(" " if c.isspace() or unicodedata.category(c)[0] == "Z" else c for c in text)
    kept = "".join(c for c in kept if unicodedata.category(c)[0] != "C")
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def costs(contributions: Sequence[Contribution]) -> tuple[Sequence[str], str | None]:
    """Return a line for each measure that cost most, and the sum; shown tenths always add up to the health.

    Without contributions there is nothing to add up.
    """
    if not contributions:
        return [], None
    health = sum(c.points for c in contributions) // 100
    by_cost = sorted(contributions, key=lambda c: (c.points - c.possible, c.measure))
    top = [c for c in by_cost[:COSTS_SHOWN] if c.possible - c.points >= 100]
    lost = [(c.possible - c.points) // 100 for c in top]
    rest = 1000 - health - sum(lost)
    others = sum(c.possible for c in contributions) - sum(c.possible for c in top)
    if lost and 100 * rest > others:  # nothing is left but what rounding took away
        lost[0], rest = lost[0] + rest, 0
    lines = [
        words.cost(clean(words.label(c.measure)), lost=words.points(100 * tenths), possible=words.points(c.possible))
        for c, tenths in zip(top, lost, strict=True)
    ]
    if lost and rest > 0:
        lines.append(words.cost(words.OTHER_COSTS, lost=words.points(100 * rest), possible=words.points(others)))
    return lines, words.cost_sum(words.points(100 * health), words.points(100 * (1000 - health)))


def moment(at_ms: int) -> str:
    """Return epoch milliseconds as a moment in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _shown(alert: Alert) -> Sequence[Reason]:
    return [*alert.reasons, *reversed(alert.ended)]


def _state(alert: Alert) -> str:
    return words.SEVERITY[alert.severity] if alert.state in OPEN_STATES else words.ENDED[alert.state]


def _tone(alert: Alert) -> Tone:
    if alert.state not in OPEN_STATES:
        return Tone.OVER
    return Tone(alert.severity)


def _status(alert: Alert) -> str:
    if alert.state in words.ENDED:
        return words.ended(alert.state, moment(alert.ended_at or alert.changed_at))
    if alert.state is AlertState.ACKNOWLEDGED:
        return words.acknowledged(alert.acknowledged_by or words.NOT_KNOWN, moment(alert.acknowledged_at or 0))
    return words.opened(moment(alert.opened_at))


def _verdict(alert: Alert) -> str | None:
    if alert.verdict is None:
        return None
    return clean(words.VERDICT[alert.verdict].format_map({"by": clean(alert.verdict_by or words.NOT_KNOWN)}), 300)


def _word(word: Word) -> str:
    said = {"by": clean(word.by), "milestone": clean(word.milestone)}
    return clean(words.WORD.format_map(said), 300)


def _assertable(alert: Alert) -> Sequence[str]:
    """Return the milestones that open reasons lack and of which nobody gave their word yet."""
    lacked = dict.fromkeys(one.milestone for one in unmet(alert.reasons))
    said = {word.milestone for word in alert.words}
    return [name for name in lacked if name not in said][:MILESTONES_SHOWN]


def _playbook(reasons: Sequence[Reason], playbooks: Mapping[str, Playbook]) -> Playbook | None:
    names = (reason.playbook for reason in reasons if reason.playbook in playbooks)
    return next((playbooks[name] for name in names if name), None)


def _point(reason: Reason, background: Background, *, over: bool) -> Point:
    by = {e.feature: e for e in reason.evidence}
    headline, detail = _words_of(reason, by, background)
    if missed := by.get(INCOMPLETE):
        detail = ". ".join([*([detail] if detail else []), words.judged_incomplete(missed.value)])
    shown = clean(headline, HEADLINE_LENGTH)
    if over:  # the detail said how things were: "No invoice was paid since" is wrong once one is paid
        return Point(headline=words.reason_over(shown), detail=None, over=True)
    return Point(headline=shown, detail=detail, over=False)


def _words_of(reason: Reason, by: Mapping[str, Evidence], background: Background) -> tuple[str, str | None]:
    if silence := by.get("silence"):
        normal = silence.normal
        detail = None if normal is None else words.silence_normal(normal, background.alpha_permille)
        return words.since_last_activity(silence.value), detail
    if change := by.get("usage_change"):
        usage = by.get("usage_7")
        detail = words.usage_normal(usage.value, usage.normal) if usage and usage.normal is not None else None
        return words.usage_change(change.value), detail
    if failed := by.get("payment_failed_days"):
        return words.payment_failed(failed.value), words.PAYMENT_DETAIL
    if said := _of_journey(by) or _of_leaving(by):
        return said
    for name, detail in words.SURVEY_DETAIL.items():
        if score := by.get(name):
            return words.survey_score(name, score.value), detail
    others = [words.evidence(e.feature, e.value, e.normal) for e in reason.evidence if e.feature != INCOMPLETE]
    return words.label(reason.rule), clean("; ".join(others), 500) or None


def _of_leaving(by: Mapping[str, Evidence]) -> tuple[str, str | None] | None:
    if "contract_ok" in by:
        return words.NOTICE_GIVEN, None
    if champion := by.get("champion_silence"):
        return words.champion_gone(champion.value), words.CHAMPION_DETAIL
    if (spike := by.get("exports_spike")) and (removed := by.get("removals_14")):
        return words.exports_spike(spike.value), words.users_removed(removed.value, days=14)
    return None


def _of_journey(by: Mapping[str, Evidence]) -> tuple[str, str | None] | None:
    if (overdue := by.get("milestones_overdue")) and overdue.unmet:
        first, *others = [clean(words.overdue(unmet), HEADLINE_LENGTH) for unmet in overdue.unmet]
        told = [*others, words.asked(overdue.unmet[0])]
        return first, clean("; ".join(text for text in told if text), 500) or None
    if pace := by.get("goal_pace"):
        behind = by.get("goal_behind_days")
        return words.behind_goal(pace.value), words.goal_behind(behind.value if behind else None)
    return None
