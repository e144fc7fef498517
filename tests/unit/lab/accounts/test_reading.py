"""Exports of accounts are read whole, in the encodings and with the columns they have, or each fault is named."""

import gzip
from pathlib import Path

import msgspec
import pytest

from lab.accounts.changes import Change, changes
from lab.accounts.columns import fit, told
from lab.accounts.owners import Owners
from lab.accounts.presets import FIELDS, ID, PRESETS, Product
from lab.accounts.reading import Account, Read, Said, read_accounts
from lab.accounts.send import HOUR_MS, call, message_id
from lab.accounts.text import open_accounts
from lab.importing.readers import Fault
from lab.trouble import Trouble
from services.ingest.core.dialects import segment
from services.ingest.core.item import Item
from services.ingest.core.kinds import Told, tell
from services.ingest.core.sources import SourceRules
from shared.contracts.events import AccountFacts
from shared.contracts.health import Attributes

HEADER = "id,name,owner,arr,renewal_date\n"
GOOD = "acme,Acme,dana@example.com,48000,2026-04-01\n"
DANA = Owners(by_name={"danareyes": "dana@example.com"})


def read(path: Path, *, product: Product | None = None, maps: tuple[str, ...] = (), said: Said | None = None) -> Read:
    with open_accounts(path) as table:
        return read_accounts(table, fit(table, product=product, said=told(maps)), said or Said())


def written(folder: Path, text: str, *, name: str = "accounts.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
@pytest.mark.parametrize("is_gzip", [False, True], ids=["plain", "gz"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str, *, is_gzip: bool) -> None:
    text = '取引先 ID,取引先名,年間契約金額,契約更新日\n001,株式会社アクメ,"¥12,000,000",2026年4月1日\n'
    text = text.replace("¥", "\\") if encoding == "cp932" else text  # its yen sign is the byte of the backslash
    path = written(tmp_path, text, encoding=encoding)
    if is_gzip:
        path = tmp_path / "accounts.csv.gz"
        path.write_bytes(gzip.compress(text.encode(encoding)))
    (account,) = read(path, product=Product.SALESFORCE).accounts
    assert account.id == "001"
    assert account.traits == {
        "name": "株式会社アクメ",
        "arr": 12_000_000,
        "currency": "JPY",
        "renewal_date": "2026-04-01",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "id;name;arr\nacme;Acme, Inc.;12.000,00 €\n"),
        ("a.tsv", "id\tname\tarr\nacme\tAcme, Inc.\t€12,000\n"),
        ("a.csv", 'id,name,arr\nacme,"Acme, Inc.","12.000,00 €"\n'),
        ("a.jsonl", '{"id":"acme","name":"Acme, Inc.","arr":12000.0,"currency":"EUR"}\n'),
    ],
)
def test_every_form_of_file_tells_the_same(tmp_path: Path, name: str, text: str) -> None:
    (account,) = read(written(tmp_path, text, name=name)).accounts
    assert (account.id, account.traits) == ("acme", {"name": "Acme, Inc.", "arr": 12_000, "currency": "EUR"})


BAD_FILES = {
    "an account twice": (HEADER + GOOD + GOOD, "row 2, column id: the account 'acme' stands twice, first in row 1"),
    "an empty id": (HEADER + ",Acme,,,\n", "row 1, column id: is empty"),
    "an id that excel rounded": (HEADER + "1.2E+15,,,,\n", "row 1, column id: '1.2E+15' is how Excel shows"),
    "mixed day formats": (HEADER + GOOD + "b,,,,2026/4/2\n", "row 2, column renewal_date: '2026/4/2' is written like"),
    "an ambiguous day": (HEADER + "a,,,,03/04/2026\n", "row 1, column renewal_date: '03/04/2026' may be day/month"),
    "an ambiguous amount": (HEADER + "a,,,1.234,\n", "row 1, column arr: '1.234' may be 1234 or 1"),
    "two ways of decimals": (
        HEADER + 'a,,,"12.000,00",\nb,,,"12,000.00",\n',
        "row 2, column arr: '12,000.00' has a decimal point",
    ),
    "an owner without an address": (HEADER + "a,,Erin Doe,,\n", "row 1, column owner: 'Erin Doe' is no address"),
    "two currencies": (
        "id,arr,currency\na,€5,USD\n",
        "row 1, column arr: '€5' is in EUR, its currency column says USD",
    ),
}


@pytest.mark.parametrize("wrong", BAD_FILES)
def test_a_bad_file_is_named_with_row_and_column(tmp_path: Path, wrong: str) -> None:
    text, words = BAD_FILES[wrong]
    path = written(tmp_path, text)
    (fault,) = read(path).faults
    assert str(fault).startswith(f"{path}, {words}")


def test_a_row_has_all_its_faults_and_the_others_are_read(tmp_path: Path) -> None:
    found = read(written(tmp_path, HEADER + "a,A,Erin,1.234,soon\n" + GOOD))
    assert [str(fault).split("column ")[1].split(":")[0] for fault in found.faults] == ["owner", "arr", "renewal_date"]
    assert [account.id for account in found.accounts] == ["acme"]


UNREADABLE = {
    "no id": ("name,arr\nAcme,5\n", "utf-8", "has no column 'id' or 'account'"),
    "neither utf-8 nor cp932": ("id,name\nacme,Citroën\n", "latin-1", "is neither UTF-8 nor CP932: say --encoding"),
    "utf-16": ("id\tname\nacme\tAcme\n", "utf-16", "is UTF-16"),
    "a row too short": ("id,name\nacme\n", "utf-8", "row 1: has 1 cells where the header has 2"),
    "empty": ("", "utf-8", "is empty"),
}


@pytest.mark.parametrize("wrong", UNREADABLE)
def test_an_unreadable_file_is_one_fault(tmp_path: Path, wrong: str) -> None:
    text, encoding, words = UNREADABLE[wrong]
    with pytest.raises(Fault) as fault:
        read(written(tmp_path, text, encoding=encoding))
    assert words in str(fault.value)
    with pytest.raises(Fault, match="No such file"):
        read(tmp_path / "absent.csv")


def test_columns_are_named_left_out_and_missing_ones_told(tmp_path: Path) -> None:
    path = written(tmp_path, "Key,Worth,timezone\nacme,5 EUR,somewhere\n")
    (account,) = read(path, maps=("id=Key,arr=Worth", "timezone=")).accounts
    assert account.traits == {"arr": 5, "currency": "EUR"}
    with pytest.raises(Fault, match=r"has no column 'Value' \(--map arr\); it has Key, Worth, timezone"):
        read(path, maps=("id=Key,arr=Value",))
    with pytest.raises(Trouble, match="no field is called 'worth'"):
        told(["worth=Worth"])


@pytest.mark.parametrize("product", list(Product))
def test_a_preset_reads_the_columns_it_names(tmp_path: Path, product: Product) -> None:
    cells = {ID: "a1", "owner": "Dana Reyes", "arr": "$5", "seats": "3", "renewal_date": "2026/4/1", "trial": "no"}
    cells |= {"currency": "USD", "country": "Japan", "timezone": "Asia/Tokyo"}
    columns = {name: PRESETS[product].columns[name][0] for name in FIELDS}
    text = ",".join(columns.values()) + "\n" + ",".join(cells.get(name, name) for name in FIELDS) + "\n"
    (account,) = read(written(tmp_path, text), product=product, said=Said(owners=DANA)).accounts
    assert set(account.traits) == set(FIELDS) - {ID}
    assert (account.traits["owner"], account.traits["country"]) == ("dana@example.com", "JP")


@pytest.mark.parametrize("product", [Product.SALESFORCE, Product.HUBSPOT])
def test_the_turnover_of_a_customer_is_never_its_arr(tmp_path: Path, product: Product) -> None:
    column = PRESETS[product].columns[ID][0]
    path = written(tmp_path, f"{column},Annual Revenue\na1,5000000\n")
    with open_accounts(path) as table:
        columns = fit(table, product=product, said={})
        assert columns.of == {ID: column}
        assert "not read; if it holds your ARR say --map arr='Annual Revenue'" in columns.notes[0]
        assert fit(table, product=product, said={"arr": "Annual Revenue"}).notes == []


def test_the_ingest_reads_every_trait_as_we_mean_it() -> None:
    traits: dict[str, str | int | bool] = {
        "name": "Acme",
        "owner": "dana@example.com",
        "segment": "smb",
        "stage": "live",
        "arr": 48_000,
        "currency": "EUR",
        "seats": 12,
        "renewal_date": "2026-04-01",
        "timezone": "Asia/Tokyo",
        "country": "JP",
        "parent": "holding",
        "trial": False,
    }
    change = Change(account=Account(row=1, id="acme", traits=traits), known=None, told=traits)
    body = msgspec.json.encode({"batch": [call(change, now_ms=0)]})
    (item,) = segment.read(segment.open_envelope(body), body, call=None)
    assert isinstance(item, Item)
    said = tell(item, rules=SourceRules(), user=None)
    assert isinstance(said, Told)
    assert isinstance(said.data, AccountFacts)
    assert msgspec.to_builtins(said.data) == traits
    assert (item.group, said.dropped) == ("acme", ())


def test_only_what_differs_is_sent() -> None:
    same, other, new = (
        Account(row=n, id=name, traits={"name": name, "arr": 5}) for n, name in enumerate(("same", "other", "new"))
    )
    known = {"same": Attributes(name="same", arr=5, seats=3), "other": Attributes(name="other", arr=4)}
    found = list(changes([same, other, new], known))
    assert [change.words() for change in found] == ["changed  other  arr 4 → 5", "new      new  name new, arr 5"]


def test_a_message_id_is_the_contents_and_what_was_known_before() -> None:
    account = Account(row=1, id="acme", traits={"arr": 5, "name": "Acme"})
    moved = Account(row=9, id="acme", traits={"name": "Acme", "arr": 5})
    first = Change(account=account, known=None, told=account.traits)
    again = Change(account=moved, known=None, told=moved.traits)
    back = Change(account=account, known={"arr": 6}, told={"arr": 5})
    assert message_id(first, now_ms=0) == message_id(again, now_ms=5 * HOUR_MS)
    assert message_id(back, now_ms=0) == message_id(back, now_ms=1) != message_id(first, now_ms=0)
    assert message_id(back, now_ms=0) != message_id(back, now_ms=HOUR_MS)
