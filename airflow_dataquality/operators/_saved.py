"""Running saved tests: those of a table share its scans, those that compare queries share connections."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from airflow_dataquality.days import Day
from airflow_dataquality.engine.anomaly import expectations
from airflow_dataquality.engine.experiment import compare
from airflow_dataquality.engine.judge import judge, resolve
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.measure import confirm_alive, measure
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.saved_tests import Version
from airflow_dataquality.engine.session import Session
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.experiments import Experiment
from airflow_dataquality.hooks.bounded import open_bounded
from airflow_dataquality.hooks.connections import hook_of
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Check, Interval, Metric, Partition, Severity, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._table import place, record
from airflow_dataquality.results import Expectation, Measurement, Result, Status, Summary
from airflow_dataquality.saved import METRIC, SavedTest

log = logging.getLogger(__name__)

Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Limits:
    """What a task lets SQL of saved tests cost.

    :param statement: seconds that a statement may take
    :param together: seconds after which no statement is waited for
    :param parallel: queries of formula tests that run at the same time, on a connection each
    """

    statement: float
    together: float
    parallel: int = 4


@dataclass
class Running:
    """The saved tests of one task.

    :param conn_id: where metric tests measure
    :param allowed: the connections on which formula tests may run
    :param ledger: where results are recorded, over a connection that runs nothing else
    :param found: what was found of each partition
    """

    conn_id: str
    allowed: Sequence[str]
    ledger: Ledger
    run: Run
    day: Day
    limits: Limits
    found: list[tuple[Partition, Summary]] = field(default_factory=list)

    def all(self, versions: Iterable[Version]) -> None:
        """Run the tests, and record each partition's results as soon as they are known.

        A test that cannot be asked is an error of its own.
        """
        metrics: dict[tuple[str, Key], list[Check]] = {}
        formulas: dict[str, list[tuple[Partition, Experiment]]] = {}
        for version in versions:
            try:
                test = version.read()
                key = tuple(test.key(self.day).items())
                if version.kind == METRIC:
                    metrics.setdefault((str(test.table), key), []).append(test.check_on(self.day))
                else:
                    asked = Partition(test.table, key), test.experiment_on(self.day)
                    formulas.setdefault(self._allowed(test), []).append(asked)
            except DataQualityError as error:
                self._keep(Partition(version.place), Summary((broken(_check(version), error),)))
        if metrics:
            self._metrics(metrics)
        for conn_id, listed in formulas.items():
            self._formulas(conn_id, listed)

    def _allowed(self, test: SavedTest) -> str:
        if test.conn_id not in self.allowed:
            raise DataQualityError(
                f"the connection {test.conn_id!r} is not one of those that saved tests may use",
                hint=f"allowed: {', '.join(self.allowed)}; an administrator allows more, see conn_ids",
            )
        return str(test.conn_id)

    def _metrics(self, groups: Mapping[tuple[str, Key], Sequence[Check]]) -> None:
        with self._bounded(self.conn_id) as session:
            for (table, key), checks in groups.items():
                what, summary, measured, rows = self._measured(session, table, key, checks)
                self._keep(what, summary, measured, rows)

    def _measured(
        self, session: Session, table: str, key: Key, checks: Sequence[Check]
    ) -> tuple[Partition, Summary, Mapping[Metric, Measurement], int | None]:
        what = Partition(Table.parse(table, session.dialect.fold), key)
        try:
            what, columns = place(session, table, common.checked_partition(dict(key)))
        except Exception as error:  # noqa: BLE001 - the driver's, too: of a table that may not be looked at
            confirm_alive(session, error)
            return what, Summary(tuple(broken(check, error) for check in checks)), {}, None
        known: list[Check] = []
        results: list[Result] = []
        for check in checks:
            try:
                known += resolve([check], columns, dialect=session.dialect)
            except DataQualityError as error:
                results.append(broken(check, error))
        rows = common.row_count()
        measured = measure(session, [rows, *(check.metric for check in known)], what, columns=columns)
        expected, refused = self._expected(session, known, measured, what, columns)
        results += judge([check for check in known if check not in refused], measured, expected).results
        results += [broken(check, error) for check, error in refused.items()]
        return what, Summary(tuple(results)), measured, measured[rows].value

    def _expected(
        self, session: Session, checks: Sequence[Check], measured: Mapping[Metric, Measurement], what: Partition,
        columns: Sequence[Any],
    ) -> tuple[dict[Check, Expectation], dict[Check, DataQualityError]]:  # fmt: skip
        """What baselines expect, each by its threshold alone, as in the preview; and those that cannot be asked."""

        def asked(some: Sequence[Check]) -> dict[Check, Expectation]:
            return expectations(session, self.ledger, self.run, some, measured, what, columns=columns, fdr=None)

        try:
            return asked(checks), {}
        except DataQualityError:
            found: dict[Check, Expectation] = {}
            refused: dict[Check, DataQualityError] = {}
            for check in checks:
                try:
                    found |= asked([check])
                except DataQualityError as error:
                    refused[check] = error
            return found, refused

    def _formulas(self, conn_id: str, asked: Sequence[tuple[Partition, Experiment]]) -> None:
        by_text = sorted(asked, key=lambda each: (each[1].control_sql, each[1].experiment_sql))
        count = min(self.limits.parallel, len(by_text))
        size = -(-len(by_text) // count)
        parts = [by_text[start : start + size] for start in range(0, len(by_text), size)]
        with contextlib.ExitStack() as stack:
            try:
                # All of them here: threads of a task may not ask Airflow for connections.
                sessions = [stack.enter_context(self._bounded(conn_id)) for _ in parts]
            except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
                results = {id(experiment): broken(experiment.check, error) for _, experiment in by_text}
            else:
                with ThreadPoolExecutor(len(parts), "saved-tests") as pool:
                    done = list(pool.map(_compared, sessions, parts))
                results = {name: result for part in done for name, result in part.items()}
        by_place: dict[Partition, list[Result]] = {}
        for what, experiment in asked:
            by_place.setdefault(what, []).append(results[id(experiment)])
        for what, found in by_place.items():
            self._keep(what, Summary(tuple(found)))

    @contextlib.contextmanager
    def _bounded(self, conn_id: str) -> Iterator[DbApiSession]:
        with open_bounded(hook_of(conn_id), statement=self.limits.statement, together=self.limits.together) as session:
            yield session

    def _keep(
        self, what: Partition, summary: Summary, measured: Mapping[Metric, Measurement] | None = None,
        rows: int | None = None,
    ) -> None:  # fmt: skip
        record(self.ledger, self.run, what, summary, measured, rows=rows)
        self.found.append((what, summary))


def _compared(session: Session, asked: Sequence[tuple[Partition, Experiment]]) -> dict[int, Result]:
    experiments = [experiment for _, experiment in asked]
    summary = compare(experiments, {"control": session, "experiment": session})
    return {id(experiment): result for experiment, result in zip(experiments, summary.results, strict=True)}


def broken(check: Check, error: Exception) -> Result:
    """The result of a test that cannot be asked."""
    message = error.message if isinstance(error, DataQualityError) else str(said(error))
    return Result(check, None, Status.ERROR, message)


def _check(version: Version) -> Check:
    """What stands for a test that cannot be read."""
    return Check(version.name, Metric(version.kind), Interval(), Severity.ERROR, named=True)
