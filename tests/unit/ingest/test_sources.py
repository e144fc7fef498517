"""config/sources.yaml: other names per source, every fault named at once."""

from pathlib import Path

import pytest
import yaml

from services.ingest.core.sources import BadSources, SourceRules, Sources, read_sources


def test_a_source_adds_to_the_default() -> None:
    content = yaml.safe_load("""
        default: {events: {Login: Signed In}}
        sources:
          web: {traits: {CSM-Email: owner}, account_from: [properties.workspace_id]}
    """)
    sources = read_sources(content)
    assert sources.of("web").events == {"Login": "Signed In"}
    assert sources.of("web").traits == {"csmemail": "owner"}
    assert sources.of("web").account_from == (("properties", "workspace_id"),)
    assert sources.of("other") == sources.default
    assert sources.of("other").account_from == SourceRules().account_from


def test_an_empty_file_means_the_defaults() -> None:
    assert read_sources(None) == Sources()


def test_the_shipped_file_can_be_read() -> None:
    shipped = Path(__file__).parents[3] / "config" / "sources.yaml"
    assert read_sources(yaml.safe_load(shipped.read_text("utf-8"))) == Sources()


def test_every_fault_is_named_at_once() -> None:
    content = {
        "defaults": {},
        "default": {"events": {"Login": 1}, "trait": {}},
        "sources": {"web": {"account_from": ["body.id"]}, "app": {"account_from": "groupId"}, "x": 5},
    }
    with pytest.raises(BadSources) as caught:
        read_sources(content)
    text = "\n".join(map(str, caught.value.faults))
    for part in [
        "defaults: unknown",
        "default.events.Login",
        "default.trait: unknown",
        "'body.id'",
        "sources.app.account_from",
        "sources.x",
    ]:
        assert part in text
