"""Secrets are made once, whole, and for one pair of eyes."""

import stat
from pathlib import Path

from deploy.local.keys import NAMES, make_secrets


def test_secrets_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    assert make_secrets(tmp_path) == list(NAMES)
    kept = {name: (tmp_path / "secrets" / name).read_text() for name in NAMES}
    assert make_secrets(tmp_path) == []
    for name, text in kept.items():
        path = tmp_path / "secrets" / name
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(bytes.fromhex(text.strip())) == 32
    assert len(set(kept.values())) == len(NAMES)


def test_a_secret_that_is_missing_is_made_and_the_others_stay(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    kept = (tmp_path / "secrets" / "key_pepper").read_text()
    (tmp_path / "secrets" / "user_hash_key").unlink()
    assert make_secrets(tmp_path) == ["user_hash_key"]
    assert (tmp_path / "secrets" / "key_pepper").read_text() == kept
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == sorted(NAMES)
