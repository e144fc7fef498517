"""The demo's configuration names what its vendor's products send, and with these names the rules see more."""

from pathlib import Path

import pytest

from lab.demo.configuration import KEY_FEATURES, ONBOARDING, SHIPPED, SIGNALS, write_configuration
from lab.demo.seen import leavers
from lab.feature_history import configuration
from lab.simulate.facts import MILESTONES
from lab.simulate.usage import ACTIONS
from shared.contracts.events import Kind


def test_everything_the_products_send_has_its_place(tmp_path: Path) -> None:
    named = [*KEY_FEATURES, *(name for names in SIGNALS.values() for name in names)]
    assert sorted(named) == sorted(name for kind, name in ACTIONS if kind is Kind.USAGE and name is not None)
    assert [name for name, _ in ONBOARDING] == [name for _, name in MILESTONES]
    bundle, shipped = configuration(write_configuration(tmp_path / "config")), configuration(SHIPPED)
    assert bundle.scorecard.key_features == list(KEY_FEATURES)
    assert bundle.signal_names.keys() == set(named)
    assert bundle.route.milestones == {name for name, _ in ONBOARDING}
    assert (bundle.rules, bundle.uses) == (shipped.rules, shipped.uses)


@pytest.mark.proof
def test_with_these_names_more_leavers_are_foreseen_and_no_more_stayers_disturbed(tmp_path: Path) -> None:
    named, shipped = configuration(write_configuration(tmp_path / "config")), configuration(SHIPPED)
    for seed in (1, 2, 3):
        now, before = leavers(seed, bundle=named), leavers(seed, bundle=shipped)
        assert now.foreseen > before.foreseen
        assert now.disturbed <= before.disturbed
