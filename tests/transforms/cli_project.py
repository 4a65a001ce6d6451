"""A small project of transforms, written into a folder of the test's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FILES: Mapping[str, str] = {
    "raw/pipeline.yaml": 'description: What arrives.\nowner: platform\nschedule: "@daily"\n',
    "raw/flights.yaml": (
        "kind: load\ndescription: Flights as they arrive.\nfiles: data/flights.csv\noutput:\n  table: raw.flights\n"
        "  columns:\n"
        "    ds: {type: date, description: when it left}\n    carrier: {type: text}\n    origin: {type: text}\n"
        "    delay: {type: integer, description: minutes}\n"
    ),
    "raw/data/flights.csv": (
        "ds,carrier,origin,delay\n2013-01-01,UA,EWR,5\n2013-01-01,UA,EWR,\n2013-01-01,AA,JFK,7\n2013-01-02,AA,JFK,9\n"
    ),
    "flights/pipeline.yaml": (
        'description: Flights & <carriers>.\nowner: planning\nschedule: "@daily"\ntags: [nightly]\n'
    ),
    "flights/daily.yaml": (
        "kind: create_table_as\ndescription: Flights per day and carrier.\ninputs: [raw.flights]\noutput:\n"
        "  table: analytics.daily\n  partition: ds\n  primary_key: [ds, carrier]\n"
        "  columns: {cancelled: 'flights without a <b>delay</b>'}\n"
        "checks:\n  - {name: carrier_known, check: null_count, column: carrier, condition: {equal_to: 0}}\n"
    ),
    "flights/daily.sql": (
        "WITH f AS (SELECT * FROM raw.flights WHERE ds = '{{ ds }}')\n"
        "SELECT f.ds, f.carrier, COUNT(*) AS flights, COUNT(*) - COUNT(f.delay) AS cancelled\n"
        "FROM f GROUP BY f.ds, f.carrier\n"
    ),
    "flights/carriers.yaml": (
        "kind: upsert\ndescription: Carriers.\ninputs: [raw.flights]\ntags: [small]\n"
        "output: {table: analytics.carriers, primary_key: [carrier]}\n"
    ),
    "flights/carriers.sql": "SELECT carrier, MIN(ds) AS first_seen FROM raw.flights GROUP BY carrier\n",
    "flights/report.yaml": (
        "kind: create_table_as\ndescription: Days.\ninputs: [analytics.daily, analytics.carriers]\n"
        "output: {table: analytics.report, partition: ds}\n"
    ),
    "flights/report.sql": (
        "SELECT d.ds, SUM(d.flights) AS flights, COUNT(c.first_seen) AS carriers FROM analytics.daily AS d\n"
        "JOIN analytics.carriers AS c ON c.carrier = d.carrier WHERE d.ds = '{{ ds }}' GROUP BY d.ds\n"
    ),
}


def written(folder: Path, changes: Mapping[str, str | None] | None = None) -> Path:
    """The project, in a folder ``transforms``, with some files changed, or left out."""
    root = folder / "transforms"
    for name, text in {**FILES, **(changes or {})}.items():
        if text is not None:
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
    return root
