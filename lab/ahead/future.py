"""Say what becomes of an account if nothing happens (docs/scoring.md §16)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lab.ahead.alone import Alone
from services.scorer.core.bundle import BANDS
from services.scorer.core.days import DAY
from shared.contracts.health import AccountHealth, Band
from shared.contracts.risk import Severity

SEVERITIES: Final = (Severity.AT_RISK, Severity.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an account stands: its band, and how severe each open episode is (place in SEVERITIES), by its rule."""

    band: Band
    episodes: Mapping[str, int]


NOT_AT_RISK: Final = Standing(band=Band.WATCH, episodes={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A moment, T = `now.at`, at which its band or its open episodes change if nothing happens."""

    before: AccountHealth
    now: AccountHealth

    @property
    def is_worse(self) -> bool:
        """Whether it stands worse than before."""
        return fell(self.now, since=standing(self.before))


def turns(account: Alone, *, days: int) -> Iterator[Turn]:
    """Yield every turn within `days` of now, going on with the account. Raises Trouble where nothing is known of it."""
    before = account.now()
    until = account.clock + days * DAY
    while account.next_at <= until:
        now = account.go_on(account.next_at)
        if now is None:
            continue
        if standing(now) != standing(before):
            yield Turn(before=before, now=now)
        before = now


def standing(health: AccountHealth) -> Standing:
    """Return how an account stands by its health."""
    episodes = {episode.rule: SEVERITIES.index(Severity(episode.severity)) for episode in health.episodes}
    return Standing(band=health.band, episodes=episodes)


def fell(health: AccountHealth, *, since: Standing) -> bool:
    """Say whether an account stands worse than it did: by its band, or by an episode that is new or more severe."""
    now = standing(health)
    lower = now.band is not Band.UNKNOWN and BANDS.index(now.band) < BANDS.index(since.band)
    return lower or any(level > since.episodes.get(rule, -1) for rule, level in now.episodes.items())
