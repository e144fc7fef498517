"""Say how an erasure ends the episodes of an account, as docs/scoring.md §4 and §9 have it."""

from collections.abc import Iterable

from lab.oracle_health import Episode
from shared.contracts.health import Attributes, Band
from shared.contracts.risk import Change, Transition, transition_id


def expiries(
    account: str, episodes: Iterable[Episode], *, at: int, place: tuple[int, int], bundle: str
) -> list[Transition]:
    """Return what is published of episodes that were open when their account was erased; `place` is the tick's."""
    return [
        Transition(
            id=transition_id(episode.id, change=Change.EXPIRED, at=at),
            episode=episode.id,
            account=account,
            rule=episode.rule,
            change=Change.EXPIRED,
            severity=episode.severity,
            at=at,
            opened_at=episode.opened_at,
            partition=place[0],
            offset=place[1],
            bundle=bundle,
            standing=False,
            playbook=None,
            band=Band.UNKNOWN,
            health=None,
            evidence=[],
            contributions=[],
            attributes=Attributes(),
        )
        for episode in sorted(episodes, key=lambda episode: episode.rule)
    ]
