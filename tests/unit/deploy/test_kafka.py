"""The broker of this machine is told what it understands, and keeps to this machine."""

from pathlib import Path

import pytest

from deploy.local.kafka import broker_settings, cluster_id


@pytest.mark.parametrize("first", range(256))
def test_a_cluster_id_is_never_taken_for_an_option(first: int) -> None:
    found = cluster_id(bytes([first]) + b"\xff" * 15)
    assert len(found) == 22
    assert not found.startswith("-")


def test_a_broker_listens_on_this_machine_only_and_makes_no_topic_unasked() -> None:
    settings = broker_settings(data=Path("data"), port=1, controller_port=2)
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert settings["auto.create.topics.enable"] == "false"
