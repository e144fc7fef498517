"""Say everything a reader of an alert reads: the only file to translate."""

from collections.abc import Mapping
from typing import Final

from services.alerts.core.explain import Cause
from services.alerts.core.routing import Note
from shared.contracts.alerts import AlertState, Verdict
from shared.contracts.health import Band
from shared.contracts.journey import Progress, Unmet
from shared.contracts.notices import NoticeKind
from shared.contracts.risk import Severity

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

SEVERITY: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "critical",
    Severity.AT_RISK: "at risk",
    Severity.OPPORTUNITY: "an opportunity",
}
BAND: Final[Mapping[Band, str]] = {
    Band.UNKNOWN: "unknown",
    Band.CRITICAL: "critical",
    Band.AT_RISK: "at risk",
    Band.WATCH: "watch",
    Band.HEALTHY: "healthy",
}
ENDED: Final[Mapping[AlertState, str]] = {
    AlertState.RESOLVED: "resolved",
    AlertState.WITHDRAWN: "withdrawn",
    AlertState.EXPIRED: "closed",
}
END_REASON: Final[Mapping[AlertState, str]] = {
    AlertState.RESOLVED: "what raised this alert is over",
    AlertState.WITHDRAWN: "data that came late show that it was not so",
    AlertState.EXPIRED: "the contract or the account ended",
}
NOTE: Final[Mapping[Note, str]] = {
    Note.NO_OWNER: "This comes here because the account has no owner. Send one as the trait `owner` of a group call.",
    Note.UNKNOWN_OWNER: "This comes here because its owner, {owner}, is unknown here.",
    Note.AWAY: "This comes to you because {owner} is on leave and you stand in.",
    Note.UNKNOWN_CONTACT: "This comes here because the contact of its stage, {contact}, is unknown here.",
    Note.CONTACT_AWAY: "This comes to you because {contact}, the contact of its stage, is on leave and you stand in.",
    Note.UNREACHABLE: "This comes here because the place it was meant for can't be reached.",
}
MEASURE: Final[Mapping[str, str]] = {
    "recency_days": "Days since last use",
    "silence": "Silence against its own rhythm",
    "active_days_28": "Active days in 28",
    "active_days_91": "Active days in 91",
    "active_days": "Active days in 91",
    "active_days_change": "Active days against the month before",
    "events_28": "Events in 28 days",
    "hand_use_28": "Use by hand in 28 days",
    "hand_use_change": "Use by hand against the month before",
    "usage_normal_28": "Events in its last normal weeks",
    "usage_change": "Usage against its own normal",
    "users_28": "Users in 28 days",
    "top_3_users_share": "Share of the three most active users",
    "seats_used": "Seats used",
    "features_used": "Key features used",
    "outcomes_28": "Outcomes in 28 days",
    "outcomes_91": "Outcomes in 91 days",
    "days_since_admin_action": "Days since administration",
    "days_since_error": "Days since an error",
    "days_since_ticket": "Days since a ticket",
    "renewal_days": "Days to the renewal",
    "payment_ok": "Payments",
    "contract_ok": "Contract",
    "milestones_met": "Milestones met",
    "goal_pace": "Done for its goal, of what is needed by now",
    "tenure_days": "Days as a customer",
    "sentiment": "Relationship, as last judged",
    "nps": "NPS",
    "csat": "CSAT",
    "ces": "CES",
    "renewal_in_doubt": "At risk, and its renewal is near",
    "stays_at_risk": "At risk for two weeks",
    "seats_nearly_all_used": "Nearly all seats are used",
    "use_rises": "People use it more and more",
}

CHANGES: Final = frozenset({"usage_change", "active_days_change", "hand_use_change"})
"""Measures that say by how much something changed: shown with their sign."""
IN_PERCENT: Final = CHANGES | {"seats_used", "features_used", "top_3_users_share", "milestones_met", "goal_pace"}
"""Measures in thousandths."""
IN_WORDS: Final[Mapping[str, Mapping[int, str]]] = {
    "payment_ok": {0: "failed", 1: "in order"},
    "contract_ok": {0: "notice given", 1: "in force"},
    "band": {1: BAND[Band.CRITICAL], 2: BAND[Band.AT_RISK], 3: BAND[Band.WATCH], 4: BAND[Band.HEALTHY]},
}
CAME: Final[Mapping[Cause, str]] = {
    Cause.DATA: "not known before",
    Cause.SCORECARD: "counts since the scorecard changed",
    Cause.STAGE: "counts at the account's new stage or segment",
    Cause.EVIDENCE: "there was not enough evidence before",
    Cause.ENDED: "the contract or the account had ended before",
}
WENT: Final[Mapping[Cause, str]] = {
    Cause.DATA: "not known any more",
    Cause.SCORECARD: "does not count since the scorecard changed",
    Cause.STAGE: "does not count at the account's new stage or segment",
    Cause.EVIDENCE: "there is not enough evidence any more",
    Cause.ENDED: "the contract or the account ended",
}

LIST_INTRO: Final[Mapping[NoticeKind, str]] = {
    NoticeKind.STANDING_LIST: "These accounts were at risk before Churnwatch began to judge them, the largest first. "
    "Nothing new happened: only what changes from now on will interrupt you.",
    NoticeKind.DAILY_LIST: "Churnwatch only observes for now. It found these accounts at risk since the last list, "
    "the largest first, and would have told you of each.",
    NoticeKind.GROWTH_LIST: "These accounts may grow, the largest first. Nothing is wrong with them.",
}
INCIDENT: Final[Mapping[NoticeKind, str]] = {
    NoticeKind.INCIDENT: "{what} fell silent",
    NoticeKind.HOLD_ENDED: "{what} is still silent: its accounts are judged on incomplete data",
}
INCIDENT_TEXT: Final[Mapping[NoticeKind, str]] = {
    NoticeKind.INCIDENT: "Nothing came of it since before {since}, for {accounts} accounts at once. Their rules are "
    "held: no customer success manager is told that these customers are gone. Is the app up, and does its SDK reach "
    "the ingest?",
    NoticeKind.HOLD_ENDED: "Nothing came of it for four hours, and rules are held no longer than that. Its {accounts} "
    "accounts are judged again, and every alert says that it was judged on incomplete data. Bring the source back.",
}
SOURCE_BACK: Final = "{what} is back"
SOURCE_BACK_TEXT: Final = (
    "Events came again by {until}. The rules of its accounts are judged as ever; whoever really stopped in that time "
    "is told of now."
)
VERDICT: Final[Mapping[Verdict, str]] = {Verdict.RIGHT: "{by}: this was right", Verdict.NOT_A_RISK: "{by}: not a risk"}
BUTTON: Final[Mapping[str, str]] = {"ack": "Acknowledge", "right": "Right", "not_a_risk": "Not a risk"}
REACHED: Final = "Mark '{milestone}' as reached"
REACHED_TITLE: Final = "Is it reached?"
REACHED_ASKED: Final = "You say that '{milestone}' is reached. This can't be taken back."
REACHED_YES: Final = "It is reached"
REACHED_NO: Final = "Not yet"
WORD: Final = "{by}: '{milestone}' is reached"
LISTED_OVER: Final = "over"
ACCOUNT: Final = "Account"
HEALTH: Final = "Health"
OWNER: Final = "Owner"
AT_STAKE: Final = "At stake"
RENEWAL: Final = "Renewal"
NOT_KNOWN: Final = "not known"
COSTS: Final = "What cost most points"
OTHER_COSTS: Final = "Everything else"
STEPS: Final = "Next steps"
PLAYBOOK: Final = "playbook"
SUBJECT: Final = "{name}: {state}"
REPLY: Final = "{name} got worse: now {severity}"


def list_title(kind: NoticeKind, accounts: int) -> str:
    """Return the title of a list."""
    what = {
        NoticeKind.STANDING_LIST: "were at risk already",
        NoticeKind.GROWTH_LIST: "may grow",
    }.get(kind, "found at risk while observing")
    return f"{accounts} {'account' if accounts == 1 else 'accounts'} {what}"


def source(name: str) -> str:
    return f"Source {name}"


def event_of(name: str, event: str) -> str:
    """Return what is missing where only one event name of a source is."""
    return f"Event {event} of source {name}"


def more_accounts(count: int) -> str:
    """Return that a list goes on, and where."""
    return f"… and {count} more: GET /v1/alerts?state=open lists all of them."


def health(milli: int | None, band: Band) -> str:
    """Return `41.2 of 100, at risk`; without health only that it is not known."""
    if milli is None:
        return "not enough evidence yet"
    return f"{points(milli)} of 100, {BAND[band]}"


def points(milli: int) -> str:
    """Return milli-points with one decimal, rounded towards zero."""
    sign = "\N{MINUS SIGN}" if milli < 0 else ""
    return f"{sign}{abs(milli) // 1000}.{abs(milli) % 1000 // 100}"


def moved_points(milli: int) -> str:
    """Return milli-points with their sign, as `points` rounds them."""
    return points(milli) if milli < 0 else f"+{points(milli)}"


def measured(measure: str, value: int | None) -> str:
    """Return the value of a measure in its own unit; None is not known."""
    if value is None:
        return NOT_KNOWN
    if measure in IN_WORDS:
        return IN_WORDS[measure].get(value, f"{value}")
    number = f"{abs(value) // 10} %" if measure in IN_PERCENT else f"{abs(value):,}"
    sign = "\N{MINUS SIGN}" if value < 0 else "+" if measure in CHANGES else ""
    return sign + number


def value_moved(label: str, *, then: str, now: str) -> str:
    """Return how a value moved."""
    return f"{label}: {then}, now {now}" if then != now else f"{label}: still {now}"


def with_cause(label: str, *, value: str, cause: str) -> str:
    """Return a value that counts in one of two healths only, and why."""
    return f"{label}: {value}, {cause}"


def moved_by(what: str, *, change: str, by_weight: str | None) -> str:
    """Return what moved and by how many points; `by_weight` is the part due to other weights."""
    if by_weight is None:
        return f"{what} ({change})"
    part = "" if by_weight == change else f", of it {by_weight}"
    return f"{what} ({change}{part} by its weight)"


def cost(label: str, *, lost: str, possible: str) -> str:
    """Return one line of what a measure cost."""
    return f"{label}: \N{MINUS SIGN}{lost} of {possible}"


def cost_sum(health_points: str, lost: str) -> str:
    """Return the line that adds the costs up."""
    return f"100 \N{MINUS SIGN} {lost} = {health_points}"


def money(amount: int | None, currency: str | None) -> str:
    """Return an annual amount with its currency."""
    if amount is None:
        return f"ARR {NOT_KNOWN}"
    return f"{currency + ' ' if currency else ''}{amount:,} a year"


def since_last_activity(value: int) -> str:
    return f"No activity for {duration(value)}"


def silence_normal(normal: int, alpha_permille: int) -> str:
    """Return how unusual the silence is; the rule's alpha is false openings an account and 28 days."""
    months = max(1, 1000 // alpha_permille)
    return (
        f"By this account's own rhythm, more than {duration(normal)} without any"
        f" is expected less than once in {months} months"
    )


def usage_change(permille: int) -> str:
    sign = "\N{MINUS SIGN}" if permille < 0 else "+"
    return f"Usage {sign}{abs(permille) // 10} %"


def usage_normal(value: int, normal: int) -> str:
    return f"{value:,} events in the last 7 full days, normally {normal:,}"


def payment_failed(days: int) -> str:
    return "A payment failed today" if days == 0 else f"A payment failed {_days(days)} ago"


PAYMENT_DETAIL: Final = "No invoice was paid since"


def judged_incomplete(ms: int) -> str:
    return f"Judged on incomplete data: a source of this account's events is missed for {duration(ms)}"


NOTICE_GIVEN: Final = "Notice is given"


def champion_gone(days: int) -> str:
    """Return for how long the most active user is gone beyond what is usual."""
    return f"Its most active user is gone, {_days(days)} longer than its own week and a week off explain"


CHAMPION_DETAIL: Final = "Others go on using it"


def exports_spike(permille: int) -> str:
    """Return how much more is exported; a week of none counts as one export."""
    return f"Exports are {permille // 1000} times the usual"


def users_removed(count: int, *, days: int) -> str:
    return f"{count:,} {'user was' if count == 1 else 'users were'} removed in {days} days"


def survey_score(name: str, value: int) -> str:
    return f"{name.upper()} score {value}"


SURVEY_DETAIL: Final[Mapping[str, str]] = {"nps": "A detractor: 0 to 6 of 10", "csat": "Of 5"}


def overdue(unmet: Unmet) -> str:
    """Return for how long a milestone is overdue, and what it lacks."""
    needs = [_progress(need) for need in unmet.all_of]
    if unmet.any_of:
        any_of = ", or ".join(map(_progress, unmet.any_of))
        needs.append(f"one of {any_of}" if len(unmet.any_of) > 1 else any_of)
    lacks = "; ".join(needs) or "somebody's word that it is reached"
    return f"{unmet.stage.capitalize()}: '{unmet.milestone}' is {_days(unmet.days)} overdue: needs {lacks}"


def behind_goal(pace: int) -> str:
    return f"Its goal is behind plan: {pace // 10} % of what is needed by now is done"


def goal_behind(days: int | None) -> str:
    """Return how late a goal is reached at its pace so far, None where nothing is done yet."""
    if days is None:
        return "Nothing is done yet"
    return f"At this pace it is reached {_days(days)} late" if days > 0 else "At this pace it is reached in time"


def asked(unmet: Unmet) -> str | None:
    """Return whom to ask about the stage of a milestone, and where."""
    known = " in ".join(part for part in (unmet.contact, unmet.channel) if part)
    return f"Ask {known}" if known else None


def _progress(need: Progress) -> str:
    if need.users == 1:
        return f"`{need.event}`"
    return f"`{need.event}` by {need.users} users, {need.so_far} so far"


def evidence(feature: str, value: int, normal: int | None) -> str:
    """Return a number of a rule that has no words of its own."""
    usually = "" if normal is None else f", normally {normal:,}"
    return f"{label(feature)}: {measured(feature, value)}{usually}"


def precision(stated_percent: int | None) -> str:
    """Return how often the rule was right, as far as that is known."""
    stated = "" if stated_percent is None else f"{stated_percent} %, stated by its author, "
    return f"Precision of this rule: {stated}not yet measured"


def label(name: str) -> str:
    """Return how a measure, feature or rule is called."""
    return MEASURE.get(name) or name.replace("_", " ").capitalize()


def opened(at: str) -> str:
    return f"Open since {at}"


def acknowledged(by: str, at: str) -> str:
    return f"Acknowledged by {by}, {at}"


def ended(state: AlertState, at: str) -> str:
    return f"{ENDED[state].capitalize()} {at}: {END_REASON[state]}"


def reason_over(headline: str) -> str:
    return f"{headline} (over)"


def more_reasons(count: int) -> str:
    return f"and {count} more"


def duration(ms: int) -> str:
    """Return a length in its two largest units: `3 d 4 h`, `5 h 20 min`, `12 min`."""
    days, rest = divmod(max(0, ms), DAY_MS)
    hours, rest = divmod(rest, HOUR_MS)
    minutes = rest // MINUTE_MS
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
