"""One partition of a partitioned table is exchanged by DETACH and ATTACH, or overwritten where that loses something."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from psycopg.sql import quote

from fingerprint import fingerprint
from publishing import left_beside, publish, rows

Connection = psycopg.Connection[Any]

CHILD = [
    "ALTER TABLE w.child ADD CONSTRAINT short CHECK (length(v) < 9)",
    "ALTER TABLE w.child ALTER v SET DEFAULT 'own', ALTER v SET STATISTICS 99, ALTER id SET (n_distinct = 5)",
    "ALTER TABLE w.child SET (fillfactor = 61)",
    "CREATE INDEX own ON w.child (lower(v)) WHERE id > 0",
    "COMMENT ON INDEX w.own IS 'an index of its own'",
    "COMMENT ON TABLE w.child IS 'the child''s own'",
    "COMMENT ON COLUMN w.child.v IS 'its column'",
    "COMMENT ON CONSTRAINT short ON w.child IS 'its constraint'",
    "GRANT SELECT ON w.child TO fid_analyst",
    "GRANT UPDATE (v) ON w.child TO fid_lead WITH GRANT OPTION",
    "ALTER TABLE w.child REPLICA IDENTITY FULL",
]


@dataclass(frozen=True)
class Kind:
    """A way to partition, two bounds, and the values that they hold alone."""

    type: str
    by: str
    bound: str
    value: Any
    other_bound: str
    other: Any


KINDS = {
    "list of text": Kind("text", "LIST", "IN ('EU')", "EU", "IN ('it''s 100 % \\')", "it's 100 % \\"),
    "list of varchar": Kind("varchar(9)", "LIST", "IN ('EU')", "EU", "IN ('eu')", "eu"),
    "list of integers": Kind("int", "LIST", "IN (7)", 7, "IN (-8)", "-8"),
    "list of numerics": Kind("numeric(9, 2)", "LIST", "IN (1.50)", 1.5, "IN (2)", 2),
    "list of dates": Kind("date", "LIST", "IN ('2013-02-01')", "2013-2-1", "IN ('2013-02-02')", "20130202"),
    "list of moments": Kind(
        "timestamptz",
        "LIST",
        "IN ('2013-02-01 00:00+00')",
        "2013-02-01T01:00+01:00",
        "IN ('2013-02-02 00:00+00')",
        "2013-02-02 00:00Z",
    ),
    "list of booleans": Kind("bool", "LIST", "IN (true)", True, "IN (false)", "off"),
    "list with NULL": Kind("text", "LIST", "IN (NULL)", None, "IN ('null')", "null"),
    "list of empty text": Kind("text", "LIST", "IN ('')", "", "IN (' ')", " "),
    "days": Kind(
        "date",
        "RANGE",
        "FROM ('2013-02-28') TO ('2013-03-01')",
        "2013-02-28",
        "FROM ('2013-03-01') TO ('2013-03-02')",
        "2013-03-01",
    ),
    "range of integers": Kind("bigint", "RANGE", "FROM (5) TO (6)", 5, "FROM (-1) TO (0)", -1),
}


def create_parent(db: Connection, kind: Kind) -> None:
    db.execute(f"CREATE TABLE w.p (k {kind.type}, id int NOT NULL, v text) PARTITION BY {kind.by} (k)")  # type: ignore[arg-type]
    db.execute("ALTER TABLE w.p ADD CONSTRAINT positive CHECK (id > 0)")
    db.execute("CREATE UNIQUE INDEX p_key ON w.p (k, id); CREATE INDEX p_v ON w.p (v DESC)")
    db.execute("CREATE VIEW w.seen AS SELECT * FROM w.p; CREATE STATISTICS w.s ON k, id FROM w.p")
    db.execute("GRANT SELECT ON w.p TO fid_analyst; COMMENT ON TABLE w.p IS 'the parent'")


def select(kind: Kind, value: Any, ids: str) -> str:
    literal = "NULL" if value is None else quote(str(value))
    return f"SELECT CAST({literal} AS {kind.type}) AS k, id, 'new' AS v FROM unnest(ARRAY[{ids}]) AS id"


@pytest.mark.parametrize("keep_previous", [0, 1])
@pytest.mark.parametrize("name", KINDS)
def test_a_child_keeps_everything(db: Connection, name: str, keep_previous: int) -> None:
    kind = KINDS[name]
    create_parent(db, kind)
    db.execute(f"CREATE TABLE w.child PARTITION OF w.p FOR VALUES {kind.bound}")  # type: ignore[arg-type]
    db.execute(f"CREATE TABLE w.other PARTITION OF w.p FOR VALUES {kind.other_bound}")  # type: ignore[arg-type]
    for statement in CHILD:
        db.execute(statement)  # type: ignore[arg-type]
    db.execute(f"INSERT INTO w.p {select(kind, kind.value, '9')} UNION ALL {select(kind, kind.other, '9')}")  # type: ignore[arg-type]
    before = fingerprint(db, "w.p")
    for ids in ("1, 2", "3, 4, 5"):
        outcome = publish(
            "w.p", select(kind, kind.value, ids), partition={"k": kind.value}, keep_previous=keep_previous
        )
        assert outcome["exchange"] == "attach"
        assert fingerprint(db, "w.p") == before
    assert rows(db, "w.child", "id") == rows(db, "w.seen WHERE id < 9", "id") == [(3,), (4,), (5,)]
    assert rows(db, "w.other", "id") == [(9,)]
    publish("w.p", select(kind, kind.other, "6"), partition={"k": kind.other}, exchange="attach")
    assert rows(db, "w.p", "id") == [(3,), (4,), (5,), (6,)]
    assert fingerprint(db, "w.p") == before
    assert len(left_beside(db)) == keep_previous


@pytest.mark.parametrize("name", KINDS)
def test_a_new_child_is_as_the_database_would_make_it(db: Connection, name: str) -> None:
    kind = KINDS[name]
    create_parent(db, kind)
    db.execute("COMMENT ON COLUMN w.p.v IS 'the parent''s'; COMMENT ON INDEX w.p_v IS 'the parent''s'")
    db.execute("ALTER TABLE w.p ALTER v SET DEFAULT 'x', ALTER v SET STATISTICS 77, ALTER v SET STORAGE EXTERNAL")
    db.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO fid_analyst")
    db.execute(f"CREATE TABLE w.twin PARTITION OF w.p FOR VALUES {kind.bound}")  # type: ignore[arg-type]
    twin = nameless(fingerprint(db, "w.twin"))
    db.execute("DROP TABLE w.twin")
    parent = fingerprint(db, "w.p")
    assert publish("w.p", select(kind, kind.value, "1"), partition={"k": kind.value})["exchange"] == "attach"
    ((child,),) = db.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'w.p'::regclass")
    assert nameless(fingerprint(db, child)) == twin
    assert [line for line in fingerprint(db, "w.p") if line.startswith("w.p:") and child not in line] == parent
    assert publish("w.p", select(kind, kind.value, "2"), partition={"k": kind.value})["exchange"] == "attach"
    assert nameless(fingerprint(db, child)) == twin


def nameless(lines: list[str]) -> list[str]:
    """The fingerprint but for what the child and its indexes are called."""
    relation = lines[0].split(":")[0].removeprefix("w.")
    indexes = re.findall(r'index: .*?"name": "([^"]+)"', "\n".join(lines))
    text = "\n".join(lines)
    for name in sorted(indexes, key=len, reverse=True):
        text = text.replace(name, "INDEX")
    return sorted(text.replace(relation, "CHILD").splitlines())


def test_a_later_publication_of_a_new_day_makes_a_new_child(db: Connection) -> None:
    db.execute("CREATE TABLE w.p (ds date, id int, PRIMARY KEY (ds, id)) PARTITION BY LIST (ds)")
    for day in ("2013-02-01", "2013-02-02"):
        outcome = publish("w.p", f"SELECT '{day}' AS ds, 1 AS id", partition={"ds": day})
        assert (outcome["exchange"], outcome["rows"]) == ("attach", 1)
    assert rows(db, "w.p_2013_02_01") == [*rows(db, "w.p WHERE ds = '2013-02-01'")]
    assert rows(db, "w.p", "ds::text, id") == [("2013-02-01", 1), ("2013-02-02", 1)]


def test_children_with_a_name_that_is_taken(db: Connection) -> None:
    db.execute("CREATE TABLE w.p (ds date, id int) PARTITION BY LIST (ds); CREATE TABLE w.p_2013_02_01 (mine text)")
    assert publish("w.p", "SELECT '2013-02-01' AS ds, 1 AS id", partition={"ds": "2013-02-01"})["exchange"] == "attach"
    assert len(rows(db, "w.p")) == 1
    assert rows(db, "w.p_2013_02_01") == []


# -- what attach would lose


@dataclass(frozen=True)
class Obstacle:
    """Something about ``w.p (ds, id, v)`` and its child ``w.child`` that DETACH and ATTACH would lose."""

    ddl: str
    named: str
    by: str = "LIST (ds)"
    child: str = "FOR VALUES IN ('2013-02-01')"
    overwritten: bool = True


FUNCTION = "CREATE FUNCTION w.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
OBSTACLES = {
    "month": Obstacle("", "holds more", "RANGE (ds)", "FOR VALUES FROM ('2013-02-01') TO ('2013-03-01')"),
    "open range": Obstacle("", "holds more", "RANGE (ds)", "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"),
    "several values": Obstacle("", "holds more", child="FOR VALUES IN ('2013-02-01', '2013-02-02')"),
    "value or NULL": Obstacle("", "holds more", child="FOR VALUES IN ('2013-02-01', NULL)"),
    "default partition": Obstacle("CREATE TABLE w.rest PARTITION OF w.p DEFAULT", "DEFAULT"),
    "only a default partition": Obstacle("", "DEFAULT", child="DEFAULT"),
    "sub-partitions": Obstacle(
        "CREATE TABLE w.sub PARTITION OF w.child FOR VALUES IN (1); CREATE TABLE w.sub2 PARTITION OF w.child DEFAULT",
        "partitioned again",
        child="FOR VALUES IN ('2013-02-01') PARTITION BY LIST (id)",
    ),
    "two columns": Obstacle(
        "", "not partitioned by exactly", "RANGE (ds, id)", "FOR VALUES FROM ('2013-01-01', 0) TO ('2014-01-01', 0)"
    ),
    "another column": Obstacle("", "not partitioned by exactly", "LIST (id)", "FOR VALUES IN (1, 2, 9)"),
    "expression": Obstacle("", "not partitioned by exactly", "LIST ((id % 1))", "FOR VALUES IN (0)"),
    "hash": Obstacle("", "not partitioned by exactly", "HASH (ds)", "FOR VALUES WITH (MODULUS 1, REMAINDER 0)"),
    "incoming foreign key": Obstacle(
        "ALTER TABLE w.p ADD PRIMARY KEY (ds, id);"
        "CREATE TABLE w.x (ds date, id int, FOREIGN KEY (ds, id) REFERENCES w.p)",
        "x_ds_id_fkey",
    ),
    "foreign key to the child": Obstacle(
        "ALTER TABLE w.child ADD PRIMARY KEY (id); CREATE TABLE w.x (id int REFERENCES w.child)", "x_id_fkey"
    ),
    "outgoing foreign key": Obstacle(
        "CREATE TABLE w.x (id int PRIMARY KEY); INSERT INTO w.x VALUES (1), (2), (9);"
        "ALTER TABLE w.p ADD FOREIGN KEY (id) REFERENCES w.x",
        "p_id_fkey",
    ),
    "outgoing foreign key of the child": Obstacle(
        "CREATE TABLE w.x (id int PRIMARY KEY); INSERT INTO w.x VALUES (1), (2), (9);"
        "ALTER TABLE w.child ADD FOREIGN KEY (id) REFERENCES w.x",
        "child_id_fkey",
    ),
    "trigger": Obstacle(
        f"{FUNCTION}; CREATE TRIGGER fires AFTER INSERT ON w.p FOR EACH ROW EXECUTE FUNCTION w.f()",
        "trigger fires",
        overwritten=False,
    ),
    "trigger of the child": Obstacle(
        f"{FUNCTION}; CREATE TRIGGER fires AFTER INSERT ON w.child FOR EACH ROW EXECUTE FUNCTION w.f()",
        "trigger fires",
        overwritten=False,
    ),
    "row security": Obstacle("ALTER TABLE w.child ENABLE ROW LEVEL SECURITY", "row security"),
    "policy": Obstacle("CREATE POLICY mine ON w.p USING (true)", "policy mine"),
    "publication": Obstacle(
        "CREATE PUBLICATION p FOR TABLE w.p; ALTER TABLE w.child REPLICA IDENTITY FULL", "publication p"
    ),
    "publication of the child": Obstacle(
        "CREATE PUBLICATION p FOR TABLE w.child; ALTER TABLE w.child REPLICA IDENTITY FULL", "publication p"
    ),
    "publication without a replica identity": Obstacle(
        "CREATE PUBLICATION p FOR TABLE w.p", "publication p", overwritten=False
    ),
    "view on the child": Obstacle("CREATE VIEW w.x AS SELECT id FROM w.child", "view w.x"),
    "statistics of the child": Obstacle("CREATE STATISTICS w.s ON id, v FROM w.child", "extended statistics s"),
    "function on the child's row type": Obstacle(
        "CREATE FUNCTION w.g(w.child) RETURNS text LANGUAGE sql AS 'SELECT $1.v'", "function w.g"
    ),
    "other storage in the child": Obstacle("ALTER TABLE w.child ALTER v SET STORAGE EXTERNAL", "column v"),
    "other order in the child": Obstacle(
        "ALTER TABLE w.p DETACH PARTITION w.child; ALTER TABLE w.child DROP id, ADD id int;"
        "ALTER TABLE w.p ATTACH PARTITION w.child FOR VALUES IN ('2013-02-01')",
        "column id",
    ),
    "unlogged child": Obstacle("ALTER TABLE w.child SET UNLOGGED", "not a permanent table"),
    "index that stands on the parent only": Obstacle("CREATE INDEX half ON ONLY w.p (v)", "index half is invalid"),
}

ROWS = """SELECT date '2013-02-01' AS ds, 1 AS id, 'new' || left(nextval('w.runs')::text, 0) AS v
          UNION ALL SELECT date '2013-02-01', 2, 'new'"""
DAY = {"ds": "2013-02-01"}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_an_attach_would_lose_is_not_lost(db: Connection, name: str) -> None:
    obstacle = OBSTACLES[name]
    db.execute(f"CREATE TABLE w.p (ds date, id int, v text) PARTITION BY {obstacle.by}")  # type: ignore[arg-type]
    db.execute(f"CREATE TABLE w.child PARTITION OF w.p {obstacle.child}")  # type: ignore[arg-type]
    db.execute("CREATE SEQUENCE w.runs")
    db.execute(obstacle.ddl)  # type: ignore[arg-type]
    if obstacle.overwritten:
        db.execute("INSERT INTO w.p VALUES ('2013-02-01', 1, 'old'), ('2013-02-01', 9, 'old')")
    before, old = fingerprint(db, "w.p"), rows(db, "w.p")

    with pytest.raises(AirflowException, match=r"exchange='attach' of w.p/ds=2013-02-01 is refused") as refusal:
        publish("w.p", ROWS, partition=DAY, exchange="attach")
    assert obstacle.named in str(refusal.value)
    assert db.execute("SELECT is_called FROM w.runs").fetchone() == (False,)
    assert (fingerprint(db, "w.p"), rows(db, "w.p")) == (before, old)

    if obstacle.overwritten:
        for _ in range(2):
            assert publish("w.p", ROWS, partition=DAY)["exchange"] == "overwrite"
        assert rows(db, "w.p", "ds::text, id, v") == [("2013-02-01", 1, "new"), ("2013-02-01", 2, "new")]
    else:
        with pytest.raises(AirflowException, match=r"no way to exchange w.p/ds=2013-02-01 keeps everything as it is"):
            publish("w.p", ROWS, partition=DAY)
        assert rows(db, "w.p") == old
    assert fingerprint(db, "w.p") == before
    assert left_beside(db) == []


def test_a_moment_range_is_overwritten(db: Connection) -> None:
    db.execute("CREATE TABLE w.p (at timestamptz, id int) PARTITION BY RANGE (at)")
    db.execute("CREATE TABLE w.child PARTITION OF w.p FOR VALUES FROM ('2013-02-01') TO ('2013-02-02')")
    select = "SELECT '2013-02-01'::timestamptz AS at, 1 AS id"
    assert publish("w.p", select, partition={"at": "2013-02-01"})["exchange"] == "overwrite"
    assert rows(db, "w.child", "id") == [(1,)]


def test_a_child_of_another_owner_is_overwritten(db: Connection, loader: str) -> None:
    db.execute("CREATE TABLE w.p (ds date, id int, v text) PARTITION BY LIST (ds)")
    db.execute("CREATE TABLE w.child PARTITION OF w.p FOR VALUES IN ('2013-02-01')")
    db.execute("ALTER TABLE w.p OWNER TO fid_loader; ALTER TABLE w.child OWNER TO fid_owner")
    before = fingerprint(db, "w.p")
    rows_of_day = "SELECT '2013-02-01' AS ds, 1 AS id, 'new' AS v"
    with pytest.raises(AirflowException, match="owner fid_owner: this role may not act as it"):
        publish("w.p", rows_of_day, partition=DAY, exchange="attach", conn_id=loader)
    assert publish("w.p", rows_of_day, partition=DAY, conn_id=loader)["exchange"] == "overwrite"
    assert fingerprint(db, "w.p") == before


def test_a_whole_partitioned_table_is_overwritten(db: Connection) -> None:
    db.execute("CREATE TABLE w.p (ds date, id int, v text) PARTITION BY LIST (ds)")
    for day in (1, 2):
        db.execute(f"CREATE TABLE w.d{day} PARTITION OF w.p FOR VALUES IN ('2013-02-0{day}')")  # type: ignore[arg-type]
    db.execute("INSERT INTO w.p VALUES ('2013-02-01', 9, 'old'), ('2013-02-02', 9, 'old')")
    before, old = fingerprint(db, "w.p"), rows(db, "w.p")
    with pytest.raises(AirflowException, match="no partition of relation"):
        publish("w.p", "SELECT '2013-02-03' AS ds, 1 AS id, 'new' AS v")
    assert rows(db, "w.p") == old
    with pytest.raises(AirflowException, match=r"exchange='swap' does not fit w.p: the table is partitioned"):
        publish("w.p", "SELECT '2013-02-02' AS ds, 1 AS id, 'new' AS v", exchange="swap")
    assert publish("w.p", "SELECT '2013-02-02' AS ds, 1 AS id, 'new' AS v")["exchange"] == "overwrite"
    assert (rows(db, "w.d1"), rows(db, "w.d2", "id, v")) == ([], [(1, "new")])
    assert fingerprint(db, "w.p") == before
