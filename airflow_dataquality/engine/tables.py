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
TABLES: dict[str, dict[str, tuple[str, str]]] = {
    "publication": {
        **_RUN,
        "mode": ("text", "create, swap, overwrite, attach or upsert"),
        "rows": ("bigint", "rows that became visible"),
        "passed": ("integer", "checks that passed"),
        "warned": ("integer", "warn-severity checks outside their interval"),
        "failed": ("integer", "error-severity checks outside their interval (published by fail_on)"),
        "errored": ("integer", "checks whose query failed"),
        "skipped": ("integer", "checks without data to judge"),
        "score": ("double", "1 - failures / checks, a warning counting a quarter"),
        "previous_version": ("text", "the table that keeps the rows replaced, for people to read; NULL if none"),
        "definition": ("long", "what a summary is made of, as JSON; NULL for what is no summary"),
        "built_on": ("text", "run_uid of the publication of the partition before, which it continues; NULL if none"),
        **_TASK,
        "published_at": ("time", "when"),
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
        "verdict": ("text", "incident: what was measured then is not history"),
        "note": ("text", "why, for people to read"),
        "given_at": ("time", "when"),
    },
}
