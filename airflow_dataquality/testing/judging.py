"""What a transform's checks say of the table that it made in a sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_dataquality.engine.judge import judge, resolve
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check, Partition, Table
from airflow_dataquality.results import Summary
from airflow_dataquality.testing.sandbox import Sandbox
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.rendering import is_template, rendered

_SQL = ("sql", "statement")


def judged(box: Sandbox, transform: Transform, day: str) -> Summary:
    """Measure and judge, as the operator does; what compares with production or with the past is skipped.

    :raises SpecError: if there is no check or no table, or a check does not fit it
    """
    from airflow_dataquality.transforms.rules import checks_of

    table = transform.writes
    if table is None or table not in box.tables:
        raise SpecError(f"{transform} has made no table yet", hint="run it before: t.run()")
    checks = checks_of(transform)
    columns = box.session.columns(box.own(table))
    ready = resolve([_rendered(box, transform, each, day) for each in checks], columns, dialect=box.sql)
    what = Partition(box.own(table))
    measured = measure(_Careful(box), [check.metric for check in ready], what, columns=columns)
    return judge(ready, measured)


def _rendered(box: Sandbox, transform: Transform, check: Check, day: str) -> Check:
    """A check for a day, whose own SQL reads the sandbox."""

    def text(value: Any, name: str) -> Any:
        found = rendered(value, day) if isinstance(value, str) and is_template(value) else value
        if name == "references":
            return str(box.own(Table.parse(found)))
        return box.moved(found, transform.reads) if name in _SQL and isinstance(found, str) else found

    params = tuple((name, text(value, name)) for name, value in check.metric.params)
    where = None if check.metric.where is None else text(check.metric.where, "where")
    return replace(check, metric=replace(check.metric, where=where, params=params))


class _Careful:
    """A session in which a query that fails ends nothing but itself."""

    def __init__(self, box: Sandbox) -> None:
        self._session = box.session
        self.dialect = box.sql
        self.connection = box.session.connection

    def query(self, sql: str) -> list[Any]:
        with self._session.transaction():
            return self._session.query(sql)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)
