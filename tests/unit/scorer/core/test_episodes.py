"""Only accounts of which some rule says something take room; others' coming and going changes nothing of them."""

import numpy as np

from services.scorer.core.episodes import Episodes

RULES = ["silence", "usage_drop"]


def say(episodes: Episodes, row: int, rule: str, *, opened: int) -> None:
    rows = np.array([row])
    known = episodes.of(rows)
    known["opened"][episodes.rules.index(rule), 0] = opened
    known["severity"][episodes.rules.index(rule), 0] = 1
    episodes.keep(rows, known)


def told(episodes: Episodes) -> list[tuple[int, str, int]]:
    columns = (column.tolist() for column in episodes.open())
    return [(row, episodes.rules[rule], opened) for row, rule, opened in zip(*columns, strict=True)]


def test_a_place_that_is_free_again_is_taken_by_the_next() -> None:
    episodes = Episodes(RULES)
    episodes.add(1000)
    say(episodes, 7, "silence", opened=70)
    say(episodes, 300, "usage_drop", opened=71)
    assert episodes.end(7) == {"silence": (70, 1)}
    say(episodes, 999, "usage_drop", opened=72)
    assert told(episodes) == [(300, "usage_drop", 71), (999, "usage_drop", 72)]
    assert episodes.end(7) == {}
    _, places = episodes.tables
    assert places.count == 2


def test_rules_that_go_take_their_episodes_along_but_for_accounts_that_are_ahead() -> None:
    episodes = Episodes(RULES)
    episodes.add(3)
    for row in range(3):
        say(episodes, row, "silence", opened=70)
    say(episodes, 1, "usage_drop", opened=71)
    ahead = np.array([False, False, True])
    now = episodes.under(["usage_drop", "detractor"], ahead=ahead)
    assert now.rules == ["usage_drop", "detractor", "silence"]
    assert told(now) == [(1, "usage_drop", 71), (2, "silence", 70)]
