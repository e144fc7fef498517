"""A history scored at cut-offs: each score is what the oracle publishes there when every day of the log is judged."""

import copy
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab import oracle
from lab.importing.mapping import Row
from lab.importing.records import Held, Lines
from lab.oracle_records import Record
from lab.score_history.cutoffs import Cutoff
from lab.score_history.replay import Score, scores_at
from services.scorer.core.compile import compile_bundle
from shared.contracts.events import tick_record, wire_time
from shared.contracts.health import Band
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, START

ACCOUNTS = ("acme", "globex", "初音", "initech")


def life(rng: random.Random) -> list[Row]:
    """Return rows of some accounts in no order: rhythms, pauses, thin accounts, events at 00:00 sharp."""
    found: list[tuple[str, int, str, str | None, str | None]] = []
    for account in rng.sample(ACCOUNTS, rng.choice((1, 2, 3))):
        begin, days = rng.randrange(20), rng.choice((1, 5, 40, 130))
        chance, users = rng.choice((0.1, 0.5, 0.95)), rng.choice((1, 4))
        silent = range(begin + days // 2, begin + days // 2 + rng.choice((0, 10, 60)))
        for day in range(begin, begin + days):
            if day in silent or rng.random() > chance:
                continue
            for _ in range(rng.choice((1, 1, 4))):
                at = START + day * DAY + rng.choice((0, rng.randrange(DAY)))
                name = rng.choice(("Export", "Report", None))
                found.append((account, at, rng.choice(("login", "usage")), f"u{rng.randrange(users)}", name))
    rng.shuffle(found)
    return [(n, account, at, kind, "web", user, name, None) for n, (account, at, kind, user, name) in enumerate(found)]


def cutoffs_of(rng: random.Random) -> list[Cutoff]:
    moments = [START + rng.randrange(160) * DAY + rng.choice((0, 0, 0, 5 * HOUR)) for _ in range(4)]
    return [Cutoff(account=account, at=at, text=wire_time(at)) for at in set(moments) for account in ACCOUNTS]


def by_oracle(rows: list[Row], cutoffs: list[Cutoff], bundle: oracle.Bundle) -> dict[tuple[str, int], Score]:
    """Return what a log with a tick every day and at every cut-off, all with a configuration, published last."""
    held = Held()
    for row in rows:
        held.take(row)
    columns = held.rows()
    lines = Lines(held, columns)
    asked = {cutoff.at for cutoff in cutoffs}
    moments = sorted({*asked, *range(START - DAY, max(asked) + 1, DAY)})
    # of one moment the tick comes first: a cut-off takes what lies strictly before it
    log = sorted([(at, 0, -1) for at in moments] + [(at, 1, row) for row, at in enumerate(columns[:, 0].tolist())])
    records = [
        Record(offset=offset, ts=at, value=tick_record(at, context=0) if row < 0 else lines.of(row))
        for offset, (at, _, row) in enumerate(log)
    ]
    result = oracle.run(records, partition=0, partitions=1, contexts={0: bundle})
    latest: dict[str, Score] = {}
    found: dict[tuple[str, int], Score] = {}
    for evaluation in result.evaluations:
        for account, health in evaluation.healths.items():
            latest[account] = Score(health=health.health, band=health.band, evidence_days=health.evidence_days)
        found |= {(account, evaluation.at): score for account, score in latest.items()}
    return found


def without_minimum(bundle: oracle.Bundle) -> oracle.Bundle:
    """Return the bundle under which no evidence is too thin; silence is known with enough of it alone (§6)."""
    evidence = {"days": 1, "active_days": 1}
    scorecard: dict[str, Any] = {**copy.deepcopy(bundle.scorecard), "evidence": evidence}
    for some in (scorecard, *scorecard.get("scorecards", {}).values()):
        for dimension in some["dimensions"].values():
            dimension["measures"].pop("silence", None)
    return oracle.Bundle(version=bundle.version, scorecard=scorecard, rules=bundle.rules)


@pytest.mark.parametrize("number", [0, 3])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None)
@given(st.integers(0, 2**32).map(random.Random))
def test_every_score_is_the_oracles(number: int, rng: random.Random) -> None:
    rows, cutoffs, bundle = life(rng), cutoffs_of(rng), bundles()[number]
    held = Held()
    for row in rows:
        held.take(row)
    compiled = compile_bundle(bundle.version, {"scorecard": bundle.scorecard, "rules": bundle.rules})
    found = dict(scores_at(cutoffs, history=held, bundle=compiled, tell=lambda _: None))
    judged, provisional = (by_oracle(rows, cutoffs, one) for one in (bundle, without_minimum(bundle)))
    assert sorted(found, key=cutoffs.index) == cutoffs
    for cutoff, score in found.items():
        place = cutoff.account, cutoff.at
        unheard = Score(health=None, band=Band.UNKNOWN, evidence_days=0)
        theirs = judged.get(place, unheard)
        assert (score.band, score.evidence_days) == (theirs.band, theirs.evidence_days)
        assert score.health == (provisional.get(place, unheard) if theirs.health is None else theirs).health
