"""The ledger's tables: those of an older version are brought up to date, and keep what they hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_dataquality.checks import check
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.ledger import VERSION, Ledger
from airflow_dataquality.engine.tables import TABLES
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.operators.check import DataQualityCheckOperator
from support import Database, Warehouse, on

NEW_IN = {
    2: {"expected", "low", "high", "score", "p_value", "verdict"},
    3: {"chunk", "definition", "built_on"},
    4: {"check_run", "test", "verdict.check_name", "verdict.run_uid", "until", "author", "lineage"},
}
"""Columns and tables that a version added."""


def make_version(database: Database, number: int) -> Ledger:
    """The tables as an older version made them, with a result in them."""
    new = {name for since, names in NEW_IN.items() if since > number for name in names}
    session = database.session
    ledger, sql = Ledger(session), session.dialect
    for statement in sql.create_schema("dataquality"):
        session.execute(statement)
    for name in TABLES.keys() - new:
        columns = {column: kind for column, (kind, _) in TABLES[name].items() if not {column, f"{name}.{column}"} & new}
        session.execute(sql.create_ledger_table(ledger.table(name), columns))
    version = ledger.table("ledger_version")
    session.execute(sql.create_ledger_table(version, {"version": "integer"}))
    session.execute(sql.insert(version, ["version"], [[number]]))
    session.execute(sql.insert(ledger.table("check_result"), ["check_name", "status"], [["old", "pass"]]))
    return ledger


def columns(ledger: Ledger, name: str) -> set[str]:
    return {column.name for column in ledger.session.columns(ledger.table(name))}


@pytest.mark.parametrize("number", range(1, VERSION))
def test_tables_of_an_older_version_get_what_they_lack(number: int, database: Database) -> None:
    ledger = make_version(database, number)
    database.session.execute("CREATE TABLE orders (id integer)")
    for _ in range(2):
        DataQualityCheckOperator(
            task_id="check", conn_id=database.conn_id, table="orders", checks=[check("row_count", equal_to=0)]
        ).execute({})
    assert all(columns(ledger, name) == set(TABLES[name]) for name in TABLES)
    results = database.session.dialect.table(ledger.table("check_result"))
    assert sorted(row[0] for row in database.session.query(f"SELECT check_name FROM {results}")) == [
        "old",
        "row_count",
        "row_count",
    ]
    version = database.session.dialect.table(ledger.table("ledger_version"))
    assert sorted(row[0] for row in database.session.query(f"SELECT version FROM {version}")) == [number, VERSION]


@on("postgres")
@pytest.mark.parametrize("number", range(1, VERSION))
def test_only_one_of_many_runs_brings_it_up_to_date(number: int, database: Database, warehouse: Warehouse) -> None:
    ledger = make_version(database, number)

    def ensure(_: int) -> None:
        with warehouse.connect() as connection:
            Ledger(DbApiSession(connection, dialect_for("postgres"))).ensure()

    with ThreadPoolExecutor(8) as runs:
        list(runs.map(ensure, range(16)))
    assert database.session.query("SELECT count(*) FROM dataquality.ledger_version")[0][0] == 2
    assert all(columns(ledger, name) == set(TABLES[name]) for name in TABLES)


@on("postgres")
@pytest.mark.parametrize("number", range(1, VERSION))
def test_who_may_not_alter_it_is_told_who_may(number: int, database: Database, warehouse: Warehouse) -> None:
    make_version(database, number)
    role = f"clerk_{warehouse.uri.rpartition('_')[2]}"
    database.session.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA dataquality TO {role}")
    database.session.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA dataquality TO {role}")
    with warehouse.connect() as connection:
        session = DbApiSession(connection, dialect_for("postgres"))
        session.execute(f"SET ROLE {role}")
        told = f"cannot be brought from version {number} to {VERSION}: (must be owner|permission denied)"
        with pytest.raises(DataQualityError, match=told) as raised:
            Ledger(session).ensure()
        session.execute("RESET ROLE")
    assert "as the owner of the ledger's tables" in str(raised.value)
    database.session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
