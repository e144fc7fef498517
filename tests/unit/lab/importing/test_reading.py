"""Files as people really have them, and what is wrong in those that can't be read, in one line with row and column."""

import gzip
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab.importing.history import History, Survey
from lab.importing.mapping import BadMapping, Mapped, Reading, mapped
from lab.importing.readers import Fault
from lab.importing.times import BadTime, TimeReader

AT = 1_772_409_600_000
"""2026-03-02T00:00:00Z."""
LINES = (
    "account_id,timestamp,user_id,event\nacme,2026-03-02T00:00:00Z,u1,Signed In\nacme,2026-03-02T00:00:01Z,u2,Export\n"
)
ROWS = [
    (0, "acme", AT, "login", None, "u1", "Signed In", None),
    (1, "acme", AT + 1000, "usage", None, "u2", "Export", None),
]


def history(path: Path, *words: str, reading: Reading | None = None, encoding: str = "utf-8") -> History:
    return History(files=[path], mapping=mapped(words), reading=reading or Reading(), encoding=encoding)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def faults(found: History) -> list[str]:
    try:
        return [str(row) for row in found.rows() if isinstance(row, Fault)]
    except Fault as fault:
        return [str(fault)]


@pytest.mark.parametrize("name", ["plain.csv", "packed.csv.gz", "tabs.tsv", "bom.csv", "lines.jsonl", "lines.jsonl.gz"])
def test_every_form_of_a_file_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    text = LINES
    if "jsonl" in name:
        text = "".join(
            f'{{"account_id":"acme","timestamp":"2026-03-02T00:00:0{n}Z","user_id":"u{n + 1}","event":"{event}"}}\n'
            for n, event in enumerate(("Signed In", "Export"))
        )
    if name == "tabs.tsv":
        text = text.replace(",", "\t")
    content = text.encode("utf-8-sig" if name == "bom.csv" else "utf-8")
    path = written(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content)
    assert list(history(path).rows()) == ROWS


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    columns = {
        "account": ["acme", "acme"],
        "ts": [AT, AT + 1000],
        "user": ["u1", "u2"],
        "event": ["Signed In", "Export"],
    }
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table(columns), path)
    assert list(history(path).rows()) == ROWS


def test_a_json_object_may_hold_what_the_first_one_lacked(tmp_path: Path) -> None:
    lines = [
        '{"account":"a","ts":1772409600,"kind":"account","data":{"arr":"12","name":"A"}}',
        '{"account":"a","ts":1772409600,"user":"u","kind":"usage","name":"Export"}',
    ]
    path = written(tmp_path, "events.jsonl", "\n".join(lines))
    assert list(history(path).rows()) == [
        (0, "a", AT, "account", None, None, None, {"name": "A", "arr": 12}),
        (1, "a", AT, "usage", None, "u", "Export", None),
    ]


def test_japanese_exports_are_read_in_their_encoding(tmp_path: Path) -> None:
    path = written(tmp_path, "cp932.csv", "顧客,日時\nアクメ,2026/3/2 9:00\n".encode("cp932"))
    found = history(path, "account=顧客,time=日時", encoding="cp932", reading=Reading(zone=ZoneInfo("Asia/Tokyo")))
    assert list(found.rows()) == [(0, "アクメ", AT, "usage", None, None, None, None)]


@pytest.mark.parametrize(
    ("name", "content", "place", "remedy"),
    [
        (
            "wrong_encoding.csv",
            "account,time\nacme,2026-03-02\nアクメ,2026-03-02\n".encode("cp932"),
            "row 2",
            "--encoding cp932",
        ),
        ("missing_column.csv", "account,when\nacme,2026-03-02\n", "", "--map time=COLUMN"),
        ("mixed_dates.csv", "account,time\na,2026-03-02\na,2026/3/2\n", "row 2, column time", "one form"),
        ("ambiguous_date.csv", "account,time\na,03/04/2026\n", "row 1, column time", "--day-first"),
        ("no_date.csv", "account,time\na,soon\n", "row 1, column time", "2026-01-31T12:00:00Z"),
        ("impossible_date.csv", "account,time\na,2026/2/30\n", "row 1, column time", "day"),
        ("account_empty.csv", "account,time\n,2026-03-02\n", "row 1, column account", "is empty"),
        ("time_empty.csv", "account,time\na,\n", "row 1, column time", "is empty"),
        ("row_too_short.csv", "account,time\na,2026-03-02\na\n", "row 2", "1 cells where the header has 2"),
        ("column_twice.csv", "account,time,time\na,2026-03-02,x\n", "", "two columns are called 'time'"),
        ("quote_open.csv", 'account,time\n"a,2026-03-02\n', "row 1", "is no CSV"),
        ("empty.csv", "", "", "is empty"),
        ("not_gzip.csv.gz", b"\x1f\x8bnot at all", "", "gzip"),
        ("cut.csv.gz", gzip.compress(LINES.encode() * 99, mtime=0)[:-20], "", "end"),
        ("broken.jsonl", '{"account":"a","time":"2026-03-02"}\n{"account"\n', "row 2", "no JSON object"),
        ("not_parquet.parquet", b"PAR1 and nothing else", "", "no Parquet file"),
        ("kind_unknown.csv", "account,time,kind\na,2026-03-02,logon\n", "row 1, column kind", "login"),
        ("fact_wrong.jsonl", '{"account":"a","time":"2026-03-02","kind":"billing","data":{}}\n', "row 1", "billing"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, place: str, remedy: str
) -> None:
    (said,) = faults(history(written(tmp_path, name, content)))
    assert said.startswith(str(tmp_path / name))
    assert place in said
    assert remedy in said
    assert "\n" not in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert faults(history(tmp_path / "gone.csv")) == [f"{tmp_path / 'gone.csv'}: No such file or directory"]


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("account", "write field=COLUMN"),
        ("acount=x", "no field is called 'acount'"),
        ("account=", "write field=COLUMN"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(word: str, fault: str) -> None:
    with pytest.raises(BadMapping, match=fault):
        mapped([word])


def test_a_mapping_may_be_a_file(tmp_path: Path) -> None:
    yaml = "columns: {account: Kunde, time: Zeit}\nkinds: {login: [Anmeldung]}\nsource: web\n"
    found = History(
        files=[written(tmp_path, "de.csv", "Kunde,Zeit,event\na,2026-03-02,Anmeldung\n")],
        mapping=mapped([], file=written(tmp_path, "m.yaml", yaml)),
    )
    assert [row[3:5] for row in found.rows() if not isinstance(row, Fault)] == [("login", "web")]
    for wrong in ("kinds: {logon: [x]}", "colums: {}", "a: ["):
        with pytest.raises(BadMapping):
            mapped([], file=written(tmp_path, "wrong.yaml", wrong))


def test_facts_are_read_from_columns_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path, "facts.csv", "account,time,kind,ARR,Trial\na,2026-03-02,account,1200,true\n")
    found = History(files=[path], mapping=Mapped(data={"arr": "ARR", "trial": "Trial"}))
    assert [row[7] for row in found.rows() if not isinstance(row, Fault)] == [{"arr": 1200, "trial": True}]


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-03-02 00:00:00", AT),
        ("2026-03-02T09:00:00+09:00", AT),
        ("2026/3/2", AT),
        ("1772409600", AT),
        ("1772409600000", AT),
        ("1772409600000000", AT),
        (1772409600, AT),
        (1772409600.5, AT + 500),
        ("25/12/2026", AT + 298 * 86_400_000),
        ("25.12.2026 00:00:01", AT + 298 * 86_400_000 + 1000),
    ],
)
def test_times_are_read_as_exports_write_them(value: object, at: int) -> None:
    assert TimeReader()(value) == at


def test_what_is_no_time_is_never_guessed() -> None:
    for value in ("12", "5000000000000000000", True, [1], "2026-13-01"):
        with pytest.raises(BadTime):
            TimeReader()(value)
    assert TimeReader(day_first=True)("03/04/2026") - TimeReader(day_first=False)("04/03/2026") == 0


def test_the_same_files_read_the_same_way_are_the_same_job(tmp_path: Path) -> None:
    one, other = written(tmp_path, "a.csv", LINES), written(tmp_path, "b.csv", LINES)
    assert history(one).job() == history(other).job()
    others = [
        history(written(tmp_path, "c.csv", LINES + "x,2026-03-02T00:00:00Z,,\n")),
        history(one, "user=event"),
        history(one, reading=Reading(shift_ms=1)),
        History(files=[one, other], mapping=mapped([])),
    ]
    assert len({history(one).job(), *(found.job() for found in others)}) == 5


def test_a_history_moves_by_whole_weeks(tmp_path: Path) -> None:
    found, survey = history(written(tmp_path, "a.csv", LINES)), Survey()
    for row in found.rows():
        survey.take(row)
    assert survey.latest == AT + 1000
    moved = found.shifted_to(date(2026, 11, 24), latest=survey.latest)
    latest = max(row[2] for row in moved.rows() if not isinstance(row, Fault))
    assert (latest - survey.latest) % (7 * 86_400_000) == 0
    assert 0 <= 1_795_564_800_000 - latest < 7 * 86_400_000  # 2026-11-25T00:00Z
    back = found.shifted_to(date(2026, 1, 1), latest=survey.latest)
    assert max(row[2] for row in back.rows() if not isinstance(row, Fault)) < 1_767_312_000_000  # 2026-01-02
