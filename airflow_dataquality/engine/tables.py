"""The ledger's tables, column by column: name → abstract type and what it holds."""

from __future__ import annotations

_RUN = {
    "run_uid": ("text", "one attempt of one task; the same in all of its rows"),
    "table_schema": ("text", "schema of the table; NULL where the database has none"),
    "table_name": ("text", "name of the table"),
    "partition": (
        "text",
        'the partition as JSON, values as the database prints them: {"ds": "2013-02-01"}; {} if whole',
    ),
}
_TASK = {
    "dag_id": ("text", "the DAG; NULL outside Airflow"),
    "task_id": ("text", "the task"),
    "run_id": ("text", "the DAG run"),
    "map_index": ("integer", "index of a mapped task, -1 for another task"),
    "try_number": ("integer", "try of the task, from 1"),
}
_COUNTS = {
    "passed": ("integer", "checks that passed"),
    "warned": ("integer", "warn-severity checks outside their interval"),
    "failed": ("integer", "error-severity checks outside their interval"),
    "errored": ("integer", "checks whose query failed"),
    "skipped": ("integer", "checks without data to judge"),
    "score": ("double", "1 - failures / checks, a warning counting a quarter"),
}
TABLES: dict[str, dict[str, tuple[str, str]]] = {
    "publication": {
        **_RUN,
        "mode": ("text", "create, swap, overwrite, attach or upsert"),
        "rows": ("bigint", "rows that became visible"),
        **_COUNTS,
        "previous_version": ("text", "the table that keeps the rows replaced, for people to read; NULL if none"),
        "definition": ("long", "what a summary is made of, as JSON; NULL for what is no summary"),
        "built_on": ("text", "run_uid of the publication of the partition before, which it continues; NULL if none"),
        **_TASK,
        "published_at": ("time", "when"),
    },
    "check_run": {
        **_RUN,
        "state": ("text", "rejected: what was loaded was not published; observed: a table was checked in place"),
        "rows": ("bigint", "rows that were checked; NULL if that has no meaning"),
        "staging_table": ("text", "the table that keeps the rejected rows, until it is swept; NULL if none"),
        **_COUNTS,
        **_TASK,
        "checked_at": ("time", "when"),
    },
    "check_result": {
        **_RUN,
        "check_name": ("text", "the check; with the table it identifies the check's history"),
        "metric": ("text", "what was measured: null_count, mean, ..."),
        "column_name": ("text", "on which column, or columns with commas between"),
        "value": ("double", "the number measured; NULL if it is none"),
        "value_text": ("text", "the value exactly, as text: also dates, texts, NaN"),
        "interval": ("text", "where it must lie, in words"),
        "expected": ("double", "the likeliest value, by its baseline; NULL without one, or if it cannot tell"),
        "low": ("double", "the least value that its baseline lets pass; NULL if any"),
        "high": ("double", "the greatest"),
        "score": ("double", "how far from what is expected, in standard deviations of a normal distribution"),
        "p_value": ("double", "how often a healthy value is as far away"),
        "status": ("text", "pass, warn, fail, skip or error"),
        "severity": ("text", "error or warn"),
        "dimension": ("text", "completeness, consistency, freshness, uniqueness, validity or volume"),
        "reason": ("text", "the verdict in words"),
        **_TASK,
        "checked_at": ("time", "when"),
    },
    "metric": {
        **_RUN,
        "column_name": ("text", "on which column, or columns with commas between; NULL for the table"),
        "metric": (
            "text",
            "the metric: null_count(email), quantile(fare, q=0.5); in brackets what tells it from others alike",
        ),
        "value": ("double", "the number; NULL if there was none"),
        "state": ("text", "published, rejected, or observed on a table that was not loaded here"),
        "measured_at": ("time", "when"),
    },
    "chunk": {
        **{name: _RUN[name] for name in ("table_schema", "table_name")},
        "backfill": ("text", "one backfill, until its exchange: run_uid of the attempt that began it"),
        "number": ("integer", "number of the chunk, from 1 in the order of time"),
        "first_partition": ("text", "the first of its partitions, as it was written"),
        "last_partition": ("text", "the last"),
        "rows": ("bigint", "rows staged"),
        "seconds": ("double", "how long that took"),
        "run_uid": _RUN["run_uid"],
        **_TASK,
        "staged_at": ("time", "when; in the transaction that stages the rows"),
    },
    "verdict": {
        **{name: _RUN[name] for name in ("table_schema", "table_name", "partition")},
        "metric": ("text", "the metric that it is about; NULL for all of them"),
        "check_name": ("text", "the check that it is about; NULL if it is about no check alone"),
        "run_uid": ("text", "the run that it is about; NULL if it is about no run alone"),
        "verdict": ("text", "incident: what was measured then is not history; or acknowledged, expected, muted, ..."),
        "until": ("time", "when a mute ends; NULL if it does not, or is none"),
        "author": ("text", "who said so; NULL outside Airflow's pages"),
        "note": ("text", "why, for people to read"),
        "given_at": ("time", "when"),
    },
    "test": {
        "test_id": ("text", "the test; of its versions the last counts"),
        "version": ("integer", "from 1"),
        "name": ("text", "its name, by which its results are recorded"),
        "kind": ("text", "formula: a control and an experiment query; metric: a number of a table"),
        **{name: _RUN[name] for name in ("table_schema", "table_name")},
        "definition": ("long", "what it asks and expects, as JSON"),
        "state": ("text", "active, paused or deleted"),
        "author": ("text", "who saved this version"),
        "note": ("text", "why, for people to read"),
        "saved_at": ("time", "when"),
    },
}
_TABLE = ("table_schema", "table_name")
INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "publication": ((*_TABLE, "partition"), (*_TABLE, "published_at"), ("dag_id", "run_id"), ("run_uid",)),
    "check_run": ((*_TABLE, "partition"), (*_TABLE, "checked_at"), ("dag_id", "run_id"), ("run_uid",)),
    "check_result": ((*_TABLE, "partition"), (*_TABLE, "check_name", "checked_at"), ("run_uid",)),
    "metric": ((*_TABLE, "partition"), (*_TABLE, "metric", "measured_at")),
    "chunk": (("backfill",), ("dag_id", "run_id")),
    "verdict": ((*_TABLE, "partition"),),
    "test": (("test_id",),),
}
"""What is looked up, by the columns: for the databases that have indexes."""
