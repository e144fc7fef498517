"""What the stories of the accounts do to what their people and programs do on a day."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.simulate.population import Population
from lab.simulate.stories import FALLS, QUARTER_DAYS, Lives, Story, fade
from lab.simulate.vendor import Flags, Floats, Ints

RAMP_DAYS: Final = 30
STALLED: Final = 0.2
"""What of their usual work people do where the onboarding stalls."""
LEFT_BY_HAND: Final = 0.25
AUTOMATED: Final = 1.3
"""What programs do after the roll-out, against what all people did before."""
REMOVED_A_DAY: Final = 0.3
LEAST_OUTCOMES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Of each account (N): `hand` and `champion` are factors of what its people, and of what its champion alone, do.

    `staying` is how many users are not removed, `removing` how many are today. `automation`, `exports`, `admin`,
    `errors`, `tickets` and `outcomes` are expected events a day besides the routine, all but the first on a workday;
    `closes` is the share of tickets that are closed on their day.
    """

    hand: Floats
    champion: Floats
    staying: Ints
    removing: Ints
    automation: Floats
    exports: Floats
    admin: Floats
    errors: Floats
    tickets: Floats
    closes: Floats
    outcomes: Floats


def conduct_of(population: Population, lives: Lives) -> Conduct:
    """Return how every account acts on the day its lives are at."""
    severity, running = lives.severity(), lives.running()
    here = 1 - severity[Story.SUDDEN_STOP]
    willing = here * (1 - severity[Story.GRADUAL_DECLINE]) * _onboarded(lives, running)
    hand = willing * (1 - (1 - LEFT_BY_HAND) * severity[Story.AUTOMATION_ROLLOUT])
    exits, trouble = severity[Story.EXIT_INTENT], severity[Story.SUPPORT_TROUBLE]
    volume, users = population.volume, population.users
    exiting = np.where(running[Story.EXIT_INTENT], 1 + lives.age(Story.EXIT_INTENT), 0)
    gone, gone_before = removed(population, exiting), removed(population, np.maximum(0, exiting - 1))
    return Conduct(
        hand=hand * _without_champion(population, lives, running),
        champion=np.where(running[Story.CHAMPION_LEAVES], 0.0, 1.0),
        removing=gone - gone_before,
        staying=users - gone,
        automation=here * (population.integration + AUTOMATED * volume * severity[Story.AUTOMATION_ROLLOUT]),
        exports=exits * (2 + 0.5 * volume),
        admin=exits * (3 + 0.01 * volume),
        errors=here * trouble * (1 + 0.1 * volume),
        tickets=here * (0.002 * users + trouble * (0.4 + 0.01 * users)),
        closes=np.where(running[Story.SUPPORT_TROUBLE], 0.3, 0.9),
        outcomes=np.minimum(1, willing) * _outcomes(population, lives),
    )


def removed(population: Population, days: Ints) -> Ints:
    """Return how many users of each account are removed after so many days of preparing to leave: at most half (N)."""
    wanted = np.floor(REMOVED_A_DAY * np.sqrt(population.users) * days).astype(np.int64)
    return np.minimum(population.users // 2, wanted)


def target_of(population: Population) -> Ints:
    """Return how many outcomes each account wants in a quarter (N)."""
    return np.maximum(LEAST_OUTCOMES, population.users)


def _onboarded(lives: Lives, running: Flags) -> Floats:
    """Return what share of the later work is done by people who only begin to know the product."""
    ramp = np.minimum(1, (1 + lives.age(Story.ONBOARDING)) / RAMP_DAYS)
    begun = np.where(running[Story.ONBOARDING], ramp, 1.0)
    return np.where(running[Story.STALLED_ONBOARDING], STALLED, begun)


def _without_champion(population: Population, lives: Lives, running: Flags) -> Floats:
    """Return the factor of the others: they take over what the champion did, or do less from day to day."""
    story = Story.CHAMPION_LEAVES
    falls = lives.strength[story] < FALLS
    others = np.where(
        falls,
        np.maximum(0.3, fade(lives.strength[story]) ** lives.age(story)),
        1 / (1 - population.champion_share),
    )
    return np.where(running[story], others, 1.0)


def _outcomes(population: Population, lives: Lives) -> Floats:
    """Return the outcomes of a workday: in a quarter clearly more than the goal, or clearly less."""
    workdays = QUARTER_DAYS * 5 / 7
    return np.where(lives.aims, 1.6, 0.4) * target_of(population) / workdays
