"""Overwriting: partitions, side effects that must be named, and the keyed difference below foreign keys."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from fingerprint import fingerprint
from publishing import left_beside, publish, rows

Connection = psycopg.Connection[Any]

NEW = "SELECT '2013-02-01' AS ds, i AS id, 'new' AS name FROM generate_series(1, 2) AS i"


@pytest.mark.parametrize("spelling", ["2013-02-01", "2013-2-1", "20130201", "Feb 1, 2013"])
def test_a_partition_is_its_value_not_its_spelling(db: Connection, spelling: str) -> None:
    outcome = publish("w.t", NEW, partition={"ds": spelling})
    assert outcome["partition"] == {"ds": "2013-02-01"}
    assert rows(db, "w.t", "ds::text, id, name") == [
        ("2013-02-01", 1, "new"), ("2013-02-01", 2, "new"), ("2013-02-02", 1, "old"), ("2013-02-03", 2, "old"),
    ]  # fmt: skip


def test_rows_of_another_partition_are_an_error(db: Connection) -> None:
    old = rows(db, "w.t")
    mixed = f"{NEW} UNION ALL SELECT '2013-02-05', 3, 'x' UNION ALL SELECT NULL, 4, 'x'".replace("'2", "date '2")
    with pytest.raises(AirflowException, match="2 rows are not of ds=2013-02-01, but of") as failure:
        publish("w.t", mixed, partition={"ds": "2013-02-01"}, fail_on="never")
    assert "2013-02-05" in str(failure.value)
    assert rows(db, "w.t") == old
    with pytest.raises(AirflowException, match="no partition column 'ds'"):
        publish("w.t", "SELECT 1 AS id, 'x' AS name", partition={"ds": "2013-02-01"})
    with pytest.raises(AirflowException, match=r"partition value 'soon' does not fit column 'ds' \(date\)"):
        publish("w.t", NEW, partition={"ds": "soon"})
    (rejected,) = left_beside(db)
    assert len(rows(db, rejected)) == 4


@pytest.mark.parametrize("exchange", ["swap", "attach", "create"])
def test_a_mode_that_does_not_fit_is_refused(db: Connection, exchange: str) -> None:
    with pytest.raises(AirflowException, match=f"(?s)exchange='{exchange}' does not fit .* use exchange=\"auto\""):
        publish("w.t", NEW.replace("\n", " "), partition={"ds": "2013-02-01"}, exchange=exchange)


def test_what_is_no_table_is_refused(db: Connection) -> None:
    db.execute("CREATE VIEW w.v AS SELECT * FROM w.t; CREATE SEQUENCE w.s")
    for name, kind in {"v": "view", "s": "sequence"}.items():
        with pytest.raises(AirflowException, match=f"w.{name} is a {kind}, not a table"):
            publish(f"w.{name}", NEW)


# -- side effects


SIDE_EFFECTS = {
    "counts": """CREATE TABLE w.log (n int); CREATE FUNCTION w.f() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN INSERT INTO w.log VALUES (1); RETURN NEW; END';
                 CREATE TRIGGER counts AFTER INSERT ON w.t FOR EACH ROW EXECUTE FUNCTION w.f()""",
    "tells": """CREATE TABLE w.log (n int);
                CREATE RULE tells AS ON INSERT TO w.t DO ALSO INSERT INTO w.log VALUES (1)""",
    "log_id_fkey": """ALTER TABLE w.t ADD PRIMARY KEY (id);
                      CREATE TABLE w.log (id int REFERENCES w.t ON DELETE CASCADE);
                      INSERT INTO w.log VALUES (0), (1)""",
}


@pytest.mark.parametrize(("name", "there"), [("counts", 2), ("tells", 2), ("log_id_fkey", 1)])
def test_side_effects_must_be_allowed_by_name(db: Connection, name: str, there: int) -> None:
    db.execute(SIDE_EFFECTS[name])  # type: ignore[arg-type]
    before, old, log = fingerprint(db, "w.t"), rows(db, "w.t"), rows(db, "w.log")
    for allowed in ((), ("another",)):
        for mode in ("auto", "overwrite"):
            with pytest.raises(AirflowException, match=name) as refusal:
                publish("w.t", NEW, exchange=mode, allow_side_effects=allowed)
            assert "allow_side_effects=[" in str(refusal.value)
    assert (rows(db, "w.t"), rows(db, "w.log")) == (old, log)
    assert publish("w.t", NEW, allow_side_effects=[name])["exchange"] == "overwrite"
    assert rows(db, "w.t", "id, name") == [(1, "new"), (2, "new")]
    assert len(rows(db, "w.log")) == there
    assert fingerprint(db, "w.t") == before


def test_a_trigger_that_takes_rows_away_is_found_out(db: Connection) -> None:
    db.execute("""CREATE FUNCTION w.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                  CREATE TRIGGER eats BEFORE INSERT ON w.t FOR EACH ROW EXECUTE FUNCTION w.f()""")
    old = rows(db, "w.t")
    with pytest.raises(AirflowException, match="trigger eats"):
        publish("w.t", NEW)
    assert rows(db, "w.t") == old


# -- the keyed difference


def keyed(db: Connection, action: str = "") -> None:
    db.execute("ALTER TABLE w.t ADD PRIMARY KEY (id); ALTER TABLE w.t ADD doc jsonb, ADD place point")
    db.execute("UPDATE w.t SET doc = '{\"a\": 1}', place = '(1, 2)'")
    db.execute(f"CREATE TABLE w.child (id int REFERENCES w.t {action}); INSERT INTO w.child VALUES (0), (1)")  # type: ignore[arg-type]


CHANGED = """SELECT CASE i WHEN 1 THEN date '2013-02-09' ELSE '2013-02-01'::date + i END AS ds, i AS id, 'old' AS name,
                    '{"a": 1}'::jsonb AS doc, point '(1, 2)' AS place
             FROM generate_series(0, 3) AS i WHERE i <> 2"""


@pytest.mark.parametrize("action", ["", "ON DELETE RESTRICT", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"])
def test_below_foreign_keys_only_what_differs_is_touched(db: Connection, action: str) -> None:
    """Also where a column's type has no equality: json documents' cousins, points."""
    keyed(db, action)
    before = dict(rows(db, "w.t", "id, xmin::text"))
    assert publish("w.t", CHANGED)["exchange"] == "overwrite"
    after = dict(rows(db, "w.t", "id, xmin::text"))
    assert {row_id for row_id in after if before.get(row_id) != after[row_id]} == {1, 3}
    assert rows(db, "w.t", "id, ds::text") == [(0, "2013-02-01"), (1, "2013-02-09"), (3, "2013-02-04")]
    assert rows(db, "w.child") == [(0,), (1,)]


def test_below_foreign_keys_a_partition_is_its_own(db: Connection) -> None:
    keyed(db)
    one = "SELECT ds, id, 'new' AS name, doc, place FROM w.t WHERE id = 1"
    assert publish("w.t", one, partition={"ds": "2013-02-02"}, keep_previous=1)["exchange"] == "overwrite"
    assert rows(db, "w.t", "id, name") == [(0, "old"), (1, "new"), (2, "old")]
    (previous,) = left_beside(db)
    assert rows(db, previous, "id, name") == [(1, "old")]


def test_a_row_that_is_referred_to_does_not_go(db: Connection) -> None:
    keyed(db)
    old = rows(db, "w.t", "xmin::text, id")
    with pytest.raises(AirflowException, match='violates foreign key constraint "child_id_fkey"'):
        publish("w.t", CHANGED.replace("i <> 2", "i <> 1"))
    assert rows(db, "w.t", "xmin::text, id") == old


def test_below_foreign_keys_a_key_may_come_twice_in_the_select(db: Connection) -> None:
    keyed(db)
    old = rows(db, "w.t", "xmin::text, id")
    with pytest.raises(AirflowException, match="could not be exchanged by overwrite"):
        publish("w.t", f"{CHANGED} UNION ALL SELECT '2013-02-04', 3, 'twice', NULL, NULL")
    assert rows(db, "w.t", "xmin::text, id") == old
