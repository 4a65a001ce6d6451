"""Transforms of all kinds, small, whose tests the kit's tests run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

FILES: Mapping[str, str] = {
    "raw/flights.yaml": """
        kind: no_op
        output:
          table: raw.flights
          partition: ds
          columns:
            ds: {type: date}
            carrier: {type: varchar(8)}
            origin: {type: text}
            dep_time: {type: integer}
            fare: {type: "numeric(10,2)"}
            on_time: {type: boolean}
            tags: {type: "text[]"}
            doc: {type: jsonb}
            seen: {type: timestamp with time zone}
            weight: {type: double precision}
    """,
    "raw/carriers.yaml": """
        kind: no_op
        output: {table: raw.carriers, columns: {carrier: {type: text}, name: {type: text}}}
    """,
    "flights/daily_flights.yaml": """
        kind: create_table_as
        description: Flights per day, carrier and origin.
        inputs: [raw.flights]
        output: {table: analytics.daily_flights, partition: ds, primary_key: [ds, carrier, origin],
                 columns: {cancelled: "flights without a departure time"}}
        checks:
          - {name: some_rows, check: row_count, condition: {greater_than: 0}}
          - {name: carrier_is_known, check: null_count, column: carrier}
    """,
    "flights/daily_flights.sql": """
        WITH delays AS (
            SELECT * FROM raw.flights WHERE ds = '{{ ds }}' -- of the day
        )
        SELECT ds, carrier, origin, count(*) AS flights, count(*) FILTER (WHERE late.dep_time IS NULL) AS cancelled
        FROM (SELECT d.* FROM delays AS d) AS late
        GROUP BY ds, carrier, origin
    """,
    "flights/same.yaml": """
        kind: create_table_as
        inputs: [raw.flights]
        output: {table: analytics.same}
    """,
    "flights/same.sql": "SELECT flights.* FROM raw.flights;\n",
    "flights/aircraft.yaml": """
        kind: upsert
        inputs: [raw.flights]
        output: {table: analytics.aircraft, primary_key: [carrier]}
    """,
    "flights/aircraft.sql": """
        SELECT carrier, max(fare) AS dearest FROM raw.flights WHERE ds = '{{ ds }}' GROUP BY carrier
    """,
    "flights/carrier_summary.yaml": """
        kind: incremental_summary
        inputs: [raw.flights]
        output: {table: analytics.carrier_summary, partition: ds}
        keys: [carrier]
        measures: {flights: count, fares: {sum: fare}}
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
    daily = inputs["analytics.daily_flights"]
    total = daily.query("SELECT sum(flights) AS n FROM analytics.daily_flights")[0]["n"]
    for row in daily.rows():
        yield {"carrier": row["carrier"], "rating": row["flights"] / max(total, 1)}
""",
    "flights/loaded.yaml": """
        kind: load
        files: "files/{{ ds }}.csv"
        output: {table: raw.loaded, partition: ds,
                 columns: {ds: {type: date}, carrier: {type: text}, n: {type: integer}}}
    """,
}
"""Everything in it is right."""


def written(root: Path, files: Mapping[str, str] | None = None) -> Path:
    """The project in a folder, with other files, or files of other texts; an empty text is no file."""
    for name, text in {**FILES, **(files or {})}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text:
            file.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return root
