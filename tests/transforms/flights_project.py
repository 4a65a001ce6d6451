"""A small project over all kinds of transforms, written into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DAG_FILE = """
from airflow_dataquality.transforms import dags_from

dags_from("transforms", conn_id="warehouse", poke_interval=1)
"""
FILES: Mapping[str, str] = {
    "reference/carriers.yaml": """
        kind: no_op
        output: {table: reference.carriers, columns: {carrier: {type: text}, name: {type: text}}}
    """,
    "flights/pipeline.yaml": """
        description: Flights and what is made of them.
        owner: network-planning
        schedule: "@daily"
        tags: [flights]
        start_date: 2013-01-01
    """,
    "flights/raw_flights.yaml": """
        kind: load
        files: "files/{{ ds }}.csv"
        output:
          table: raw.flights
          partition: ds
          columns:
            ds: {type: date}
            carrier: {type: text, description: Two letters}
            tailnum: {type: text}
            origin: {type: text}
            dep_time: {type: integer}
            distance: {type: integer}
    """,
    "flights/daily_flights.yaml": """
        kind: create_table_as
        description: Flights per day, carrier and origin.
        inputs: [raw.flights, reference.carriers]
        output: {table: analytics.daily_flights, partition: ds, indexes: [[carrier]], primary_key: [ds, carrier, origin],
                 columns: {cancelled: "flights without a departure time"}}
        checks: checks/daily_flights.yaml
        anomalies: {metrics: auto}
        monitor: {notify: "@slack-planning"}
        tags: [core]
    """,  # noqa: E501 - as long as people write them
    "flights/daily_flights.sql": """
        WITH delays AS (SELECT * FROM raw.flights WHERE ds = '{{ ds }}')
        SELECT d.ds, d.carrier, d.origin, c.name, count(*) AS flights,
               count(*) FILTER (WHERE d.dep_time IS NULL) AS cancelled
        FROM delays AS d JOIN reference.carriers AS c ON c.carrier = d.carrier
        GROUP BY d.ds, d.carrier, d.origin, c.name
    """,
    "flights/checks/daily_flights.yaml": """
        name: daily_flights
        rules:
          - {name: carrier_is_known, check: null_count, column: carrier}
          - {check: min, column: flights, condition: {geq_to: 1}}
    """,
    "flights/aircraft.yaml": """
        kind: upsert
        inputs: [raw.flights]
        output: {table: analytics.aircraft, primary_key: [tailnum]}
    """,
    "flights/aircraft.sql": """
        SELECT tailnum, max(distance) AS longest FROM raw.flights WHERE ds = '{{ ds }}' GROUP BY tailnum
    """,
    "flights/carrier_summary.yaml": """
        kind: incremental_summary
        inputs: [raw.flights]
        output: {table: analytics.carrier_summary, partition: ds}
        keys: [carrier]
        measures: {flights: count, miles: {sum: distance}}
        on_gap: rebuild
    """,
    "flights/busiest.yaml": """
        kind: sql
        inputs: [analytics.daily_flights]
        output: {table: analytics.busiest, partition: ds}
    """,
    "flights/busiest.sql": """
        CREATE TABLE IF NOT EXISTS analytics.busiest (ds date, origin text);
        DELETE FROM analytics.busiest WHERE ds = '{{ ds }}';
        INSERT INTO analytics.busiest
        SELECT ds, origin FROM analytics.daily_flights WHERE ds = '{{ ds }}' GROUP BY ds, origin
        ORDER BY sum(flights) DESC, origin LIMIT 1;
    """,
    "flights/ratings.yaml": """
        kind: python
        inputs: [analytics.daily_flights]
        output: {table: analytics.ratings, partition: ds,
                 columns: {ds: {type: date}, carrier: {type: text}, rating: {type: "numeric(4, 2)"}}}
    """,
    "flights/ratings.py": """
def run(inputs, output):
    flights, cancelled = {}, {}
    for row in inputs["analytics.daily_flights"].rows():
        flights[row["carrier"]] = flights.get(row["carrier"], 0) + row["flights"]
        cancelled[row["carrier"]] = cancelled.get(row["carrier"], 0) + row["cancelled"]
    for carrier in flights:
        yield {"carrier": carrier, "rating": 1 - cancelled[carrier] / flights[carrier]}
""",
    "flights/files/2013-01-01.csv": """\
carrier,tailnum,origin,dep_time,distance
UA,N1,EWR,517,1400
UA,N2,EWR,,1400
AA,N3,JFK,542,1089
""",
    "flights/files/2013-01-02.csv": """\
carrier,tailnum,origin,dep_time,distance
UA,N1,LGA,600,2475
AA,N3,JFK,601,1089
AA,N4,JFK,,187
""",
}
DDL = """
    CREATE SCHEMA raw; CREATE SCHEMA reference; CREATE SCHEMA analytics;
    CREATE TABLE reference.carriers (carrier text, name text);
    INSERT INTO reference.carriers VALUES ('UA', 'United'), ('AA', 'American');
"""


def written(root: Path, files: Mapping[str, str] = FILES) -> Path:
    """The files, in a folder; those of SQL and YAML without the indentation that they have here."""
    from textwrap import dedent

    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
    return root
