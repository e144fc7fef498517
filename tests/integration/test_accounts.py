"""`churnwatch accounts` through the whole stack: what a file tells is known, once, and what is missing is named."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from segment.analytics import Client

from deploy.local.server import HOST
from tests.support.stack import Stack, whole_stack
from tests.support.waiting import eventually

HEADER = "Account ID,Account Name,Account Owner,ARR,Renewal Date\n"
APPLIED = 'churn_scorer_records_total{fate="applied"}'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("accounts")) as started:
        yield started


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.new_key("crm")


@pytest.fixture(scope="module")
def read_key(stack: Stack) -> str:
    return stack.new_key("me", "--scope", "read")


@pytest.fixture(scope="module")
def api(stack: Stack) -> str:
    return f"http://{HOST}:{stack.settings.alerts_port}"


def facts(stack: Stack, account: str, read_key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = stack.answer(f"/v1/accounts/{account}", key=read_key).json().get("attributes", {})
    return found


def test_a_file_becomes_known_once_and_back_and_forth(
    stack: Stack, key: str, read_key: str, api: str, tmp_path: Path
) -> None:
    file = tmp_path / "crm.csv"

    def bring(*words: str, arr: str) -> str:
        file.write_text(f"{HEADER}sf-1,Acme,Dana Reyes,{arr},2026/4/1\nsf-2,Globex,x@example.com,$12k,2026/4/2\n")
        at = ("--url", stack.ingest, "--api-url", api, "--key", key, *words)
        done = stack.churnwatch("accounts", "import", str(file), "--preset", "salesforce", *at)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    dry = bring("--read-key", read_key, "--dry-run", arr="€5")
    assert "new      sf-1  name Acme, owner dana@example.com, arr 5, currency EUR, renewal_date 2026-04-01" in dry
    assert "dry run: nothing was sent" in dry

    assert "2 accounts: all taken for new\nsent 2 accounts" in bring(arr="€5")
    eventually(lambda: facts(stack, "sf-1", read_key).get("arr") == 5)
    assert facts(stack, "sf-1", read_key) == {
        "name": "Acme",
        "owner": "dana@example.com",
        "arr": 5,
        "currency": "EUR",
        "renewal_date": "2026-04-01",
    }
    eventually(lambda: facts(stack, "sf-2", read_key).get("arr") == 12_000)
    applied = stack.metric(APPLIED)
    assert "2 accounts: 0 new, 0 changed, 2 unchanged" in bring("--read-key", read_key, arr="€5")
    assert "changed  sf-1  arr 5 → 6\n" in bring("--read-key", read_key, "--dry-run", arr="€6")

    assert "0 new, 1 changed, 1 unchanged\nsent 1 accounts" in bring("--read-key", read_key, arr="€6")
    eventually(lambda: facts(stack, "sf-1", read_key).get("arr") == 6)
    bring("--read-key", read_key, arr="€5")
    eventually(lambda: facts(stack, "sf-1", read_key).get("arr") == 5)
    assert stack.metric(APPLIED) == applied + 2

    duplicates = 'churn_scorer_records_total{fate="duplicate"}'
    before = stack.metric(duplicates)
    assert "all taken for new" in bring(arr="€5")
    eventually(lambda: stack.metric(duplicates) == before + 2)
    assert stack.metric(APPLIED) == applied + 2


def test_nothing_of_a_bad_file_is_sent_unless_rows_are_left_out(
    stack: Stack, key: str, read_key: str, tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(f"{HEADER}bad-1,A,Erin,5,\nbad-2,B,,1.234,\ngood-1,C,,6,\n")
    words = ("accounts", "import", str(file), "--preset", "salesforce", "--url", stack.ingest, "--key", key)
    refused = stack.churnwatch(*words)
    assert refused.returncode == 1
    assert "row 1, column Account Owner: 'Erin' is no address" in refused.stdout
    assert "row 2, column ARR: '1.234' may be" in refused.stdout
    assert (
        "2 of 3 rows can't be read; nothing was sent: mend them, or leave them out with --skip-bad 2" in refused.stderr
    )
    left_out = stack.churnwatch(*words, "--skip-bad", "2")
    assert left_out.returncode == 0
    eventually(lambda: facts(stack, "good-1", read_key).get("arr") == 6)
    assert facts(stack, "bad-1", read_key) == {}


def test_a_wrong_key_and_an_ingest_that_is_away_are_one_line(stack: Stack, key: str, tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text(f"{HEADER}one,A,,6,\n")
    words = ("accounts", "import", str(file), "--preset", "salesforce", "--key")
    wrong = stack.churnwatch(*words, "ck_1_2", "--url", stack.ingest)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "does not know this key" in wrong.stderr
    test_key = stack.new_key("trying", "--mode", "test")
    judged = stack.churnwatch(*words, test_key, "--url", stack.ingest)
    assert "test key: 1 accounts were judged, 0 refused, none kept" in judged.stdout
    nobody = stack.churnwatch("accounts", "check", "--key", key, "--url", "http://127.0.0.1:9")
    assert (nobody.returncode, nobody.stderr.count("\n")) == (1, 1)
    assert "no alert API answers at http://127.0.0.1:9" in nobody.stderr


def test_what_is_missing_is_listed_with_its_remedy(stack: Stack, key: str, read_key: str, api: str) -> None:
    sdk = Client(key, host=stack.ingest)
    sdk.track("u", "Exported", context={"groupId": "nobody-told"})
    sdk.group("u", "twin", {"name": "Twin", "owner": "stranger@elsewhere.test", "arr": 1, "renewal_date": "2020-01-01"})
    sdk.group("u", "TWIN-Inc", {"name": "Twin", "owner": "dana@example.com"})
    sdk.shutdown()
    eventually(lambda: stack.answer("/v1/accounts/TWIN-Inc", key=read_key).status_code == 200)
    eventually(lambda: stack.answer("/v1/accounts/nobody-told", key=read_key).status_code == 200)
    eventually(lambda: stack.answer("/v1/accounts/twin", key=read_key).status_code == 200)

    words = ("accounts", "check", "--key", read_key, "--url", api)
    shown = stack.churnwatch(*words)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "ids that look alike: 1. If it is one customer" in shown.stdout
    found = json.loads(stack.churnwatch(*words, "--json").stdout)
    said = {(one["problem"], *one["accounts"]) for one in found["findings"]}
    assert said >= {
        ("not_told", "nobody-told"),
        ("no_events", "twin"),
        ("owner_unknown", "twin"),
        ("renewal_past", "twin"),
        ("no_arr", "TWIN-Inc"),
        ("alias", "TWIN-Inc", "twin"),
    }
    refused = stack.churnwatch("accounts", "check", "--key", key, "--url", api)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
