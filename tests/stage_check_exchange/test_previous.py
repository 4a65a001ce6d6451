"""Previous versions: kept, counted, and published again."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from airflow_dataquality import maintenance
from airflow_dataquality.errors import TableError
from fingerprint import fingerprint
from publishing import left_beside, publish, rows

Connection = psycopg.Connection[Any]

DAY = {"ds": "2013-02-01"}


def version(number: int, partition: dict[str, Any] | None, mode: str, keep_previous: int) -> None:
    sql = f"SELECT '2013-02-01' AS ds, {number} AS id, 'v{number}' AS name"
    publish("w.t", sql, partition=partition, exchange=mode, keep_previous=keep_previous)


def partition_natively(db: Connection) -> None:
    db.execute("DROP TABLE w.t; CREATE TABLE w.t (ds date, id int, name varchar(5)) PARTITION BY LIST (ds)")
    for day in (1, 2):
        db.execute(f"CREATE TABLE w.d{day} PARTITION OF w.t FOR VALUES IN ('2013-02-0{day}')")  # type: ignore[arg-type]
    db.execute("INSERT INTO w.t VALUES ('2013-02-01', 0, 'old'), ('2013-02-02', 1, 'old')")


@pytest.mark.parametrize("mode", ["swap", "overwrite", "partition", "attach"])
def test_versions_are_kept_and_rolled_back(db: Connection, mode: str) -> None:
    key = DAY if mode in ("partition", "attach") else None
    mode = "overwrite" if mode == "partition" else mode
    if mode == "attach":
        partition_natively(db)
    before = fingerprint(db, "w.t")
    of_day = "w.t WHERE ds = '2013-02-01'"
    others = rows(db, "w.t WHERE ds <> '2013-02-01'") if key else []

    for number in (1, 2, 3):
        version(number, key, mode, keep_previous=2)
    assert len(left_beside(db)) == 2
    assert rows(db, of_day, "name") == [("v3",)]

    rolled = maintenance.rollback("warehouse", "w.t", partition=key, dry_run=True)
    assert (rolled["published"], rows(db, of_day, "name")) == (False, [("v3",)])
    for name in ("v2", "v3", "v2"):
        outcome = maintenance.rollback("warehouse", "w.t", partition=key)
        assert outcome["exchange"] == (mode if key else "swap")
        assert rows(db, of_day, "name") == [(name,)]
        assert len(left_beside(db)) == 2
    assert fingerprint(db, "w.t") == before
    assert rows(db, "w.t WHERE ds <> '2013-02-01'") == others
    recorded = "SELECT previous_version IS NOT NULL FROM dataquality.publication ORDER BY published_at"
    assert db.execute(recorded).fetchall() == [(True,)] * 6
    version(4, key, mode, keep_previous=0)
    assert left_beside(db) == []


def test_partitions_have_versions_of_their_own(db: Connection) -> None:
    for day, value in (("2013-02-01", 1), ("2013-02-02", 2), ("2013-02-01", 3)):
        publish("w.t", f"SELECT '{day}' AS ds, {value} AS id, 'x' AS name", partition={"ds": day}, keep_previous=1)
    maintenance.rollback("warehouse", "w.t", partition={"ds": "2013-2-1"})
    assert rows(db, "w.t", "ds::text, id") == [("2013-02-01", 1), ("2013-02-02", 2), ("2013-02-03", 2)]
    with pytest.raises(TableError, match=r"no previous version of w.t is kept"):
        maintenance.rollback("warehouse", "w.t")


def test_a_previous_version_is_nobodys_default_to_see_and_survives_a_sweep(db: Connection) -> None:
    version(1, None, "swap", keep_previous=1)
    assert maintenance.sweep("warehouse") == []
    assert len(left_beside(db)) == 1


def test_identities_and_generated_columns_come_back(db: Connection) -> None:
    db.execute(
        "CREATE TABLE w.g (id int GENERATED ALWAYS AS IDENTITY, v int, d int GENERATED ALWAYS AS (v * 2) STORED)"
    )
    for mode in ("swap", "overwrite"):
        for value in (1, 2):
            publish("w.g", f"SELECT {value} AS v", exchange=mode, keep_previous=1)
        before = rows(db, "w.g")
        for _ in range(2):
            maintenance.rollback("warehouse", "w.g")
        assert rows(db, "w.g") == before


def test_an_empty_version_comes_back_empty(db: Connection) -> None:
    db.execute("TRUNCATE w.t")
    version(1, None, "swap", keep_previous=1)
    assert maintenance.rollback("warehouse", "w.t")["rows"] == 0
    assert rows(db, "w.t") == []
