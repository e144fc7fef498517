"""Write a suggestion as YAML to paste, with the figures behind each line."""

from collections.abc import Collection, Iterator

import yaml

from lab.sources.counts import Counted, Totals, UserSeen
from lab.sources.names import masked
from lab.sources.suggestion import LEAST_DAYS, Suggestion, percent

SHOWN = 10


def page(found: Suggestion, totals: Totals, *, source: str | None, known: Collection[str]) -> Iterator[str]:
    """Yield the lines; `known` are the key features of the scorecard as it is."""
    seen = f"{totals.events} events of {totals.users} users in {totals.accounts} accounts on {totals.days} days"
    yield f"# {seen}{f', source {source}' if source else ''}"
    if totals.days < LEAST_DAYS:
        yield f"# key features need at least {LEAST_DAYS} days of events: come back later, or import a history"
    yield from _features(found, totals, known)
    yield from _log_ins(found, source)
    yield from _hints(found)


def _features(found: Suggestion, totals: Totals, known: Collection[str]) -> Iterator[str]:
    yield "\n# config/scorecard.yaml"
    yield "key_features:" if found.key_features else "key_features: []"
    for one in found.key_features:
        already = "already there; " if one.name in known else ""
        yield f"  - {_scalar(one.name)}  # {already}{_figures(one, totals)}"
    if found.passed:
        yield "# not proposed:"
    for one, reason in found.passed[:SHOWN]:
        yield f"#   {masked(one.name)}: {reason}"
    if len(found.passed) > SHOWN:
        yield f"#   … and {len(found.passed) - SHOWN} more"


def _log_ins(found: Suggestion, source: str | None) -> Iterator[str]:
    if not found.log_ins:
        return
    yield "\n# config/sources.yaml: log-ins under other names, which count as usage until then"
    yield from ["sources:", f"  {source}:", "    events:"] if source else ["default:", "  events:"]
    for one in found.log_ins:
        indent = "      " if source else "    "
        yield f"{indent}{_scalar(one.name)}: Signed In  # {one.events} events of {one.users} users"


def _hints(found: Suggestion) -> Iterator[str]:
    if found.staff or found.robots or found.automatic:
        yield "\n# perhaps no customers: leave them out with `exclude` in config/sources.yaml (docs/sending-events.md)"
    for user in found.staff:
        yield f"# staff or impersonation? {_user(user)} was in {user.accounts} accounts, {user.events} events"
    for user in found.robots:
        yield f"# robot? {_user(user)} was active {user.hours_a_day:.0f} hours a day on {user.days} days"
    for one in found.automatic[:SHOWN]:
        yield f"# automatic? {masked(one.name)}: {one.events} events, {percent(one.by_users, one.events)} with a user"
    if found.personal:
        yield "\n# personal data or ids in event names: they are kept as they are, so rename these events at the sender"
    for one in found.personal[:SHOWN]:
        yield f"# {masked(one.name)}: {one.events} events"
    if len(found.personal) > SHOWN:
        yield f"# … and {len(found.personal) - SHOWN} more names"


def _figures(one: Counted, totals: Totals) -> str:
    return (
        f"{one.users} users, {percent(one.returned, one.users)} came back; "
        f"{one.accounts} accounts ({percent(one.accounts, totals.accounts)}); {one.days} days"
    )


def _user(user: UserSeen) -> str:
    return f"user {user.user[:15]}…"


def _scalar(text: str) -> str:
    """Return a text as one YAML scalar on one line."""
    return yaml.safe_dump(text, allow_unicode=True, width=10_000).splitlines()[0]
