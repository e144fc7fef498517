"""Say what the rules see of several of the demo's pasts: `python -m lab.demo.seen [--seeds 5] [--shipped]`."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lab.demo.configuration import SHIPPED, write_configuration
from lab.demo.history import replayed
from lab.demo.leavers import Leavers, words_of
from lab.demo.vendor import past_of
from lab.feature_history import configuration
from lab.simulate.stories import Story
from lab.simulate.vendor import DAY, MONDAY
from services.scorer.core.bundle import CompiledBundle

NOW: Final = MONDAY + 100 * DAY


def main() -> None:
    """Print who was named in each past, and how many by what was under way when they left."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo.seen", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many pasts")
    parser.add_argument("--shipped", action="store_true", help="without the names of the vendor's events")
    told = parser.parse_args()
    with TemporaryDirectory() as folder:
        bundle = configuration(SHIPPED if told.shipped else write_configuration(Path(folder)))
    found = []
    for seed in range(1, told.seeds + 1):
        found.append(leavers(seed, bundle=bundle))
        print(f"{seed}: {words_of(found[-1])}")
    for story in Story:
        left, named = (sum(one.stories.get(story, (0, 0))[k] for one in found) for k in (0, 1))
        if left:
            print(f"{story.name.lower():20} {named:3} of {left:3}")
    blue = [(one.left - one.pressed, one.named - one.foreseen) for one in found]
    print(f"{'out of the blue':20} {sum(named for _, named in blue):3} of {sum(left for left, _ in blue):3}")
    print(f"{'all who left':20} {sum(one.named for one in found):3} of {sum(one.left for one in found):3}")
    print(f"{'stayed undisturbed':20} {sum(one.disturbed for one in found):3} of {sum(one.steady for one in found):3}")


def leavers(seed: int, *, bundle: CompiledBundle) -> Leavers:
    """Return who is named in the past of a seed."""
    past = past_of(now=NOW, seed=seed)
    return replayed(past, bundle=bundle, now=NOW).leavers


if __name__ == "__main__":
    main()
