"""Every statement of a publication on Redshift, mode by mode: ``tests/golden/redshift_*.sql``, UPDATE_GOLDEN=1 writes.

What differs from run to run (hashes, oids, sessions, times) is written as ``#``; the catalog's long questions are
left out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_dataquality.checks import check
from publishing import publish

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

GOLDEN = Path(__file__).parent.parent / "golden"
TABLE = (
    "CREATE SCHEMA w",
    "CREATE TABLE w.t (ds DATE, id BIGINT NOT NULL, name VARCHAR(20), PRIMARY KEY (id)) DISTKEY (id) SORTKEY (ds)",
    "COMMENT ON COLUMN w.t.name IS 'who'",
    "GRANT SELECT ON w.t TO PUBLIC",
)
MODES: dict[str, dict[str, Any]] = {
    "create": {},
    "swap": {"exchange": "swap"},
    "swap_keep_previous": {"exchange": "swap", "keep_previous": 1},
    "overwrite": {},
    "overwrite_partition": {"partition": {"ds": "2013-2-1"}},
}


@pytest.mark.parametrize("mode", MODES)
def test_the_statements_are_the_reviewed_ones(mode: str, redshift: RedshiftWarehouse) -> None:
    with redshift.connect() as connection, connection.cursor() as cursor:
        for statement in TABLE[:1] if mode == "create" else TABLE:
            cursor.execute(statement)
    select = "SELECT CAST('2013-02-01' AS DATE) AS ds, 1 AS id, 'x' AS name"
    checks = [check("null_count", "name", equal_to=0)]
    publish("w.warm_up", select, conn_id="redshift")  # makes the ledger
    redshift.double.clear()
    outcome = publish("w.t", select, conn_id="redshift", checks=checks, **MODES[mode])
    assert outcome["exchange"] == mode.partition("_")[0]
    told = [sql for sql in redshift.double.statements if "pg_attribute" not in sql and "svv_" not in sql]
    text = ";\n".join(_settled(sql) for sql in told if not re.search(r"FROM pg_(class|constraint|depend)", sql)) + ";\n"
    golden = GOLDEN / f"redshift_{mode}.sql"
    if "UPDATE_GOLDEN" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text()


def _settled(statement: str) -> str:
    """The statement without what is different in every run."""
    rules = {
        r"(__dq_[a-z]*_?)[0-9a-f]{12}": r"\1#",
        r"\b[0-9a-f]{32}\b": "#",
        r"\b\d+ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]* (?=\w+\")": "# ",
        r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+(\+00(:00)?)?": "#",
    }
    for pattern, replacement in rules.items():
        statement = re.sub(pattern, replacement, statement)
    return statement
