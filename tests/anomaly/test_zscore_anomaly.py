"""ZScoreAnomalyOperator: what it takes, sends, returns, records and raises."""

from __future__ import annotations

import json
import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from anomaly import lab
from anomaly.lab import TODAY, ago

from airflow_dataquality.errors import ChecksFailed, DataQualityError, PartitionError, SpecError
from airflow_dataquality.model import Table
from airflow_dataquality.operators._common import RESULT_KEY
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator
from support import Database, Warehouse, on, told_to_listeners

WIDE, PARTITIONS = 100, 90
SAID = r"row_count is 4, expected about 10 \([\d.]+ to [\d.]+; the usual, 40 values\): [\d.]+ sigma below"


@pytest.fixture
def flights(database: Database) -> Database:
    """Forty usual days, and a day with four rows instead of ten."""
    lab.make(database)
    lab.days(database, 1)
    lab.insert(database, lab.day(TODAY, 4))
    return database


def test_a_hundred_columns_take_three_statements(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    columns = [f"c{n}" for n in range(WIDE)]
    lab.make(
        database, "ds date, " + ", ".join(f"{name} {'integer' if n % 2 else 'real'}" for n, name in enumerate(columns))
    )
    numbers = [[(7 * n + row) % 10 for n in range(WIDE)] for row in range(3)]
    lab.insert(database, [(ago(n), *row) for n in range(PARTITIONS, -1, -1) for row in numbers])
    tests = 1 + 2 * WIDE
    for reads, written in ((3, 1 + 2 * math.ceil(PARTITIONS * tests / 10_000)), (2, 3)):
        lab.listen(caplog)
        outcome = lab.look(database)
        assert (outcome["passed"], len(outcome["tests"]), outcome["tests"][0]["history"]) == (tests, tests, PARTITIONS)
        told = lab.sent(caplog)
        assert len([sql for sql in told if not sql.startswith("INSERT")]) == reads
        assert len([sql for sql in told if sql.startswith("INSERT")]) == written
    # What is recorded once is not recorded again.
    names = lab.recorded(database, "metric", "partition, metric")
    assert (len(names), len(set(names))) == (tests * (PARTITIONS + 2), tests * (PARTITIONS + 1))


def test_columns_without_values_are_bootstrapped_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    lab.make(database)
    lab.days(database, 0, delay=None)
    first = lab.look(database)
    lab.listen(caplog)
    assert lab.look(database)["tests"] == first["tests"]
    assert [sql.partition(" ")[0].strip() for sql in lab.sent(caplog)] == ["SELECT", "SELECT", *["INSERT"] * 3]


def test_it_returns_what_it_found(flights: Database) -> None:
    outcome = lab.look(flights)
    assert json.loads(json.dumps(outcome)) == outcome
    tests = outcome.pop("tests")
    run_uid = outcome.pop("run_uid")
    assert outcome == {
        "table": "flights" if flights.kind == "sqlite" else "public.flights",
        "partition": {"ds": "2013-05-01"},
        "rows": 4,
        "score": pytest.approx(1 - 3 / 4 / 8, abs=1e-4),
        "passed": 5,
        "warned": 3,
        "failed": 0,
        "errored": 0,
        "skipped": 0,
        "failed_rules": [],
        "warned_rules": ["row_count", "null_ratio(origin)", "mean(id)"],
        "anomalies": ["row_count", "null_ratio(origin)", "mean(id)"],
    }
    assert [test["name"] for test in tests[:3]] == ["mean(id)", "row_count", "null_ratio(origin)"]  # by their score
    found = lab.verdicts({"tests": tests})["row_count"]
    numbers = {name: pytest.approx(found[name]) for name in ("expected", "low", "high", "score", "p_value")}
    assert found == {
        "name": "row_count", "status": "warn", "value": 4.0, "history": 40, "reason": found["reason"],
        "detectable": found["expected"] - found["low"], **numbers,
    }  # fmt: skip
    assert re.fullmatch(SAID, found["reason"])
    columns = "check_name, value, expected, low, high, score, p_value, status, severity, run_uid"
    (row,) = [row for row in lab.recorded(flights, "check_result", columns) if row[0] == "row_count"]
    assert row == ("row_count", 4.0, *numbers.values(), "warn", "warn", run_uid)
    measured = [name for name, where in lab.recorded(flights, "metric", "metric, partition") if "05-01" in where]
    assert sorted(measured) == sorted(test["name"] for test in tests)


def test_what_fails_the_task(flights: Database) -> None:
    for severity, fail_on, fails in [
        ("warn", "error", False), ("warn", "warn", True), ("error", "error", True), ("error", "never", False),
    ]:  # fmt: skip
        arguments: dict[str, Any] = {"severity": severity, "fail_on": fail_on, "metrics": ["row_count"]}
        if not fails:
            lab.look(flights, **arguments)
            continue
        with pytest.raises(AirflowException) as raised:
            lab.look(flights, **arguments)
        assert "1 of 1 checks on " in str(raised.value)
        assert re.search(f"\n  - {SAID} \\({severity}\\)$", str(raised.value))
        assert isinstance(raised.value.__cause__, ChecksFailed)
        assert raised.value.__cause__.outcome["anomalies"] == ["row_count"]
    with pytest.raises(AirflowFailException):
        lab.look(flights, severity="error", retry_on_failure=False)


@pytest.mark.parametrize(
    ("direction", "rows", "status", "low", "high"),
    [
        ("both", 4, "warn", True, True), ("both", 40, "warn", True, True), ("both", 10, "pass", True, True),
        ("drop", 4, "warn", True, False), ("drop", 40, "pass", True, False),
        ("spike", 4, "pass", False, True), ("spike", 40, "warn", False, True),
    ],
)  # fmt: skip
@on("sqlite")
def test_one_direction(direction: str, rows: int, status: str, low: bool, high: bool, database: Database) -> None:
    lab.make(database)
    lab.days(database, 1)
    lab.insert(database, lab.day(TODAY, rows))
    (found,) = lab.look(database, metrics=["row_count"], direction=direction)["tests"]
    assert (found["status"], found["low"] is not None, found["high"] is not None) == (status, low, high)
    assert (found["low"] or 0) < found["expected"] < (found["high"] or math.inf)


def test_of_many_tests_chance_explains_some(database: Database) -> None:
    """Benjamini and Hochberg, by hand: of 20 p-values, the k-th smallest is to be at most 0.05 k / 20."""
    columns = [f"c{n:02}" for n in range(20)]
    lab.make(database, "ds date, " + ", ".join(f"{name} integer" for name in columns))
    lab.insert(database, [(ago(n), *[5] * 20) for n in range(20, -1, -1)])
    p_values = np.array([1e-5, 0.0039, 0.0074, 0.011, 0.02, *[0.5] * 15])
    from scipy.special import ndtri

    def found(fdr: float | None, threshold: float = 2.0) -> list[str]:
        outcome = lab.look(
            database, metrics=["mean"], baseline=lab.crafted(-ndtri(p_values / 2)), fdr=fdr, threshold=threshold
        )
        tests = lab.verdicts(outcome)
        assert [tests[f"mean({name})"]["p_value"] for name in columns] == pytest.approx(p_values, rel=1e-6)
        told = [
            test["reason"] for test in outcome["tests"] if "among so many tests chance explains it" in test["reason"]
        ]
        assert len(told) == (0 if fdr is None else 5 - len(outcome["anomalies"]))
        return sorted(outcome["anomalies"])

    named = [f"mean({name})" for name in columns]
    assert found(None) == named[:5]
    assert found(None, threshold=2.6) == named[:3]
    assert found(0.05) == named[:3]  # 0.0074 < 0.05 * 3 / 20; 0.011 > 0.01; 0.02 > 0.0125
    assert found(0.04) == named[:2]  # 0.0039 < 0.04 * 2 / 20, 0.0074 > 0.04 * 3 / 20


@pytest.mark.parametrize("method", ["auto", "zscore", "robust", "seasonal"])
@on("postgres")
def test_every_baseline_finds_what_is_plain(method: str, database: Database) -> None:
    lab.make(database)
    for n in range(60, 0, -1):
        lab.insert(database, lab.day(ago(n), 20 + n % 3, delay=5.0 + n % 5))
    lab.insert(database, lab.day(TODAY, 2, delay=7.0))
    found = lab.verdicts(lab.look(database, baseline=method, fdr=0.05))
    assert found["row_count"]["status"] == "warn"
    assert found["mean(delay)"]["status"] == "pass"
    assert found["row_count"]["expected"] == pytest.approx(21, abs=1.5)
    assert "sigma below" in found["row_count"]["reason"]


def nothing(past: Any, dates: Any, kinds: Any) -> Any:
    return None


def too_few(past: Any, dates: Any, kinds: Any) -> Any:
    return lab.steady(past[:1], dates, kinds[:1])


def broken(past: Any, dates: Any, kinds: Any) -> Any:
    raise ZeroDivisionError("no such day")


@pytest.mark.parametrize(
    ("baseline", "says"),
    [
        (nothing, "nothing baseline, 3.5 sigma of 90 values: the function returned NoneType, not a Forecast"),
        (too_few, "too_few baseline, 3.5 sigma of 90 values: the function returned a Forecast of 1 series, given 8"),
        (broken, "broken baseline, 3.5 sigma of 90 values failed: ZeroDivisionError('no such day')"),
    ],
)
@on("sqlite")
def test_a_function_that_is_no_baseline(baseline: Any, says: str, flights: Database) -> None:
    with pytest.raises(AirflowException) as raised:
        lab.look(flights, baseline=baseline)
    assert says in str(raised.value)
    assert "Hint: " in str(raised.value)
    assert isinstance(raised.value.__cause__, DataQualityError)


@on("sqlite")
def test_the_function_is_told_what_it_needs(flights: Database) -> None:
    seen: list[Any] = []

    def curious(past: Any, dates: Any, kinds: Any) -> Any:
        seen.append((past.shape, dates.dtype, dates[[0, -1]].tolist(), kinds.tolist()))
        return lab.steady(past, dates, kinds)

    lab.look(
        flights,
        baseline=curious,
        window=50,
        metrics=["row_count", "null_ratio:origin", "mean:delay", "null_count:origin"],
    )
    assert seen == [((4, 50), np.dtype("datetime64[D]"), [ago(50), TODAY], ["count", "rate", "value", "count"])]


def test_blocking_tests_that_would_have_fired_often_are_named(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    lab.make(database)
    lab.insert(database, [row for n in range(60, -1, -1) for row in lab.day(ago(n), 30 if n and n % 9 == 0 else 10)])
    for severity, most, named in (("warn", 12, []), ("error", 12, ["row_count"]), ("error", 100, [])):
        caplog.clear()
        lab.look(database, severity=severity, max_false_alarms=most, metrics=["row_count", "null_ratio:ds"])
        told = [
            record.getMessage()
            for record in caplog.records
            if "on its own history it would have fired" in record.getMessage()
        ]
        assert [text.partition(" ")[0] for text in told] == named
        assert all("would have fired 40 times a year (max_false_alarms=12): raise threshold" in text for text in told)


@told_to_listeners
@on("sqlite")
def test_listeners_and_consumers_are_told(flights: Database) -> None:
    asset, events = Asset("flights"), OutletEventAccessors()
    context: Any = {"outlet_events": events, "task": SimpleNamespace(outlets=[asset])}
    task = ZScoreAnomalyOperator(
        task_id="look", conn_id=flights.conn_id, table="flights", partition={"ds": TODAY}, baseline=lab.steady
    )
    outcome = task.execute(context)
    extra = events[asset].extra[RESULT_KEY]
    assert (extra["warned"], extra["warned_rules"]) == (3, outcome["warned_rules"])
    results = {result.name: result for result in task.check_results}
    assert results["row_count"].success is False
    assert results["mean(delay)"].success is True


@on("sqlite")
def test_few_results_are_logged_and_of_many_the_anomalies(
    flights: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_dataquality.operators import _table

    said: list[str] = []
    for most, logged in ((100, 8), (7, 3)):
        monkeypatch.setattr(_table, "MANY", most)
        task = ZScoreAnomalyOperator(
            task_id="look", conn_id=flights.conn_id, table="flights", partition={"ds": TODAY}, baseline=lab.steady
        )
        said.clear()
        for level in ("info", "warning"):
            monkeypatch.setattr(task.log, level, lambda text, *words: said.append(text % words))
        task.execute({})
        assert len([line for line in said if line.startswith(("WARN ", "PASS "))]) == logged
        assert said[-1] == "Checked flights/ds=2013-05-01: 5 pass, 3 warn"


@pytest.mark.parametrize(
    ("run", "day"),
    [
        (SimpleNamespace(partition_key="2013-05-01", run_after=None), "2013-05-01"),
        (SimpleNamespace(partition_key=None, run_after=None), None),
    ],
)
def test_runs_without_a_logical_date(run: Any, day: str | None) -> None:
    task = ZScoreAnomalyOperator(
        task_id="look",
        conn_id="nowhere",
        table="{{ params.t }}",
        partition={"ds": "{{ ds }}"},
        partition_clause="a = '{{ ds }}'",
    )
    context: Any = {"dag_run": run, "params": {"t": "flights"}}
    if day is None:
        with pytest.raises(AirflowException, match=r"was not rendered[\s\S]*Hint: "):
            task.execute({})
        return
    task.render_template_fields(context)
    assert (task.table, task.partition, task.partition_clause) == ("flights", {"ds": day}, f"a = '{day}'")


ODD = ['a "quoted" b', "select", "größe 大", "x" * 63, "back\\slash", "{curly} %s", "it's"]


def test_names_of_every_kind(database: Database) -> None:
    for name in ODD:
        table, quoted = Table(name), database.session.dialect.identifier(name)
        key = database.session.dialect.identifier(f"k{name}"[:60] if len(name) > 60 else f"k{name}")
        lab.make(database, f"{key} date, {quoted} integer, value integer", table=table)
        lab.insert(database, [(ago(n), 7, 1) for n in range(16, -1, -1) for _ in range(5 if n else 1)], table=table)
        column = key[1:-1].replace('""', '"')
        arguments: dict[str, Any] = {
            "table": quoted,
            "partition": {column: TODAY},
            "dimensions": [name, [name, "value"]],
        }
        first = lab.look(database, **arguments)
        assert len(first["anomalies"]) == 3, name
        assert lab.look(database, **arguments, history="ledger")["tests"] == first["tests"], name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"conn_id": None}, "has no conn_id"),
        ({"table": None}, "is not a table name"),
        ({"table": "a.b.c"}, "names a database"),
        ({"partition": {"ds": [1]}}, "is not a plain value"),
        ({"partition_clause": "a; b"}, "semicolon"),
        ({"fail_on": "err"}, "did you mean 'error'?"),
        ({"severity": "fatal"}, "severity is 'fatal'"),
        ({"metrics": ["nul_ratio"]}, "metrics[0]: unknown check 'nul_ratio'\nHint: did you mean 'null_ratio'?"),
        ({"metrics": ["mean", {"column": "a"}]}, "metrics[1]: {'column': 'a'} is no metric"),
        ({"metrics": [{"metric": "mean", "colum": "a"}]}, "did you mean 'column'?"),
        ({"metrics": [{"metric": "quantile", "column": "a", "q": 50}]}, "is not a number from 0 to 1"),
        ({"metrics": ["quantile:a"]}, "quantile needs `q`"),
        ({"metrics": ["row_count:a"]}, "takes no column"),
        ({"metrics": ["churn_ratio:a"]}, "is no number of a table alone"),
        ({"metrics": ["check_statement"]}, "is no number of a table alone"),
        ({"metrics": 7}, "metrics is 7, not a list"),
        ({"metrics": []}, "metrics"),
        ({"columns": []}, "columns: [] is no list of columns"),
        ({"columns": [1]}, "columns: [1] is no list of columns"),
        ({"dimensions": "origin"}, "write ['origin']"),
        ({"dimensions": [[]]}, "dimensions: [] is no list of columns"),
        ({"dimensions": 7}, "dimensions is 7"),
        ({"dimensions": [7]}, "dimensions: 7 is no list of columns"),
        ({"max_values": 0}, "max_values is 0"),
        ({"baseline": "zscor"}, "did you mean 'zscore'?"),
        ({"threshold": 0}, "threshold is 0"),
        ({"threshold": "3"}, "threshold is '3'"),
        ({"direction": "up"}, "direction is 'up'"),
        ({"window": 2}, "window is 2"),
        ({"min_history": 2}, "min_history is 2"),
        ({"min_history": 91}, "min_history 91 is more than window 90"),
        ({"period": "days"}, "did you mean 'day'?"),
        ({"exclude": ["x"]}, "exclude holds 'x', neither a date nor two"),
        ({"exclude": [("2013-02-02", "2013-02-01")]}, "ends before it begins"),
        ({"history": "tabel"}, "did you mean 'table'?"),
        ({"history": "ledger", "ledger_schema": None}, "history is 'ledger', and ledger_schema None"),
        ({"fdr": 5}, "fdr is 5, not between 0 and 1"),
        ({"fdr": "0.05"}, "fdr is '0.05'"),
        ({"max_false_alarms": "12"}, "max_false_alarms is '12'"),
    ],
)
def test_what_can_never_work_is_refused_at_once(arguments: dict[str, Any], says: str) -> None:
    defaults: dict[str, Any] = {"task_id": "look", "conn_id": "nowhere", "table": "flights"}
    with pytest.raises((SpecError, PartitionError)) as raised:
        ZScoreAnomalyOperator(**{**defaults, **arguments})
    assert says in str(raised.value)
    assert "Hint: " in str(raised.value)


WRONG: list[tuple[Any, str]] = [
    ({"partition": {"dss": TODAY}}, "did you mean 'ds'?"),
    ({"partition_clause": "nope = 1"}, "cannot be read"),
    ({"columns": ["delay", "orign"]}, "did you mean 'origin'?"),
    ({"metrics": ["mean:orign"]}, "did you mean 'origin'?"),
    ({"metrics": ["mean:origin"]}, "mean needs a column of category number"),
    ({"metrics": ["max:origin"]}, "max of origin is "),
    ({"metrics": ["mean"], "columns": ["origin"]}, "no metric fits its columns"),
]


def test_what_only_the_database_knows(flights: Database) -> None:
    for arguments, says in WRONG:
        with pytest.raises(AirflowException) as raised:
            lab.look(flights, **arguments)
        assert says in str(raised.value)
        assert "Hint: " in str(raised.value)


def test_two_dates_in_a_partition(database: Database) -> None:
    lab.make(database, "ds date, loaded date")
    with pytest.raises(AirflowException, match="ds and loaded are dates"):
        lab.look(database, partition={"ds": TODAY, "loaded": TODAY})


def test_one_spelling_of_exclude_will_do() -> None:
    for exclude in ("2013-05-01", TODAY, ["2013-05-01"], [("2013-05-01", TODAY)]):
        task = ZScoreAnomalyOperator(task_id="look", conn_id="nowhere", table="flights", exclude=exclude)  # type: ignore[arg-type]
        assert task.search.baseline.exclude == ((TODAY, TODAY),)


def test_the_error_of_one_metric_is_its_own(warehouse: Warehouse) -> None:
    from airflow_dataquality.dialects import dialect_for
    from airflow_dataquality.hooks.session import DbApiSession

    with warehouse.connect() as connection:
        database = Database(DbApiSession(connection, dialect_for("postgres")), warehouse.conn_id)
        lab.make(database)
        lab.days(database, 1)
        lab.insert(database, lab.day(TODAY))
        connection.execute(
            "ALTER TABLE flights ADD COLUMN whole integer GENERATED ALWAYS AS (1) STORED, ADD COLUMN huge float8"
        )
        connection.execute("UPDATE flights SET huge = CASE WHEN id % 2 = 0 THEN 1e308 ELSE 1e-308 END")
        with pytest.raises(AirflowException, match=r"stddev\(huge\) could not be measured: .*out of range"):
            lab.look(database, metrics=["row_count", "stddev"])
        statuses = dict(lab.recorded(database, "check_result", "check_name, status"))
    assert (statuses["stddev(huge)"], statuses["row_count"], statuses["stddev(delay)"]) == ("error", "pass", "pass")


def test_a_column_that_tells_the_partition_is_not_judged_unless_it_is_named(database: Database) -> None:
    lab.make(database, "ds date, month integer, rate double precision, delay double precision")
    rows = [(ago(n), ago(n).month, 1.5, float(number)) for n in range(60, -1, -1) for number in range(12)]
    lab.insert(database, rows)
    found = lab.statuses(lab.look(database, window=59))
    assert found["mean(month)"] == "skip"
    assert found["mean(rate)"] == found["mean(delay)"] == "pass", "what never changes is judged"
    outcome = lab.look(database, window=59, metrics=["mean:month"])
    assert lab.statuses(outcome) == {"mean(month)": "warn"}
    assert lab.recorded(database, "metric", "metric")


def test_one_row_a_day_is_data(database: Database) -> None:
    lab.make(database, "ds date, total double precision")
    lab.insert(database, [(ago(n), 900.0 if n == 0 else 100.0 + n % 3) for n in range(40, -1, -1)])
    assert lab.statuses(lab.look(database, metrics=["mean"])) == {"mean(total)": "warn"}
