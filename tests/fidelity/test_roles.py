"""Owners and grantors that the connection may not act as, and default privileges."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from fingerprint import fingerprint
from publishing import left_beside, publish, rows

Connection = psycopg.Connection[Any]


def owned_by(db: Connection, role: str) -> None:
    db.execute("CREATE TABLE w.t (id int PRIMARY KEY, v text); INSERT INTO w.t VALUES (1, 'old')")
    db.execute(f"ALTER TABLE w.t OWNER TO {role}")
    db.execute("GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON w.t TO fid_loader")


NEW = "SELECT 1 AS id, 'new' AS v"


@pytest.mark.parametrize(
    ("membership", "needs"),
    [
        (None, 0),
        ("GRANT fid_owner TO fid_loader WITH INHERIT FALSE", 16),
        ("GRANT fid_owner TO fid_loader WITH SET FALSE", 16),
        ("ALTER ROLE fid_loader NOINHERIT; GRANT fid_owner TO fid_loader", 0),
    ],
)
def test_a_table_of_another_owner_is_overwritten(
    db: Connection, loader: str, membership: str | None, needs: int
) -> None:
    if db.info.server_version < needs * 10000:
        pytest.skip(f"new in Postgres {needs}")
    owned_by(db, "fid_owner")
    before = fingerprint(db, "w.t")
    if membership:
        db.execute(membership)  # type: ignore[arg-type]
    try:
        with pytest.raises(AirflowException, match="owner fid_owner: this role may not act as it"):
            publish("w.t", NEW, conn_id=loader, exchange="swap")
        assert publish("w.t", NEW, conn_id=loader)["exchange"] == "overwrite"
    finally:
        db.execute("REVOKE fid_owner FROM fid_loader; ALTER ROLE fid_loader INHERIT")
    assert rows(db, "w.t") == [(1, "new")]
    assert fingerprint(db, "w.t") == before
    assert left_beside(db) == []


def test_a_member_of_the_owner_swaps(db: Connection, loader: str) -> None:
    owned_by(db, "fid_owner")
    before = fingerprint(db, "w.t")
    db.execute("GRANT fid_owner TO fid_loader")
    try:
        for _ in range(2):
            assert publish("w.t", NEW, conn_id=loader, keep_previous=1)["exchange"] == "swap"
    finally:
        db.execute("REVOKE fid_owner FROM fid_loader")
    assert fingerprint(db, "w.t") == before


def test_a_member_of_an_owner_who_may_not_create_overwrites(db: Connection, loader: str) -> None:
    owned_by(db, "fid_owner")
    before = fingerprint(db, "w.t")
    db.execute("REVOKE CREATE ON SCHEMA w FROM fid_owner; GRANT fid_owner TO fid_loader")
    try:
        with pytest.raises(AirflowException, match="permission denied for schema w"):
            publish("w.t", NEW, conn_id=loader, exchange="swap")
        assert rows(db, "w.t") == [(1, "old")]
        assert publish("w.t", NEW, conn_id=loader)["exchange"] == "overwrite"
    finally:
        db.execute("REVOKE fid_owner FROM fid_loader")
    assert fingerprint(db, "w.t") == before
    assert left_beside(db) == []


def test_a_grant_by_a_role_that_one_cannot_be_is_not_lost(db: Connection, loader: str) -> None:
    owned_by(db, "fid_loader")
    db.execute("GRANT SELECT ON w.t TO fid_lead WITH GRANT OPTION; GRANT USAGE ON SCHEMA w TO fid_lead")
    db.execute("SET ROLE fid_lead; GRANT SELECT ON w.t TO fid_analyst; RESET ROLE")
    before = fingerprint(db, "w.t")
    with pytest.raises(AirflowException, match=r"exchange='swap' of w.t is refused") as refusal:
        publish("w.t", NEW, conn_id=loader, exchange="swap")
    assert "fid_lead" in str(refusal.value)
    assert publish("w.t", NEW, conn_id=loader)["exchange"] == "overwrite"
    assert rows(db, "w.t") == [(1, "new")]
    assert fingerprint(db, "w.t") == before


@pytest.mark.parametrize("conn_id", ["warehouse", "loader"])
def test_unchecked_rows_are_nobodys_to_see(db: Connection, loader: str, conn_id: str) -> None:
    """ALTER DEFAULT PRIVILEGES opens every new table to the analyst; a stage, and what failed, is not one yet."""
    role = "postgres" if conn_id == "warehouse" else "fid_loader"
    db.execute("GRANT USAGE ON SCHEMA w TO fid_analyst")
    db.execute(f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT, INSERT ON TABLES TO fid_analyst")
    spy = (
        "SELECT 1 AS id, string_agg(relname || relacl::text, ', ') || has_table_privilege('fid_analyst', "
        "max(oid::oid), 'SELECT') AS seen FROM pg_class WHERE relname LIKE 't\\_\\_dq\\_stage%'"
    )
    never = {"check": "row_count", "condition": {"equal_to": 5}}

    with pytest.raises(AirflowException, match="row_count"):
        publish("w.t", spy, conn_id=conn_id, checks=[never])
    (rejected,) = left_beside(db)
    assert not may_read(db, rejected)
    assert rows(db, rejected, "seen LIKE '%false'") == [(True,)]

    assert publish("w.t", NEW, conn_id=conn_id)["exchange"] == "create"
    assert may_read(db, "w.t")
    created = fingerprint(db, "w.t")
    db.execute("CREATE TABLE w.twin (id int, v text)")
    if conn_id == "warehouse":
        assert privileges(db, "w.t") == privileges(db, "w.twin")

    db.execute("REVOKE SELECT ON w.t FROM fid_analyst")
    revoked = fingerprint(db, "w.t")
    assert revoked != created
    for mode in ("swap", "overwrite"):
        publish("w.t", NEW, conn_id=conn_id, exchange=mode, keep_previous=1)
        assert fingerprint(db, "w.t") == revoked
        assert not any(may_read(db, name) for name in left_beside(db))


def may_read(db: Connection, table: str) -> bool:
    return bool(
        db.execute("SELECT has_any_column_privilege('fid_analyst', %s, 'SELECT')", [table]).fetchone() == (True,)
    )


def privileges(db: Connection, table: str) -> str:
    return str(db.execute("SELECT relacl FROM pg_class WHERE oid = to_regclass(%s)", [table]).fetchone())
