"""`churnwatch train` learns from a simulated vendor who is about to leave, and says how well."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from lab.feature_history import DAY, configuration, moments
from lab.simulate.run import write
from lab.simulate.vendor import Vendor
from lab.train import Model, probabilities, train
from lab.trouble import Trouble

CONFIG = Path(__file__).parents[2] / "config"
VENDOR = Vendor(accounts=250, days=200, seed=5, user_events_a_day=0.3)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("vendor") / "events.jsonl"
    write(VENDOR, out=file, truth=file.with_suffix(".truth"))
    return file


@pytest.fixture(scope="module")
def model(events: Path) -> Model:
    return train(events, horizon_days=30, bundle=configuration(CONFIG))


def test_it_tells_leavers_from_stayers_on_time_it_has_not_seen(model: Model) -> None:
    assert model.metrics.auc > 0.65
    assert model.metrics.brier < model.metrics.brier_of_base_rate
    assert model.metrics.churned >= 5


def test_it_is_plain_numbers_and_they_are_all_of_it(model: Model, events: Path) -> None:
    numbers = msgspec.json.encode(model)
    assert "sklearn" not in numbers.decode()
    again = msgspec.json.decode(numbers, type=Model)
    *_, last = moments(events, days=7, bundle=configuration(CONFIG))
    assert np.array_equal(probabilities(again, last.values), probabilities(model, last.values))
    assert probabilities(model, last.values).min() >= 0


def test_a_feature_is_computed_from_events_strictly_before_its_cut_off(events: Path) -> None:
    first = next(moments(events, days=7, bundle=configuration(CONFIG)))
    lines = events.read_text("utf-8").splitlines()
    before = {json.loads(line)["subject"] for line in lines if json.loads(line)["time"] < "2026-01-12"}
    assert first.at % DAY == 0
    assert set(first.accounts) <= before


def test_too_short_a_history_is_refused_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "short.jsonl"
    write(Vendor(accounts=10, days=20, user_events_a_day=0.5), out=file, truth=tmp_path / "truth")
    with pytest.raises(Trouble, match="needs a longer history"):
        train(file, horizon_days=30, bundle=configuration(CONFIG))
