"""One day of a vendor, before anything of it is told: who is there, who works, who leaves."""

from dataclasses import dataclass

import numpy as np

from lab.simulate.conduct import Conduct, conduct_of
from lab.simulate.hazard import probability, rates
from lab.simulate.places import date_of, is_closed
from lab.simulate.population import Population
from lab.simulate.stories import Lives
from lab.simulate.vendor import Dice, Flags, Vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Day number `day`: who is a customer at its start (N), who leaves on it (N), whose country doesn't rest (N)."""

    vendor: Vendor
    population: Population
    lives: Lives
    conduct: Conduct
    day: int
    here: Flags
    leaves: Flags
    works: Flags


def scene_of(vendor: Vendor, population: Population, lives: Lives, *, day: int, gone: Flags) -> Scene:
    """Return the day the lives are at; of those not gone who leave is drawn with the true hazard."""
    here = ~gone & (population.joined <= day)
    chance = probability(rates(population, lives, day=day))
    date = date_of(vendor.midnight(day))
    closed = np.array([is_closed(country, date) for country in vendor.countries])
    return Scene(
        vendor=vendor,
        population=population,
        lives=lives,
        conduct=conduct_of(population, lives),
        day=day,
        here=here,
        leaves=here & (vendor.dice(Dice.LEAVING, day).random(len(population)) < chance),
        works=~closed[population.country],
    )
