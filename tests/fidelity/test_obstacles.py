"""What a swap would lose is found before anything is written: then it is not a swap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from fingerprint import fingerprint
from publishing import left_beside, publish, rows

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Obstacle:
    """Something on ``w.t (id, v)`` that a swap would lose.

    :param named: how the refusal names it
    :param overwritten: whether auto overwrites; otherwise it refuses, too
    """

    ddl: str
    named: str
    overwritten: bool = True
    since: int = 0


PLPGSQL = "CREATE FUNCTION w.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
OBSTACLES = {
    "view": Obstacle("CREATE VIEW w.x AS SELECT v FROM w.t", "view w.x"),
    "view on the whole row": Obstacle("CREATE VIEW w.x AS SELECT t FROM w.t", "view w.x"),
    "materialized view": Obstacle("CREATE MATERIALIZED VIEW w.x AS SELECT v FROM w.t", "view w.x"),
    "incoming foreign key": Obstacle("CREATE TABLE w.x (t int REFERENCES w.t)", "x_t_fkey"),
    "foreign key to itself": Obstacle("ALTER TABLE w.t ADD up int REFERENCES w.t", "t_up_fkey"),
    "outgoing foreign key": Obstacle(
        "CREATE TABLE w.x (id int PRIMARY KEY); INSERT INTO w.x VALUES (1), (2), (9);"
        "ALTER TABLE w.t ADD CONSTRAINT leads FOREIGN KEY (id) REFERENCES w.x",
        "foreign key leads",
    ),
    "cascading foreign key": Obstacle(
        "CREATE TABLE w.x (t int REFERENCES w.t ON DELETE CASCADE)", "x_t_fkey", overwritten=False
    ),
    "foreign key that sets null": Obstacle(
        "CREATE TABLE w.x (t int REFERENCES w.t ON DELETE SET NULL)", "x_t_fkey", overwritten=False
    ),
    "trigger": Obstacle(
        f"{PLPGSQL}; CREATE TRIGGER fires AFTER INSERT ON w.t EXECUTE FUNCTION w.f()",
        "trigger fires",
        overwritten=False,
    ),
    "disabled trigger": Obstacle(
        f"{PLPGSQL}; CREATE TRIGGER sleeps AFTER INSERT ON w.t EXECUTE FUNCTION w.f();"
        "ALTER TABLE w.t DISABLE TRIGGER sleeps",
        "trigger sleeps",
    ),
    "trigger on update of a column": Obstacle(
        f"{PLPGSQL}; CREATE TRIGGER watches BEFORE UPDATE OF v ON w.t FOR EACH ROW EXECUTE FUNCTION w.f()",
        "trigger watches",
        overwritten=False,
    ),
    "rule": Obstacle("CREATE RULE notes AS ON INSERT TO w.t DO ALSO NOTIFY heard", "rule notes", overwritten=False),
    "rule of another table": Obstacle(
        "CREATE TABLE w.x (id int); CREATE RULE copies AS ON INSERT TO w.x DO ALSO INSERT INTO w.t VALUES (NEW.id)",
        "copies",
    ),
    "row security": Obstacle("ALTER TABLE w.t ENABLE ROW LEVEL SECURITY", "row security"),
    "row security of the owner, too": Obstacle("ALTER TABLE w.t FORCE ROW LEVEL SECURITY", "row security"),
    "policy": Obstacle("CREATE POLICY mine ON w.t USING (id > 0)", "policy mine"),
    "policy of another table": Obstacle(
        "CREATE TABLE w.x (id int); CREATE POLICY theirs ON w.x USING (id IN (SELECT id FROM w.t))", "theirs"
    ),
    "publication": Obstacle("CREATE PUBLICATION p FOR TABLE w.t", "publication p"),
    "publication without a replica identity": Obstacle(
        "CREATE PUBLICATION p FOR TABLE w.t; ALTER TABLE w.t REPLICA IDENTITY NOTHING",
        "publication p",
        overwritten=False,
    ),
    "publication of some columns": Obstacle("CREATE PUBLICATION p FOR TABLE w.t (id)", "publication p", since=15),
    "extended statistics": Obstacle("CREATE STATISTICS w.s ON id, v FROM w.t", "extended statistics s"),
    "inheriting table": Obstacle("CREATE TABLE w.x () INHERITS (w.t)", "w.x"),
    "inherited table": Obstacle("CREATE TABLE w.x (); ALTER TABLE w.t INHERIT w.x", "w.x"),
    "partition of another table": Obstacle(
        "CREATE TABLE w.x (id int, v text) PARTITION BY LIST (id);"
        "ALTER TABLE w.x ATTACH PARTITION w.t FOR VALUES IN (1, 2, 9)",
        "partition of another table",
    ),
    "function on the row type": Obstacle(
        "CREATE FUNCTION w.g(w.t) RETURNS text LANGUAGE sql AS 'SELECT $1.v'", "function w.g"
    ),
    "function that returns rows of it": Obstacle(
        "CREATE FUNCTION w.g() RETURNS SETOF w.t LANGUAGE sql AS 'SELECT * FROM w.t'", "function w.g"
    ),
    "function that takes an array of rows": Obstacle(
        "CREATE FUNCTION w.g(w.t[]) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function w.g"
    ),
    "function with a parsed body": Obstacle(
        "CREATE FUNCTION w.g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM w.t; END", "function w.g"
    ),
    "function called in its default": Obstacle(
        "CREATE FUNCTION w.g() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT max(v) FROM w.t; END;"
        "ALTER TABLE w.t ALTER v SET DEFAULT w.g()",
        "function w.g",
    ),
    "column of its row type": Obstacle("CREATE TABLE w.x (t w.t)", "column t of table w.x"),
    "domain on its row type": Obstacle("CREATE DOMAIN w.d AS w.t", "type w.d"),
    "default that takes its serial's number": Obstacle(
        "ALTER TABLE w.t ADD n serial; CREATE TABLE w.x (n int DEFAULT nextval('w.t_n_seq'))",
        "default value for column n",
    ),
    "comment on the row type": Obstacle("COMMENT ON TYPE w.t IS 'a row'", "row type"),
    "privilege on the row type": Obstacle("REVOKE USAGE ON TYPE w.t FROM PUBLIC", "row type"),
    "type": Obstacle("CREATE TYPE w.c AS (id int, v text); ALTER TABLE w.t OF w.c", "type w.c"),
    "unlogged": Obstacle("ALTER TABLE w.t SET UNLOGGED", "not a permanent table"),
    "security label": Obstacle(
        "INSERT INTO pg_seclabel VALUES ('w.t'::regclass, 'pg_class'::regclass, 0, 'guard', 'secret')", "label of guard"
    ),
    "security label of a column": Obstacle(
        "INSERT INTO pg_seclabel VALUES ('w.t'::regclass, 'pg_class'::regclass, 2, 'guard', 'secret')", "label of guard"
    ),
    "tablespace": Obstacle("ALTER TABLE w.t SET TABLESPACE fid_space", "tablespace fid_space"),
    "index in another tablespace": Obstacle("ALTER INDEX w.t_pkey SET TABLESPACE fid_space", "index t_pkey"),
    "invalid index": Obstacle(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'w.t_pkey'::regclass", "index t_pkey"
    ),
    "grant on an identity's sequence": Obstacle(
        "ALTER TABLE w.t ADD n int GENERATED ALWAYS AS IDENTITY; GRANT USAGE ON SEQUENCE w.t_n_seq TO fid_analyst",
        "t_n_seq",
    ),
    "comment on an identity's sequence": Obstacle(
        "ALTER TABLE w.t ADD n int GENERATED ALWAYS AS IDENTITY; COMMENT ON SEQUENCE w.t_n_seq IS 'counts'", "t_n_seq"
    ),
    "unlogged identity's sequence": Obstacle(
        "ALTER TABLE w.t ADD n int GENERATED ALWAYS AS IDENTITY; ALTER SEQUENCE w.t_n_seq SET UNLOGGED",
        "t_n_seq",
        since=15,
    ),
    "extension's table": Obstacle(
        "INSERT INTO pg_depend SELECT 'pg_class'::regclass, 'w.t'::regclass, 0, 'pg_extension'::regclass, oid, 0, 'e' "
        "FROM pg_extension WHERE extname = 'plpgsql'",
        "extension plpgsql",
    ),
}


@pytest.fixture
def tablespace(db: Connection, postgres: EmbeddedPostgres) -> Iterator[None]:
    """A second place to store tables, as much as Postgres cares."""
    db.execute("SET allow_in_place_tablespaces = on")
    db.execute("CREATE TABLESPACE fid_space LOCATION ''")
    yield
    for kind, name in rows(db, "pg_class JOIN pg_tablespace s ON s.oid = reltablespace WHERE spcname = 'fid_space'",
                           "relkind, pg_class.oid::regclass::text"):  # fmt: skip
        if not name.startswith("pg_toast"):  # it follows its table
            db.execute(f"ALTER {'INDEX' if kind == 'i' else 'TABLE'} {name} SET TABLESPACE pg_default")
    db.execute("DROP TABLESPACE fid_space")


def obstructed(db: Connection, ddl: str) -> str:
    """Make ``w.t`` and what stands in the way; return a SELECT for it that tells whether it ran."""
    db.execute("CREATE TABLE w.t (id int PRIMARY KEY, v text); INSERT INTO w.t VALUES (1, 'old'), (9, 'old')")
    db.execute("CREATE SEQUENCE w.runs")
    db.execute(ddl)  # type: ignore[arg-type]
    columns = [
        name
        for (name,) in rows(
            db,
            "pg_attribute WHERE attrelid = 'w.t'::regclass AND attnum > 2 AND NOT attisdropped AND attidentity = ''",
            "attname",
        )
    ]
    more = "".join(f", NULL::int + nextval('w.runs') AS {name}" for name in columns if name != "n")
    serial = ", 1 AS n" if "n" in columns else ""
    return f"SELECT 1 AS id, 'new' || left(nextval('w.runs')::text, 0) AS v{more}{serial} UNION ALL SELECT 2, 'new'" + (
        "".join(", NULL" for name in columns if name != "n") + (", 2" if serial else "")
    )


def ran(db: Connection) -> bool:
    return bool(db.execute("SELECT is_called FROM w.runs").fetchone() == (True,))


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_a_swap_would_lose_is_not_lost(db: Connection, tablespace: None, name: str) -> None:
    obstacle = OBSTACLES[name]
    if db.info.server_version < obstacle.since * 10000:
        pytest.skip(f"new in Postgres {obstacle.since}")
    select = obstructed(db, obstacle.ddl)
    before, old = fingerprint(db, "w.t"), rows(db, "w.t")

    with pytest.raises(AirflowException, match=r"exchange='swap' of w.t is refused") as refusal:
        publish("w.t", select, exchange="swap")
    assert obstacle.named in str(refusal.value)
    assert not ran(db)
    assert (fingerprint(db, "w.t"), rows(db, "w.t")) == (before, old)

    if obstacle.overwritten:
        assert publish("w.t", select)["exchange"] == "overwrite"
        assert rows(db, "w.t", "id, v") == [(1, "new"), (2, "new")]
    else:
        with pytest.raises(AirflowException, match=r"no way to exchange w.t keeps everything as it is"):
            publish("w.t", select)
        assert not ran(db)
        assert rows(db, "w.t") == old
    assert fingerprint(db, "w.t") == before
    assert left_beside(db) == []
