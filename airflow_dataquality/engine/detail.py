"""One table in detail, and one of its checks or metrics: what the ledger has of it, row by row."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.board import BRIEF, RUN
from airflow_dataquality.engine.board import Entry, Sees, tables_of
from airflow_dataquality.engine.definition import measured_of
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.measure import Scan
from airflow_dataquality.model import Column, Metric, Partition, Table

Row = Mapping[str, Any]
Hidden = Collection[str | None]
RESULT = ("run_uid", "partition", "check_name", "metric", "column_name", "definition", "value", "value_text",
          "interval", "expected", "low", "high", "score", "p_value", "status", "severity", "dimension", "reason",
          "dag_id", "task_id", "run_id", "map_index", "try_number", "checked_at")  # fmt: skip
BRIEF_RESULT = ("check_name", "partition", "status", "value_text", "dag_id", "checked_at")
METRIC = ("run_uid", "partition", "column_name", "metric", "value", "state", "measured_at")
LOOKED_AT = 20_000
"""Of the last runs of a table, for its calendar."""


def dags_of(ledger: Ledger, table: Table) -> set[str | None]:
    """The DAGs that published or checked a table; empty if the ledger knows nothing of it."""
    rows = ledger.session.query(ledger.dialect.newest_runs(tables_of(ledger), table))
    return {row[BRIEF.index("dag_id")] for row in rows}


def hidden_of(ledger: Ledger, table: Table, sees: Sees) -> set[str | None] | None:
    """The DAGs whose runs of a table the reader may not see; None if that leaves nothing."""
    known = dags_of(ledger, table)
    hidden = {dag_id for dag_id in known if not sees(dag_id)}
    return None if known == hidden else hidden


def partitions(ledger: Ledger, table: Table, hidden: Hidden) -> list[Entry]:
    """The newest run of each partition; its row says whether the partition is visible, too."""
    asked = ledger.dialect.newest_by_partition(tables_of(ledger), table, LOOKED_AT, hidden)
    return [Entry(dict(zip((*RUN, "visible"), row, strict=True))) for row in ledger.session.query(asked)]


def newest_results(ledger: Ledger, table: Table, hidden: Hidden) -> list[Row]:
    """The last result of each check."""
    sql = ledger.dialect
    asked = sql.newest_of_each(tables_of(ledger), "check_result", table, "check_name", RESULT, sql.shown(hidden))
    return _rows(RESULT, ledger.session.query(asked))


def last_results(
    ledger: Ledger, table: Table, checks: Sequence[str], hidden: Hidden, most: int
) -> dict[str, list[Row]]:
    """The last results of some checks, the oldest first."""
    found: dict[str, list[Row]] = {check: [] for check in checks}
    if not checks:
        return found
    sql = ledger.dialect
    asked = sql.last_results(tables_of(ledger), table, checks, BRIEF_RESULT, most, sql.shown(hidden))
    for row in _rows(BRIEF_RESULT, ledger.session.query(asked)):
        found[row["check_name"]].append(row)
    return {check: sorted(rows, key=lambda row: row["checked_at"]) for check, rows in found.items()}


def results(
    ledger: Ledger, table: Table, hidden: Hidden, most: int, *, check: str | None = None,
    partition: str | None = None,
) -> list[Row]:  # fmt: skip
    """The newest results of a check, of a partition, or of both."""
    sql = ledger.dialect
    equal = {name: value for name, value in (("check_name", check), ("partition", partition)) if value is not None}
    where = sql.shown(hidden, **equal)
    asked = sql.newest_where(tables_of(ledger), "check_result", table, RESULT, most, where)
    return _rows(RESULT, ledger.session.query(asked))


def runs_of_partition(ledger: Ledger, table: Table, partition: str, hidden: Hidden, most: int) -> list[Entry]:
    """The newest runs of one partition."""
    asked = ledger.dialect.runs_of_partition(tables_of(ledger), table, partition, most, hidden)
    found = [Entry(dict(zip(RUN, row, strict=True))) for row in ledger.session.query(asked)]
    return sorted(found, key=lambda entry: entry.row["at"], reverse=True)


def newest_metrics(ledger: Ledger, table: Table, hidden: Hidden, sees: Sees) -> list[Row]:
    """What was last measured of each metric on rows that are visible."""
    sql = ledger.dialect
    asked = sql.newest_of_each(tables_of(ledger), "metric", table, "metric", METRIC, sql.not_rejected())
    return _seen(ledger, _rows(METRIC, ledger.session.query(asked)), hidden, sees)


def measured(ledger: Ledger, table: Table, metric: str, hidden: Hidden, sees: Sees, most: int) -> list[Row]:
    """The newest numbers of a metric."""
    sql = ledger.dialect
    asked = sql.newest_where(tables_of(ledger), "metric", table, METRIC, most, sql.shown((), metric=metric))
    return _seen(ledger, _rows(METRIC, ledger.session.query(asked)), hidden, sees)


def _seen(ledger: Ledger, rows: list[Row], hidden: Hidden, sees: Sees) -> list[Row]:
    """Those that the reader may see. A number does not say which DAG measured it, but its run does.

    What no run tells is for those only who may see all of the table.
    """
    if not rows or not hidden:
        return rows
    at = tables_of(ledger)
    known: dict[str, str | None] = {}
    for name in ("publication", "check_run"):
        asked = ledger.dialect.rows_of_runs(at, name, ("run_uid", "dag_id"), {row["run_uid"] for row in rows})
        known.update(map(tuple, ledger.session.query(asked)))
    return [row for row in rows if row["run_uid"] in known and sees(known[row["run_uid"]])]


def recorded_metrics(ledger: Ledger, table: Table, result: Row) -> list[str]:
    """The numbers of the same run and partition that a result may be about: by name, the likeliest first."""
    columns, at, sql = ("run_uid", "column_name", "metric"), tables_of(ledger), ledger.dialect
    where = sql.shown((), partition=result["partition"], run_uid=result["run_uid"])
    found = _rows(columns, ledger.session.query(sql.newest_where(at, "metric", table, columns, 5000, where)))
    names = [row["metric"] for row in found if row["metric"].startswith(result["metric"])]
    known = metric_of(result)
    likely = {result["check_name"], known.series if known else None}
    exact = [name for name in names if name in likely]
    labelled = [name for name in names if name.endswith(f"[{result['check_name']}]")]
    alone = [row["metric"] for row in found if row["column_name"] == result["column_name"]
             and re.fullmatch(rf"{re.escape(result['metric'])}(\(.*\))?", row["metric"])]  # fmt: skip
    return list(dict.fromkeys([*exact, *labelled, *(alone if len(alone) == 1 else [])]))


def metric_of(result: Row) -> Metric | None:
    """What a result measured, if the ledger tells."""
    found = measured_of(result["metric"], result["column_name"], result["definition"])
    return found.metric if found else None


def sql_of(ledger: Ledger, table: Table, result: Row, columns: Sequence[Column], key: Mapping[str, Any]) -> str | None:
    """The SQL by which a result's number is measured on production; None if the ledger does not tell."""
    metric = metric_of(result)
    if metric is None:
        return None
    own = dict(metric.params)
    if isinstance(own.get("sql"), str):
        return str(own["sql"])
    try:
        what = Partition.of(table, dict(key))
        return ";\n".join(Scan.of(ledger.dialect, [metric], what, columns=columns, production=what).statements())
    except Exception:  # noqa: BLE001 - it is shown if it can be; the catalog may have changed since
        return None


def _rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Row]:
    return [dict(zip(columns, row, strict=True)) for row in rows]
