"""Find numbers that do not look like those of the days before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import THRESHOLD, Baseline
from airflow_dataquality.engine.anomalies import Search, described
from airflow_dataquality.engine.history import SOURCES
from airflow_dataquality.engine.statistics import by_list
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import one_of
from airflow_dataquality.model import Severity
from airflow_dataquality.operators._table import JudgingOperator, Seen

if TYPE_CHECKING:
    from airflow_dataquality.engine.ledger import Ledger, Run
    from airflow_dataquality.engine.session import Session
    from airflow_dataquality.model import Column, Partition


class ZScoreAnomalyOperator(JudgingOperator):
    """Measure a partition, and compare each number with its own past.

    The first run measures the partitions that the table still holds, so that there is no cold start; what it measured
    is recorded, and later runs read it. Where history is too short to tell, a test is skipped, with the reason.

    :param conn_id: the connection to the database
    :param table: what to look at: ``schema.table``, with SQL quotes where the name needs them (templated)
    :param partition: the rows to look at, as column and value: ``{"ds": "{{ ds }}"}`` (templated). The one date among
        them tells which partitions are the past; without one, it is what was measured on earlier days
    :param metrics: ``auto`` (rows, NULLs, means, true values), or a list of ``"row_count"``, ``"mean"`` (on every
        column of its type), ``"null_ratio:tailnum"``, ``{"metric": "quantile", "column": "dep_delay", "q": 0.9}``
    :param columns: ``*``, or the names of the columns to look at, where ``metrics`` does not name one
    :param dimensions: columns for whose every value the same metrics are looked at; two or more in a list are combined
    :param max_values: of a dimension with more values, those with most rows are looked at
    :param baseline: ``auto``, ``zscore``, ``robust``, ``seasonal``, or a function of (past, dates, kinds) to a
        :class:`~airflow_dataquality.stats.forecast.Forecast`
    :param threshold: how far from what is expected a value may be, in standard deviations of a normal distribution
    :param direction: ``both``, or only a ``drop``, or only a ``spike``
    :param window: how many periods of history are looked at
    :param min_history: with fewer values than that a test is skipped
    :param period: ``hour``, ``day``, ``week`` or ``month`` from one partition to the next; ``auto`` tells by its value
    :param exclude: dates, or pairs of first and last, that are neither history nor judged
    :param holidays: the country whose public holidays are neither: ``US``, ``US-NY``
    :param history: ``ledger`` (what was measured before), ``table`` (its past partitions as they are now, in one
        GROUP BY), or ``auto``: the ledger, and the table for what the ledger does not know
    :param fdr: the share of false alarms that is accepted among the alarms of a run (Benjamini-Hochberg); None judges
        each test by ``threshold`` alone
    :param severity: ``warn`` reports anomalies, ``error`` fails the task
    :param max_false_alarms: with ``severity="error"``, warn if on its history the tests would have fired more often
        than that in a year
    :param partition_clause: a predicate in the database's SQL that narrows the rows (templated)
    :param fail_on: ``error``, ``warn`` or ``never``: which severity fails the task
    :param ledger_conn_id: where results are recorded, if not on ``conn_id``
    :param ledger_schema: the schema they are recorded in; None switches recording off
    :param database: overrides the connection's database
    :param retry_on_failure: let Airflow retry a task that found anomalies
    :returns: what ``DataQualityCheckOperator`` returns, and ``anomalies``: names; ``tests``: of each, anomalies first
        and a thousand at most, ``name``, ``status``, ``value``, ``expected``, ``low``, ``high``, ``score``,
        ``p_value``, ``history``, ``detectable`` (the smallest change that it would have noticed) and ``reason``
    """

    def __init__(
        self,
        *,
        table: str,
        partition: Mapping[str, Any] | None = None,
        metrics: Any = "auto",
        columns: str | Sequence[str] = "*",
        dimensions: Sequence[str | Sequence[str]] = (),
        max_values: int = 50,
        baseline: str | Callable[..., Any] = "auto",
        threshold: float = THRESHOLD,
        direction: str = "both",
        window: int = 90,
        min_history: int = 14,
        period: str = "auto",
        exclude: Sequence[Any] = (),
        holidays: str | None = None,
        history: str = "auto",
        fdr: float | None = 0.05,
        severity: str = "warn",
        max_false_alarms: float = 12,
        partition_clause: str | None = None,
        fail_on: str = "error",
        ledger_conn_id: str | None = None,
        ledger_schema: str | None = "dataquality",
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            table=table, partition=partition, partition_clause=partition_clause, fail_on=fail_on,
            ledger_conn_id=ledger_conn_id, ledger_schema=ledger_schema, conn_id=conn_id, database=database,
            retry_on_failure=retry_on_failure, **kwargs,
        )  # fmt: skip
        self.metrics, self.columns, self.dimensions = metrics, columns, dimensions
        self.history, self.fdr, self.severity, self.max_values = history, fdr, severity, max_values
        self.max_false_alarms = max_false_alarms
        self._validate()
        judged_by = Baseline(
            baseline, threshold=threshold, direction=direction, window=window, min_history=min_history,
            period=period, exclude=exclude, holidays=holidays,  # type: ignore[arg-type]
        )  # fmt: skip
        self.search = self._search(judged_by)

    def _search(self, baseline: Baseline) -> Search:
        return Search(
            wanted=by_list(self.metrics),
            baseline=baseline,
            severity=str(one_of(Severity, self.severity, "severity")),
            chosen=_names(self.columns, "columns"),
            dimensions=tuple(_names(item, "dimensions") or ("*",) for item in self.dimensions),
            most=self.max_values,
            source=self.history,
            fdr=self.fdr,
            max_false_alarms=self.max_false_alarms,
        )

    def _validate(self) -> None:
        super()._validate()
        if self.history not in SOURCES:
            raise SpecError(f"history is {self.history!r}", hint=did_you_mean(str(self.history), SOURCES))
        if self.fdr is not None and not (isinstance(self.fdr, float | int) and 0 < self.fdr < 1):
            raise SpecError(f"fdr is {self.fdr!r}, not between 0 and 1", hint="write 0.05, or None to switch it off")
        if isinstance(self.dimensions, str) or not isinstance(self.dimensions, Sequence):
            raise SpecError(f"dimensions is {self.dimensions!r}", hint=f"write [{self.dimensions!r}]")
        if not isinstance(self.max_values, int) or self.max_values < 1:
            raise SpecError(f"max_values is {self.max_values!r}, not a whole number > 0", hint="50 is usual")
        if self.history == "ledger" and self.ledger_schema is None:
            raise SpecError("history is 'ledger', and ledger_schema None", hint='write history="table"')
        most = self.max_false_alarms
        if isinstance(most, bool) or not isinstance(most, float | int) or most < 0:
            raise SpecError(f"max_false_alarms is {most!r}, not a number >= 0", hint="12 a year are usual")

    def _look(
        self, session: Session, ledger: Ledger | None, what: Partition, columns: tuple[Column, ...], run: Run
    ) -> Seen:
        found = self.search.run(session, ledger, run, what, columns, self.partition_clause or None)
        return Seen(found.summary, found.measured, found.rows, described(found.summary))


def _names(given: str | Sequence[str], what: str) -> tuple[str, ...] | None:
    """Names of columns; None for all.

    :raises SpecError: if it is no list of names
    """
    if given == "*":
        return None
    listed = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Sequence) else ()
    if not listed or not all(isinstance(name, str) and name for name in listed):
        raise SpecError(f"{what}: {given!r} is no list of columns", hint='write "*", or ["origin", "dest"]')
    return listed
