"""The page that the suite writes, and the end states that it compares."""

import re
from pathlib import Path

import pytest

from tests.faults.database import Database
from tests.faults.sieve import difference
from tests.faults.table import TITLES, Ledger, Table, case_of
from tests.faults.world import Audit

HERE = Path(__file__).parent
CASE = re.compile(r"^def (test_f\d+_\w+|test_idle_\w+|test_soak_\w+)\(", re.MULTILINE)


def cases() -> list[str]:
    """The name of every test of a case."""
    return [name for path in HERE.glob("test_*.py") for name in CASE.findall(path.read_text())]


@pytest.mark.parametrize(
    ("test", "case"),
    [
        ("test_f1_every_write_is_killed", "F1"),
        ("test_f12_storms_of_errors_pass", "F12"),
        ("test_idle_tenants_are_written_nothing", "Idle"),
        ("test_soak_random_faults_lose_nothing", "Soak"),
        ("test_without_a_fault", ""),
    ],
)
def test_the_name_of_a_test_says_its_case(test: str, case: str):
    assert case_of(test) == case


def test_every_case_has_a_test_and_every_test_a_title():
    assert {case_of(name) for name in cases()} == set(TITLES)


def test_the_page_tells_what_was_measured(tmp_path: Path):
    table = Table()
    ledger = Ledger(table.of("F11"))
    ledger.add(seconds=2.0, audit=Audit([], [], []))
    ledger.add(runs=3, seconds=1.0, audit=Audit(["a"], [], ["b", "c"]))
    table.of("F2").failed.append("test_f2_x")
    table.of("F30").expected.append("nobody has done it")
    table.write(tmp_path / "page.md", "# Heading")
    heading, second, eleventh, thirtieth = (tmp_path / "page.md").read_text().splitlines()
    assert heading == "# Heading"
    assert second.startswith("| F2 |") and second.endswith("| **fails**: test_f2_x |")
    assert eleventh == f"| F11 | {TITLES['F11']} | 4 | 2.0 | 1 | 0 | 2 | held |"
    assert thirtieth.endswith("| held; but: nobody has done it |")


def test_a_page_keeps_the_rows_of_cases_that_were_not_run(tmp_path: Path):
    page = tmp_path / "page.md"
    first, second = Table(), Table()
    for case in ("F11", "F2", "Idle"):
        Ledger(first.of(case)).add(runs=2)
    first.write(page, "# Heading\n\nOn {conditions}.\n")
    Ledger(second.of("F11")).add(runs=7)
    second.of("Soak")  # skipped: nothing was measured
    second.write(page, "# Heading\n\nOn {conditions}.\n")
    *_, said, earlier, again, idle = page.read_text().splitlines()
    assert re.fullmatch(r"On \d+ cores with a load average of \d+\.\d\.", said)
    assert earlier.startswith("| F2 |") and " | 2 | 0.0 |" in earlier
    assert again.startswith("| F11 |") and " | 7 | 0.0 |" in again
    assert idle.startswith("| Idle |")


@pytest.mark.parametrize("wrong", [(["x"], [], []), ([], ["x"], []), ([], [], ["x"])])
def test_an_audit_that_finds_something_is_not_clean(wrong):
    assert not Audit(*wrong).clean
    assert Audit([], [], []).clean


def test_end_states_differ_line_by_line():
    clean = {"tenancy_tenant": ["a", "b"]}
    assert difference(clean, {"tenancy_tenant": ["a", "b"]}) == []
    assert "+c" in difference(clean, {"tenancy_tenant": ["a", "c"]})


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return Database(tmp_path)


def write(database: Database, *statements: str) -> None:
    """As somebody else would."""
    with database.writing() as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_copy_brings_back_what_was(database: Database):
    write(database, "CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1)")
    copy = database.copy()
    write(database, "INSERT INTO t VALUES (2)")
    assert database.count("t") == 2
    copy.restore()
    assert database.rows("SELECT n FROM t WHERE n > ?", 0) == [{"n": 1}]


WORK = "(lease_token, failures, due_at, quarantined_at, kind, owner)"


@pytest.mark.parametrize(
    ("row", "busy"),
    [
        ("(NULL, 0, NULL, NULL, 'a.b', 'x')", False),
        ("('t', 0, NULL, NULL, 'a.b', 'x')", True),
        ("(NULL, 1, NULL, NULL, 'a.b', 'x')", True),
        ("(NULL, 0, '2020-01-01 00:00:00', NULL, 'a.b', 'x')", True),
        ("(NULL, 0, '2999-01-01 00:00:00.123', NULL, 'a.b', 'x')", False),
        ("(NULL, 3, '2020-01-01 00:00:00', '2020-01-01', 'a.b', 'x')", False),
    ],
    ids=["rest", "leased", "failing", "due", "much later", "set aside"],
)
def test_what_is_under_way_is_seen(row: str, busy: bool, database: Database):
    write(
        database,
        f"CREATE TABLE reconcile_work {WORK}",
        f"INSERT INTO reconcile_work VALUES {row}",
    )
    assert bool(database.unsettled()) is busy
