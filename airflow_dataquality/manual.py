"""What the operators do, by hand: check a table, or publish one. The same code runs, without a task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.publish import Load, Outcome
from airflow_dataquality.errors import SpecError
from airflow_dataquality.hooks.connections import connected, hook_of
from airflow_dataquality.model import Check, FailOn, Metric, Partition, Scalar
from airflow_dataquality.operators._dates import with_date
from airflow_dataquality.operators.check import DataQualityCheckOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.results import Result, Summary
from airflow_dataquality.spec import find_file

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.common.sql.operators.sql import BaseSQLOperator
    from jinja2 import Environment

    from airflow_dataquality.engine.session import Session

    _Base = BaseSQLOperator
else:
    _Base = object

Findings = tuple[Partition, Summary, Mapping[str, Any]]


class _ByHand(_Base):
    """An operator without a task: a template has what it is given, and nothing is left empty in silence."""

    def get_template_env(self, dag: Any = None) -> Environment:
        from jinja2 import StrictUndefined

        env: Environment = super().get_template_env(dag)
        env.undefined = StrictUndefined
        return env

    def get_db_hook(self) -> DbApiHook:
        assert self.conn_id is not None
        return hook_of(self.conn_id)

    def rendered(self, params: Mapping[str, Any]) -> Any:
        """Render the arguments; the context for what is rendered later."""
        context = {"params": {}, **params}  # never empty, or else nothing would be rendered
        if "ds" in context:
            context.setdefault("ds_nodash", str(context["ds"]).replace("-", ""))
        env = self.get_template_env()
        for name in self.template_fields:  # once before Airflow does, which logs the stack of a template that fails
            value = getattr(self, name, None)
            if isinstance(value, str):
                env.from_string(value).render(with_date(self, context))
        self.render_template_fields(context, jinja_env=env)  # type: ignore[arg-type]
        return context


class _Known(Ledger):
    """A ledger that is read, for what baselines know of the past, and not written."""

    def _append(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Nothing is recorded."""


class _Check(_ByHand, DataQualityCheckOperator):
    record = True

    @contextlib.contextmanager
    def _ledger(self, session: Session) -> Iterator[Ledger | None]:
        if self.record:
            with super()._ledger(session) as ledger:
                yield ledger
            return
        with contextlib.ExitStack() as stack:
            if self.ledger_conn_id is not None:
                session = stack.enter_context(connected(self.ledger_conn_id))
            ledger = _Known(session, self.ledger_schema or "")
            yield ledger if session.columns(ledger.table("ledger_version")) else None

    def look(self, params: Mapping[str, Any]) -> Findings:
        """Measure and judge."""
        with rendering():
            return self._seen(self.rendered(params))

    def checks_of(self, params: Mapping[str, Any]) -> tuple[Check, ...]:
        """The checks, rendered."""
        with rendering():
            self._prepare(self.rendered(params))
        return self._rendered


class _Publish(_ByHand, StageCheckExchangeOperator):
    def publish(self, params: Mapping[str, Any]) -> Outcome:
        """Stage, check and exchange."""
        with rendering():
            return self._load(self.rendered(params))

    def load_of(self, params: Mapping[str, Any]) -> Load:
        """What would be published, and how."""
        with rendering():
            return self._described(self.rendered(params))


@contextlib.contextmanager
def rendering() -> Iterator[None]:
    """Where templates are rendered.

    :raises SpecError: if one names what is not given, or is none
    """
    from jinja2 import TemplateError

    try:
        yield
    except TemplateError as error:
        raise SpecError(
            f"a template cannot be rendered: {error}", hint="give its variables: --param ds=2013-02-01"
        ) from error


def files(paths: Sequence[str], what: str) -> list[str]:
    """The same paths, if every file is there.

    :raises SpecError: naming the file that is not
    """
    for path in paths:
        if not Path(path).is_file():
            raise SpecError(f"{what} {path!r} does not exist", hint=f"looked at {Path(path).absolute()}")
    return list(paths)


def variables(partition: Mapping[str, Scalar], params: Mapping[str, Any]) -> dict[str, Any]:
    """What templates may name: the partition's columns, and what is given."""
    return {**partition, **params}


def checking(conn_id: str, table: str, rules: Sequence[str], **arguments: Any) -> _Check:
    """The operator that checks."""
    return _Check(task_id="check", conn_id=conn_id, table=table, checks=files(rules, "rule set"), **arguments)


def publishing(conn_id: str, table: str, sql: str, rules: Sequence[str], **arguments: Any) -> _Publish:
    """The operator that publishes."""
    text, checks = read_sql(sql), files(rules, "rule set")
    return _Publish(task_id="publish", conn_id=conn_id, table=table, sql=text, checks=checks, **arguments)


def check(
    conn_id: str,
    table: str,
    rules: Sequence[str],
    *,
    partition: Mapping[str, Scalar] | None = None,
    where: str | None = None,
    params: Mapping[str, Any] | None = None,
    fail_on: str = "error",
    record: bool = False,
    ledger_conn_id: str | None = None,
    ledger_schema: str = "dataquality",
) -> tuple[dict[str, Any], bool]:
    """Check a table that exists, as ``DataQualityCheckOperator`` does.

    :param rules: paths of rule sets
    :param where: a predicate that narrows the rows of every check
    :param params: variables of templates in the rules, beside the partition's columns
    :param record: write the results into the ledger
    :returns: what the operator returns, ``recorded``, and ``results``; and whether the task would fail
    :raises DataQualityError: if the table cannot be checked
    """
    operator = checking(
        conn_id, table, rules, partition=partition, partition_clause=where, fail_on=fail_on,
        ledger_schema=ledger_schema, ledger_conn_id=ledger_conn_id,
    )  # fmt: skip
    operator.record = record
    _, summary, outcome = operator.look(variables(partition or {}, params or {}))
    document = {**outcome, "recorded": record, "results": described(summary)}
    return document, bool(summary.blocking(FailOn(fail_on)))


def publish(
    conn_id: str,
    table: str,
    sql: str,
    *,
    rules: Sequence[str] = (),
    partition: Mapping[str, Scalar] | None = None,
    params: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Stage, check and exchange, as ``StageCheckExchangeOperator`` does.

    :param sql: path of a file with one SELECT
    :param arguments: of the operator
    :returns: what the operator returns, and ``results``
    :raises ChecksFailed: if a check blocks; production is unchanged
    :raises DataQualityError: if the rows cannot be published; production is unchanged
    """
    operator = publishing(conn_id, table, sql, rules, partition=partition, **arguments)
    outcome = operator.publish(variables(partition or {}, params or {}))
    return {**outcome.as_dict(), "results": described(outcome.summary)}


def read_sql(path: str) -> str:
    """The text of a SQL file.

    :raises SpecError: if there is none
    """
    files([path], "SQL file")
    text = find_file(str(Path(path).absolute()), (), what="SQL file").read_text(encoding="utf-8")
    if not text.strip():
        raise SpecError(f"{path} is empty", hint="write one SELECT in it")
    return text


def described(summary: Summary) -> list[dict[str, Any]]:
    """The results as JSON."""
    return [_described(result) for result in summary.results]


def _described(result: Result) -> dict[str, Any]:
    check, metric = result.check, result.check.metric
    return {
        "check": check.name,
        "metric": str(Metric(metric.kind, metric.columns, metric.params)),
        "columns": list(metric.columns),
        "where": metric.where,
        "value": result.value,
        "expected": result.interval,
        "status": str(result.status),
        "severity": str(check.severity),
        "dimension": check.dimension,
        "reason": result.reason,
        "source": check.source,
    }
