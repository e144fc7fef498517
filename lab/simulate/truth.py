"""The truth about simulated accounts, apart from their events: JSON lines, day after day.

risk      what an account risks at the start of a day: `hazard`, the chance to leave on it, and `churn_30`, `churn_60`
          and `churn_90`, the chance to have left so many days later, given its own future
story     a story begins; it is over on the day `until` (null: it lasts for good)
churned   the account cancelled on this day
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from lab.simulate.hazard import Risk
from lab.simulate.scene import Scene
from lab.simulate.stories import NEVER, Story


class AtRisk(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="risk"):
    """Probabilities of 0-1, to nine decimals for a day and six for a horizon; `day` is YYYY-MM-DD."""

    account: str
    day: str
    hazard: float
    churn_30: float
    churn_60: float
    churn_90: float


class Began(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="story"):
    """`story` is a name of `Story` in lower case."""

    account: str
    day: str
    story: str
    until: str | None


class Churned(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="churned"):
    """The account's last day."""

    account: str
    day: str


Truth = AtRisk | Began | Churned


def truth_lines(scene: Scene, risk: Risk) -> bytes:
    """Return the lines of a day: stories that begin, what each customer risks, who leaves."""
    today, names = scene.vendor.date(scene.day), scene.population.names
    lines = [msgspec.json.encode(began).decode() + "\n" for began in began_on(scene)]
    rows = np.flatnonzero(scene.here)
    columns = zip(rows.tolist(), risk.today[rows].tolist(), *risk.within[:, rows].tolist(), strict=True)
    lines += [
        f'{{"kind":"risk","account":"{names[row]}","day":"{today}","hazard":{hazard:.9f},'
        f'"churn_30":{in_30:.6f},"churn_60":{in_60:.6f},"churn_90":{in_90:.6f}}}\n'
        for row, hazard, in_30, in_60, in_90 in columns
    ]
    lines += [
        msgspec.json.encode(Churned(account=names[row], day=today)).decode() + "\n"
        for row in np.flatnonzero(scene.leaves).tolist()
    ]
    return "".join(lines).encode()


def began_on(scene: Scene) -> Iterator[Began]:
    """Yield the stories of customers that begin on a day."""
    lives, vendor = scene.lives, scene.vendor
    for story, row in np.argwhere(lives.began & scene.here).tolist():
        until = int(lives.until[story, row])
        yield Began(
            account=scene.population.names[row],
            day=vendor.date(scene.day),
            story=Story(story).name.lower(),
            until=None if until == NEVER else vendor.date(until),
        )


def truths_in(path: Path) -> Iterator[Truth]:
    """Yield what a truth file tells, in its order: day after day, and of each the stories, risks and leavers."""
    decoder = msgspec.json.Decoder(Truth)
    with path.open("rb") as file:
        for line in file:
            yield decoder.decode(line)
