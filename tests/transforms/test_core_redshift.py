"""Every kind of transform on each warehouse: the same headers, the same rows."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.errors import ChecksFailed, TableError
from airflow_dataquality.transforms import load, run
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.linting import lint
from support import Database, on
from transforms.flights_project import written

FILES = {
    "f/carriers.yaml": """
        kind: no_op
        output: {table: reference.carriers, columns: {carrier: {type: varchar(2)}, name: {type: varchar(40)}}}
    """,
    "f/flights.yaml": """
        kind: load
        description: Flights, as they departed.
        files: "files/{{ ds }}.csv"
        output:
          table: raw.flights
          partition: ds
          columns:
            ds: {type: date}
            carrier: {type: varchar(2), description: Two letters}
            tailnum: {type: varchar(6)}
            dep_time: {type: integer}
            distance: {type: integer}
    """,
    "f/files/2013-01-01.csv": "carrier,tailnum,dep_time,distance\nUA,N1,517,1400\nUA,N2,,1400\nAA,N3,542,1089\n",
    "f/files/2013-01-02.csv": "carrier,tailnum,dep_time,distance\nUA,N1,600,2475\nAA,N4,,187\n",
    "f/daily.yaml": """
        kind: create_table_as
        description: Flights a day.
        inputs: [raw.flights, reference.carriers]
        output: {table: analytics.daily, partition: ds, columns: {flights: How many}}
        checks:
          - {name: named, check: null_count, column: name}
    """,
    "f/daily.sql": """
        SELECT f.ds, f.carrier, c.name, count(*) AS flights
        FROM raw.flights AS f JOIN reference.carriers AS c ON c.carrier = f.carrier
        WHERE f.ds = '{{ ds }}' GROUP BY f.ds, f.carrier, c.name
    """,
    "f/aircraft.yaml": """
        kind: upsert
        inputs: [raw.flights]
        output: {table: analytics.aircraft, primary_key: [tailnum], columns: {longest: "miles"}}
    """,
    "f/aircraft.sql": """
        SELECT tailnum, max(distance) AS longest FROM raw.flights WHERE ds = '{{ ds }}' GROUP BY tailnum
    """,
    "f/summary.yaml": """
        kind: incremental_summary
        inputs: [raw.flights]
        output: {table: analytics.summary, partition: ds}
        keys: [carrier]
        measures: {flights: count, miles: {sum: distance}}
        on_gap: rebuild
    """,
    "f/busiest.yaml": """
        kind: sql
        inputs: [analytics.daily]
        output: {table: analytics.busiest, partition: ds}
        checks:
          - {name: one, check: row_count, condition: {equal_to: 1}}
    """,
    "f/busiest.sql": """
        CREATE TEMP TABLE ranked AS
        SELECT ds, carrier, row_number() OVER (ORDER BY flights DESC, carrier) AS place
        FROM analytics.daily WHERE ds = '{{ ds }}';
        DELETE FROM analytics.busiest WHERE ds = '{{ ds }}';
        INSERT INTO analytics.busiest (ds, carrier) SELECT ds, carrier FROM ranked WHERE place = 1;
        DROP TABLE ranked
    """,
    "f/ratings.yaml": """
        kind: python
        inputs: [analytics.daily]
        output: {table: analytics.ratings, partition: ds, primary_key: [ds, carrier],
                 columns: {ds: {type: date}, carrier: {type: varchar(2)}, rating: {type: "numeric(4, 2)"}}}
    """,
    "f/ratings.py": """
def run(inputs, output, ds):
    for row in inputs["analytics.daily"].rows():
        assert str(row["ds"]) == ds == str(output.partition["ds"])
        yield {"carrier": row["carrier"], "rating": row["flights"] / 2}
""",
}
TABLES = {
    "raw.flights": [("2013-01-01", "AA", "N3", "542", "1089"), ("2013-01-01", "UA", "N1", "517", "1400"),
                    ("2013-01-01", "UA", "N2", "None", "1400"), ("2013-01-02", "AA", "N4", "None", "187"),
                    ("2013-01-02", "UA", "N1", "600", "2475")],
    "analytics.daily": [("2013-01-01", "AA", "American", "1"), ("2013-01-01", "UA", "United", "2"),
                        ("2013-01-02", "AA", "American", "1"), ("2013-01-02", "UA", "United", "1")],
    "analytics.aircraft": [("N1", "2475"), ("N2", "1400"), ("N3", "1089"), ("N4", "187")],
    "analytics.busiest": [("2013-01-01", "UA"), ("2013-01-02", "AA")],
    "analytics.ratings": [("2013-01-01", "AA", "0.50"), ("2013-01-01", "UA", "1.00"),
                          ("2013-01-02", "AA", "0.50"), ("2013-01-02", "UA", "0.50")],
}  # fmt: skip
DDL = """
    CREATE SCHEMA raw; CREATE SCHEMA reference; CREATE SCHEMA analytics;
    CREATE TABLE reference.carriers (carrier varchar(2), name varchar(40));
    INSERT INTO reference.carriers VALUES ('UA', 'United'), ('AA', 'American');
    CREATE TABLE analytics.busiest (ds date, carrier varchar(2))
"""


def made(folder: Path, database: Database, files: Mapping[str, str] = FILES) -> Project:
    """The project, and its schemas."""
    for statement in DDL.split(";"):
        database.session.execute(statement)
    written(folder / "transforms", files)
    return load(folder / "transforms", dialect=database.kind, cache=False)


def rows(database: Database, table: str) -> list[tuple[str, ...]]:
    return sorted(tuple(map(str, row)) for row in database.session.query(f"SELECT * FROM {table}"))


@on("postgres", "redshift")
def test_every_kind_makes_the_same_rows(database: Database, tmp_path: Path) -> None:
    project = made(tmp_path, database)
    assert [str(each) for each in lint(project) if each.severity == "error"] == []
    for _ in range(2):  # the second time changes nothing
        for day in ("2013-01-01", "2013-01-02"):
            outcomes = {
                each.short_name: run(each, conn_id=database.conn_id, day=day, project=project)
                for each in project.order()
            }
            assert outcomes["busiest"]["statements"][1:3] in ([0, 1], [1, 1])
        assert {table: rows(database, table) for table in TABLES} == TABLES
        assert len(rows(database, "analytics.summary")) == 4


KEYED = """
    kind: create_table_as
    description: Flights a day.
    inputs: [raw.flights, reference.carriers]
    output: {table: analytics.daily, partition: ds, primary_key: [ds, carrier], indexes: [[name], [carrier, ds]],
             columns: {flights: How many}}
"""


def described(database: Database, table: str) -> tuple[str | None, dict[str, str]]:
    """A table's comment, and those of its columns."""
    where = _NAMED.format(*table.split("."))
    (found,) = database.session.query(f"SELECT obj_description(c.oid) FROM pg_class AS c {where}")
    columns = database.session.query(
        "SELECT a.attname, m.description FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid JOIN "
        f"pg_description AS m ON m.objoid = c.oid AND m.objsubid = a.attnum {where}"
    )
    return found[0], {str(name): str(comment) for name, comment in columns}


_NAMED = "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = '{}' AND c.relname = '{}'"


@on("postgres", "redshift")
def test_new_tables_have_their_comments(database: Database, tmp_path: Path) -> None:
    project = made(tmp_path, database)
    for each in project.select("+daily", "aircraft"):
        run(each, conn_id=database.conn_id, day="2013-01-01", project=project)
    assert described(database, "raw.flights") == ("Flights, as they departed.", {"carrier": "Two letters"})
    assert described(database, "analytics.daily") == ("Flights a day.", {"flights": "How many"})
    assert described(database, "analytics.aircraft") == (None, {"longest": "miles"})


@on("postgres", "redshift")
def test_what_is_declared_later_is_told_of_with_its_ddl(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = made(tmp_path, database)
    for each in project.select("+daily", "aircraft"):
        run(each, conn_id=database.conn_id, day="2013-01-01", project=project)
    caplog.clear()
    run(project.transform("daily"), conn_id=database.conn_id, day="2013-01-01")
    run(project.transform("aircraft"), conn_id=database.conn_id, day="2013-01-01")
    assert "stays as it is" not in caplog.text
    caplog.clear()
    later = {
        "f/daily.yaml": KEYED.replace("How many", "How many flights").replace("Flights a day", "Flights each day"),
        "f/aircraft.yaml": FILES["f/aircraft.yaml"].replace('"miles"', "miles flown at once"),
    }
    written(tmp_path / "transforms", later)
    project = load(tmp_path / "transforms", cache=False)
    for name in ("daily", "aircraft"):
        run(project.transform(name), conn_id=database.conn_id, day="2013-01-01")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    text = "\n".join(told)
    assert """COMMENT ON COLUMN "analytics"."daily"."flights" IS 'How many flights'""" in text
    assert """COMMENT ON TABLE "analytics"."daily" IS 'Flights each day.'""" in text
    assert """"longest" IS 'miles flown at once'""" in text
    if database.kind == "redshift":
        assert "analytics.daily gets no index on name; carrier, ds: Redshift has none" in text
        assert "CREATE INDEX" not in text
        return
    ddl = [line for each in told if "analytics.daily exists" in each for line in each.split("\n")[1:]]
    assert [line.split(" ON ")[0] for line in ddl[:2]] == [
        'ALTER TABLE "analytics"."daily" ADD CONSTRAINT "daily_pkey" PRIMARY KEY ("ds", "carrier");',
        'CREATE INDEX "daily_name_idx"',
    ]
    for statement in ddl:
        database.session.execute(statement)
    caplog.clear()
    run(project.transform("daily"), conn_id=database.conn_id, day="2013-01-01")
    assert "stays as it is" not in caplog.text


def test_indexes_on_redshift_are_a_mistake_and_a_key_is_warned_of(tmp_path: Path) -> None:
    written(tmp_path, {**FILES, "f/daily.yaml": KEYED})
    assert load(tmp_path, cache=False).mistakes == ()
    project = load(tmp_path, dialect="redshift", cache=False)
    assert [(each.rule, each.line, each.message) for each in project.mistakes] == [
        ("f.daily", 5, "Redshift has no indexes")
    ]
    written(tmp_path, {"f/daily.yaml": KEYED.replace("indexes: [[name], [carrier, ds]],", "")})
    found = lint(tmp_path, dialect="redshift", cache=False)
    keys = [(each.rule, each.severity) for each in found if each.code == "key"]
    assert keys == [("f.daily", "warning"), ("f.ratings", "warning")]
    (hint,) = {each.hint for each in found if each.code == "key"}
    rule = str(hint).partition("check ")[2]
    checked = KEYED.replace("indexes: [[name], [carrier, ds]],", "") + f"    checks: [{rule}]\n"
    written(tmp_path, {"f/daily.yaml": checked})
    assert [each.rule for each in lint(tmp_path, dialect="redshift", cache=False)] == ["f.ratings"]


ROLE = "arn:aws:iam::123456789012:role/loader"
S3_HEADER = f"""
    kind: load
    files: "s3://lake/flights/{{{{ ds }}}}/"
    format: FORM
    iam_role: {ROLE}
    output:
      table: raw.arrivals
      partition: ds
      columns: {{ds: {{type: date}}, carrier: {{type: varchar(2)}}, delay: {{type: integer}}}}
"""
BODIES: dict[str, bytes] = {
    "csv": b"ds,carrier,delay\n2013-01-01,UA,5\n2013-01-01,,\n",
    "json": b'{"ds": "2013-01-01", "carrier": "UA", "delay": 5}\n'
    b'{"ds": "2013-01-01", "carrier": null, "delay": null}\n',
}


@on("postgres", "redshift")
@pytest.mark.parametrize("form", BODIES)
@pytest.mark.parametrize("packed", [False, True])
def test_files_in_s3(database: Database, s3: Any, tmp_path: Path, form: str, packed: bool) -> None:
    body = gzip.compress(BODIES[form]) if packed else BODIES[form]
    s3.put_object(Bucket="lake", Key=f"flights/2013-01-01/part-0.{form}{'.gz' if packed else ''}", Body=body)
    header = S3_HEADER.replace("FORM", form)
    if packed and database.kind == "redshift":
        header += "    copy_options: [GZIP]\n"
    project = made(tmp_path, database, {**FILES, "f/arrivals.yaml": header})
    for _ in range(2):
        outcome = run(project.transform("arrivals"), conn_id=database.conn_id, day="2013-01-01")
        assert outcome["rows"] == 2
        assert rows(database, "raw.arrivals") == [("2013-01-01", "None", "None"), ("2013-01-01", "UA", "5")]


@on("postgres", "redshift")
def test_files_in_s3_without_the_partition(database: Database, s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="lake", Key="flights/2013-01-01/part-0.tsv", Body=b"carrier\tdelay\nUA\t5\nAA\t\n")
    header = S3_HEADER.replace("FORM", "csv").replace('ds }}/"', 'ds }}/part-0.tsv"')
    header += "    file_columns: [carrier, delay]\n"
    project = made(tmp_path, database, {**FILES, "f/arrivals.yaml": header})
    for _ in range(2):
        assert run(project.transform("arrivals"), conn_id=database.conn_id, day="2013-01-01")["rows"] == 2
        assert rows(database, "raw.arrivals") == [("2013-01-01", "AA", "None"), ("2013-01-01", "UA", "5")]


@on("redshift")
def test_a_partition_that_files_in_s3_do_not_have(database: Database, s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="lake", Key="flights/2013-01-01/part-0.json", Body=b'{"carrier": "UA", "delay": 5}')
    project = made(tmp_path, database, {**FILES, "f/arrivals.yaml": S3_HEADER.replace("FORM", "json")})
    with pytest.raises(ChecksFailed, match="rows_in_partition"):
        run(project.transform("arrivals"), conn_id=database.conn_id, day="2013-01-01")


@on("redshift")
def test_files_that_are_not_there_and_rows_that_do_not_fit(database: Database, s3: Any, tmp_path: Path) -> None:
    project = made(tmp_path, database, {**FILES, "f/arrivals.yaml": S3_HEADER.replace("FORM", "csv")})
    with pytest.raises(TableError, match="no file has this prefix"):
        run(project.transform("arrivals"), conn_id=database.conn_id, day="2013-01-01")
    s3.put_object(Bucket="lake", Key="flights/2013-01-01/part-0.csv", Body=b"ds,carrier,delay\n2013-01-01,UA,soon\n")
    with pytest.raises(TableError, match="COPY from s3://lake/flights/2013-01-01/ failed"):
        run(project.transform("arrivals"), conn_id=database.conn_id, day="2013-01-01")
    assert database.session.query("SELECT 1 FROM pg_tables WHERE schemaname = 'raw'") == []


def test_who_may_read_the_files_is_asked_for_at_once(tmp_path: Path) -> None:
    header = S3_HEADER.replace("FORM", "csv").replace(f"    iam_role: {ROLE}\n", "")
    written(tmp_path, {**FILES, "f/arrivals.yaml": header})
    assert load(tmp_path, cache=False).mistakes == ()
    (mistake,) = load(tmp_path, dialect="redshift", cache=False).mistakes
    assert (mistake.rule, mistake.path) == ("f.arrivals", "files")
    assert mistake.message == "nothing says who may read the files"
