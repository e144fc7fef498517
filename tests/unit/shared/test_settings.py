"""A process says everything that is wrong with its settings at once, and how to put it right."""

from pathlib import Path

import pytest
from pydantic import Field

from shared.settings import HexKey, Port, ServiceSettings, load, variables

KEY = "0f" * 32


class ExampleSettings(ServiceSettings):
    """A service with a port and a secret."""

    port: Port = Field(8000, description="Port of the API")
    key_pepper: HexKey = Field(description="Mixed into write keys before hashing")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.environ", {"CHURNWATCH_DATA": str(tmp_path)})


def keep_secret(tmp_path: Path, text: str, *, mode: int = 0o600) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "key_pepper").write_text(text)
    (folder / "key_pepper").chmod(mode)


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURNWATCH_KEY_PEPPER", KEY)
    settings = load(ExampleSettings)
    assert settings.key_pepper.get_secret_value() == bytes.fromhex(KEY)
    assert KEY not in repr(settings)


def test_a_secret_comes_from_its_file(tmp_path: Path) -> None:
    keep_secret(tmp_path, KEY + "\n")
    assert load(ExampleSettings).key_pepper.get_secret_value() == bytes.fromhex(KEY)


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_secret(tmp_path, KEY)
    monkeypatch.setenv("CHURNWATCH_KEY_PEPPER", "aa" * 32)
    assert load(ExampleSettings).key_pepper.get_secret_value() == b"\xaa" * 32


def test_all_faults_are_reported_at_once_with_their_remedies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHURNWATCH_KAFKA", "broker")
    monkeypatch.setenv("CHURNWATCH_REDIS", "localhost")
    monkeypatch.setenv("CHURNWATCH_PORT", "70000")
    with pytest.raises(SystemExit) as caught:
        load(ExampleSettings)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "CHURNWATCH_KAFKA",
        "CHURNWATCH_REDIS",
        "CHURNWATCH_PORT",
        "CHURNWATCH_KEY_PEPPER",
    ]
    assert "'broker' is not host:port; set it like the default, 127.0.0.1:9092" in lines[0]
    assert "is missing; set it to 64 hex digits" in lines[3]
    assert "make up" in lines[3]


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("0f" * 31, 0o600, "has 62 digits, not 64"),
        ("zz" * 32, 0o600, "is not hexadecimal"),
        ("é", 0o600, "is not hexadecimal"),
        (KEY, 0o644, "is readable by others: chmod 600 it"),
    ],
)
def test_a_bad_secret_is_refused_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, mode: int, words: str
) -> None:
    keep_secret(tmp_path, text, mode=mode)
    with pytest.raises(SystemExit):
        load(ExampleSettings)
    errors = capsys.readouterr().err
    assert words in errors
    assert text not in errors


def test_every_variable_can_be_listed_for_the_readme() -> None:
    listed = {variable.name: variable for variable in variables(ExampleSettings)}
    assert listed["CHURNWATCH_KAFKA"].default == "127.0.0.1:9092"
    assert listed["CHURNWATCH_KEY_PEPPER"].default is None
    assert listed["CHURNWATCH_KEY_PEPPER"].secret
    assert all(variable.description for variable in listed.values())
