"""The pages of saved tests."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.saved_tests import SavedTests, Version
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.saved import read
from support import Warehouse

if TYPE_CHECKING:
    from ui.lab import Pages

METRIC = {
    "kind": "metric", "warehouse": "warehouse", "name": "enough orders", "table": "shop.orders", "check": "row_count",
    "judged": "condition", "geq_to": "50", "partition_column": "ds", "partition_value": "{{ ds }}", "owner": "ann",
    "tags": "daily, shop", "severity": "error",
}  # fmt: skip
FORMULA = {
    "kind": "formula", "warehouse": "warehouse", "conn_id": "warehouse", "name": "as many as usual", "step": "3",
    "control_sql": "SELECT 100 AS n", "experiment_sql": "SELECT count(*) AS n FROM shop.orders WHERE ds = '{{ ds }}'",
    "formula": "experiment.n >= control.n * share", "params": "share = 0.5", "until": "2013-02-28", "days": "7",
}  # fmt: skip
EVIL = "<script>alert(1)</script>'\"{{ 7*7 }}"


@pytest.fixture(autouse=True)
def orders(shown: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """Four weeks, a hundred orders a day, and twenty on the 25th."""
    with shown.connect() as connection:
        connection.execute("""
            CREATE SCHEMA shop;
            CREATE TABLE shop.orders AS SELECT day::date AS ds, n AS id, 'ann@example.com' AS email
            FROM generate_series(date '2013-02-01', '2013-02-28', '1 day') AS day,
              generate_series(1, CASE WHEN day = '2013-02-25' THEN 20 ELSE 100 END) AS n""")
        yield connection


@pytest.fixture
def store() -> Iterator[SavedTests]:
    with connected("warehouse") as session:
        tests = SavedTests(Ledger(session))
        tests.ledger.ensure()
        yield tests


@pytest.fixture
def saved(store: SavedTests) -> Version:
    given = {"table": "shop.orders", "partition": {"ds": "{{ ds }}"}, "check": "row_count", "condition": {"geq_to": 50}}
    return store.save(read("enough orders", "metric", given), author="ann", note="first")


def seal(answer: Any) -> str:
    found = re.search(r'name="seal" value="([^"]*)"', answer.text)
    return html.unescape(found[1]) if found else ""


def previewed(ui: Pages, form: dict[str, str], path: str = "/tests/new", user: str = "user") -> Any:
    answer = ui.post(path, {**form, "action": "preview"}, user=user)
    assert answer.status_code == 200, re.sub(r"\s+", " ", answer.text)[-3000:]
    return answer


def save(ui: Pages, form: dict[str, str], path: str = "/tests/new", user: str = "user") -> Any:
    token = seal(previewed(ui, form, path, user))
    return ui.post(path, {**form, "action": "save", "seal": token}, user=user)


def test_without_tests_the_list_says_what_one_is(ui: Pages, store: SavedTests) -> None:
    answer = ui.get("/tests", user="user")
    assert answer.status_code == 200
    assert "No tests yet" in answer.text
    assert "/dq/tests/new?kind=metric" in answer.text


@pytest.mark.parametrize("form", [METRIC, FORMULA], ids=["metric", "formula"])
def test_a_test_is_previewed_and_then_saved(form: dict[str, str], ui: Pages, store: SavedTests) -> None:
    answer = previewed(ui, form)
    assert "It would have told on 1 of" in answer.text
    assert re.search(r"2013-02-25.{0,400}is-fail", answer.text, re.DOTALL)
    answer = save(ui, form)
    assert answer.status_code == 303
    (version,) = store.newest()
    assert answer.headers["location"] == f"/dq/tests/warehouse/{version.test_id}"
    assert (version.name, version.author, version.state) == (form["name"], "user", "active")
    page = ui.get(f"/tests/warehouse/{version.test_id}", user="viewer").text
    assert html.escape(form["name"]) in page
    assert "It has not run yet" in page
    assert form["name"] in ui.get("/tests", user="viewer").text


def test_three_steps_lead_to_a_formula(ui: Pages) -> None:
    steps = {name: FORMULA[name] for name in ("kind", "warehouse", "conn_id", "until")}
    first = ui.get("/tests/new?kind=formula", user="user").text
    assert "1. Control: what is normal" in first
    assert "2. Experiment: what is now" not in first
    control = "SELECT avg(n) AS n, stddev(n) AS stddev, min(email) AS email FROM "
    control += "(SELECT count(*) AS n, min(email) AS email FROM shop.orders GROUP BY ds) AS d"
    wrong = ui.post("/tests/new", {**steps, "control_sql": "SELECT nonsense", "action": "control"}, user="user")
    assert wrong.status_code == 400
    assert "column &#34;nonsense&#34; does not exist" in wrong.text
    assert "2. Experiment: what is now" not in wrong.text
    steps["control_sql"] = control
    second = ui.post("/tests/new", {**steps, "action": "control"}, user="user").text
    assert "stddev = 15" in second
    assert "ann@example.com" not in second, "a formula is about numbers: texts are not shown"
    assert "2. Experiment: what is now" in second
    steps["experiment_sql"] = FORMULA["experiment_sql"]
    third = ui.post("/tests/new", {**steps, "action": "experiment"}, user="user").text
    assert "n = 100" in third
    assert "abs(experiment.n - control.n) &lt;= z_score * control.stddev" in third
    used = ui.post("/tests/new", {**steps, "action": "use:0"}, user="user").text
    assert re.search(r'name="formula"[^>]*>\s*abs\(experiment.n - control.n\) &lt;= z_score', used)
    assert re.search(r'name="params"[^>]*>\s*z_score = 3', used)


def test_columns_are_looked_up(ui: Pages) -> None:
    form = {**METRIC, "name": "", "partition_column": "", "action": "columns"}
    answer = ui.post("/tests/new", form, user="user").text
    assert '<option value="email">text</option>' in answer
    assert re.search(r'name="partition_column" value="ds"', answer), "the one column that is a date"
    answer = ui.post("/tests/new", {**form, "table": "shop.order"}, user="user")
    assert answer.status_code == 400
    assert "there is no table shop.order" in answer.text


def test_nothing_is_saved_that_was_not_previewed(ui: Pages, store: SavedTests) -> None:
    token = seal(previewed(ui, METRIC))
    assert token
    for changed in ({"geq_to": "49"}, {"check": "column_count"}, {"severity": "warn"}, {"partition_column": ""},
                    {"partition_clause": "id > 3"}):  # fmt: skip
        answer = ui.post("/tests/new", {**METRIC, **changed, "action": "save", "seal": token}, user="user")
        assert (answer.status_code, "not previewed, or was changed since" in answer.text) == (400, True), changed
    for forged in ("", "x", "5f.abc", token[:-1] + "0", "zz." + token.partition(".")[2]):
        answer = ui.post("/tests/new", {**METRIC, "action": "save", "seal": forged}, user="user")
        assert answer.status_code == 400, forged
    other = ui.post("/tests/new", {**METRIC, "action": "save", "seal": token}, user="op")
    assert other.status_code == 400, "somebody else has previewed it"
    assert store.newest() == []
    words = {"name": "another name", "description": "in words", "owner": "bob", "tags": "x"}
    assert ui.post("/tests/new", {**METRIC, **words, "action": "save", "seal": token}, user="user").status_code == 303


def test_what_never_works_is_not_sealed(ui: Pages, store: SavedTests) -> None:
    form = {**FORMULA, "experiment_sql": "SELECT nonsense AS n"}
    answer = ui.post("/tests/new", {**form, "action": "preview"}, user="user")
    assert answer.status_code == 400
    assert seal(answer) == ""
    assert "could not be asked on any day" in answer.text


def test_an_edit_is_a_new_version(ui: Pages, store: SavedTests, saved: Version) -> None:
    path = f"/tests/warehouse/{saved.test_id}/edit"
    page = ui.get(path, user="user").text
    assert 'name="geq_to" value="50"' in page
    assert 'name="partition_column" value="ds"' in page
    form = {**METRIC, "geq_to": "10", "version": "1", "note": "fewer are enough"}
    answer = save(ui, form, path)
    assert answer.status_code == 303
    (version,) = store.newest()
    assert (version.version, version.author, version.note) == (2, "user", "fewer are enough")
    assert version.definition["condition"] == {"geq_to": 10}
    stale = save(ui, {**form, "geq_to": "20"}, path, user="op")
    assert stale.status_code == 400
    assert "user saved version 2" in stale.text
    page = ui.get(f"/tests/warehouse/{saved.test_id}", user="viewer").text
    assert "fewer are enough" in page
    assert "first" in page


def test_every_field_survives_an_edit(ui: Pages, store: SavedTests) -> None:
    tests = [
        ("formula", {"conn_id": "warehouse", "control_sql": "SELECT 1 AS n", "experiment_sql": "SELECT 1 AS n",
                     "formula": "control.n < x", "formula_params": {"x": 0.5}, "owner": "a", "tags": ["b", "c"]}),
        ("metric", {"table": 'shop."A B"', "check": "values_outside", "column": "zip", "values": ["007", "x", 3, 0.5]}),
        ("metric", {"table": "a", "check": "schema", "columns": ["a", "b"]}),
        ("metric", {"table": "a", "check": "orphan_count", "column": ["a", "b"], "references": "c.d",
                    "referenced_columns": ["e", "f"]}),
        ("metric", {"table": "a", "check": "quantile", "column": "a", "q": 0.9, "partition_clause": "b = ''",
                    "baseline": {"robust": {"threshold": 4, "window": 28, "min_history": 7, "direction": "drop"}}}),
        ("metric", {"table": "a", "check": "max", "column": "a", "condition": {"leq_to": "2013-02-01"}}),
        ("metric", {"table": "a", "check": "freshness", "column": "a", "condition": {"leq_to": "26h"}}),
        ("metric", {"table": "a", "check": "row_count", "condition": {"equal_to": 100, "tolerance": 10}}),
        ("metric", {"table": "a", "check": "custom_sql", "sql": "SELECT 1\n+ 1", "condition": {"equal_to": 1}}),
    ]  # fmt: skip
    from airflow_dataquality.ui.saved_form import Form

    for number, (kind, definition) in enumerate(tests):
        made = store.save(read(f"test {number}", kind, definition))
        again = Form.about(made, "warehouse").test()
        assert again.check == made.read().check, definition
        assert again.experiment == made.read().experiment
        assert again.tags == made.read().tags


def test_a_test_is_paused_resumed_and_deleted(ui: Pages, store: SavedTests, saved: Version) -> None:
    path = f"/tests/warehouse/{saved.test_id}/state"
    assert ui.post(path, {"action": "pause", "version": "1"}, user="user").status_code == 303
    assert store.newest()[0].state == "paused"
    assert "It is paused" in ui.get(f"/tests/warehouse/{saved.test_id}", user="user").text
    assert ui.post(path, {"action": "resume", "version": "1"}, user="user").status_code == 409
    assert ui.post(path, {"action": "resume", "version": "2"}, user="user").status_code == 303
    assert ui.post(path, {"action": "drop", "version": "3"}, user="user").status_code == 400
    assert ui.post(path, {"action": "delete", "version": "3"}, user="user").status_code == 303
    assert store.newest() == []
    assert ui.get(f"/tests/warehouse/{saved.test_id}", user="user").status_code == 200
    assert ui.get(f"/tests/warehouse/{saved.test_id}/edit", user="user").status_code == 404


def test_who_may_not_edit_the_dag_writes_nothing(
    ui: Pages, store: SavedTests, saved: Version, dags: Callable[..., None]
) -> None:
    edit, state = (f"/tests/warehouse/{saved.test_id}/{what}" for what in ("edit", "state"))
    for path in ("/tests/new", edit, state):
        for action in ("preview", "save", "control", "columns", "pause", "delete"):
            form = {**METRIC, "action": action, "version": "1"}
            assert ui.post(path, form, user="viewer").status_code == 403, (path, action)
            assert ui.client(None).post(ui.prefix + path, data=form).status_code == 401
            csrf = ui.post(path, {**form, "csrf": "x"}, user="user")
            assert csrf.status_code == 403, "not from our page"
    for path in ("/tests", "/tests/new", f"/tests/warehouse/{saved.test_id}", edit):
        assert ui.get(path, user=None).status_code == 401
    for path in ("/tests/new", edit):
        assert ui.get(path, user="viewer").status_code == 403
    page = ui.get(f"/tests/warehouse/{saved.test_id}", user="viewer").text
    assert "Delete" not in page
    dags("data_quality_tests", hidden={"stranger": ["data_quality_tests"]})
    assert "not yours to see" in ui.get("/tests", user="stranger").text
    assert "enough orders" not in ui.get("/tests", user="stranger").text
    assert ui.get(f"/tests/warehouse/{saved.test_id}", user="stranger").status_code == 404
    for path in ("/tests/new", edit, state):
        assert ui.post(path, {**METRIC, "action": "preview", "version": "1"}, user="stranger").status_code == 403
    assert len(store.history(saved.test_id)) == 1


def test_another_dag_may_be_the_one_that_counts(
    ui: Pages, saved: Version, dags: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    dags("other", hidden={"stranger": ["other"]})
    assert ui.get("/tests/new", user="stranger").status_code == 200
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__TESTS_DAG_ID", "other")
    assert ui.get("/tests/new", user="stranger").status_code == 403
    assert ui.get(f"/tests/warehouse/{saved.test_id}", user="stranger").status_code == 404


def test_only_allowed_connections_are_asked(ui: Pages, store: SavedTests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SECRET", "postgresql://nobody@localhost:1/x")
    for form in (
        {**FORMULA, "conn_id": "secret"},
        {**FORMULA, "warehouse": "secret"},
        {**METRIC, "warehouse": "secret"},
    ):
        for action in ("control", "experiment", "preview", "save", "columns"):
            assert ui.post("/tests/new", {**form, "action": action}, user="user").status_code == 404, (form, action)


@pytest.mark.parametrize("sql", [
    "DELETE FROM shop.orders RETURNING 1 AS n",
    "WITH x AS (DELETE FROM shop.orders RETURNING 1) SELECT count(*) AS n FROM x",
    "SELECT 1 AS n; COMMIT; DELETE FROM shop.orders",
    "DO $$ BEGIN DELETE FROM shop.orders; END $$",
    "SELECT 1 AS n, set_config('transaction_read_only', 'off', false)",
    "SELECT shop.writes() AS n",
    "COPY shop.orders TO PROGRAM 'cat'",
    "EXPLAIN ANALYZE DELETE FROM shop.orders",
    "SELECT '{{ var.value.x }}' AS n",
    "SELECT '{{ conn.warehouse.password }}' AS n",
    "{% for i in range(1000000000) %}x{% endfor %}",
])  # fmt: skip
def test_sql_in_the_form_writes_nothing(sql: str, ui: Pages, orders: psycopg.Connection[Any]) -> None:
    orders.execute("""CREATE FUNCTION shop.writes() RETURNS int LANGUAGE sql
        AS 'DELETE FROM shop.orders RETURNING 1'""")
    for name in ("control_sql", "experiment_sql"):
        for action in ("control", "experiment", "preview", "save"):
            form = {**FORMULA, name: sql, "action": action}
            if name == "control_sql" or action != "control":
                assert ui.post("/tests/new", form, user="user").status_code == 400, (name, action)
    assert orders.execute("SELECT count(*) FROM shop.orders").fetchone() == (2720,)


def test_what_is_typed_is_text(ui: Pages, store: SavedTests, orders: psycopg.Connection[Any]) -> None:
    orders.execute('CREATE TABLE shop."<b>\'x" AS SELECT 1 AS n')
    texts = ("name", "description", "owner", "tags", "table", "partition_column", "partition_value", "control_sql",
             "experiment_sql", "formula", "params", "column", "geq_to", "check", "partition_clause", "until",
             "severity", "note")  # fmt: skip
    for form in (METRIC, FORMULA):
        for name in texts:
            answer = ui.post("/tests/new", {**form, name: EVIL, "days": "2", "action": "preview"}, user="user")
            assert answer.status_code in (200, 400), name
            assert "<script>alert" not in answer.text
            assert ">49<" not in answer.text
    words = dict.fromkeys(("name", "description", "owner", "tags"), EVIL)
    form = {**METRIC, **words, "table": 'shop."<b>\'x"', "partition_column": "", "note": EVIL, "geq_to": "0"}
    assert save(ui, form).status_code == 303
    (version,) = store.newest()
    assert version.name == EVIL
    for path in ("/tests", f"/tests/warehouse/{version.test_id}", f"/tests/warehouse/{version.test_id}/edit"):
        text = ui.get(path, user="user").text
        assert html.escape("<script>alert(1)</script>") in text
        assert "<script>alert" not in text
        assert "<b>" not in text


def test_results_are_shown_to_those_who_may_see_them(
    ui: Pages, store: SavedTests, saved: Version, dags: Callable[..., None]
) -> None:
    from airflow_dataquality.engine.ledger import Run
    from airflow_dataquality.model import Partition
    from airflow_dataquality.results import Result, Status, Summary

    check = saved.read().check
    what = Partition(saved.place, (("ds", "2013-02-25"),))
    for dag_id, value in (("seen", 20), ("secret", 31337)):
        reason = f"row_count is {value}, expected >= 50"
        run = Run(dag_id=dag_id, task_id="run", run_id="r", map_index=0, try_number=1)
        store.ledger.record_results(run, what, Summary((Result(check, value, Status.FAIL, reason),)))
    dags("seen", "secret", hidden={"stranger": ["secret"]})
    page = ui.get(f"/tests/warehouse/{saved.test_id}", user="stranger").text
    assert "row_count is 20, expected &gt;= 50" in page
    assert "/dags/seen/runs/r/tasks/run/mapped/0?try_number=1" in page
    listing = ui.get("/tests", user="stranger").text
    assert "is-fail" in listing
    assert "31337" not in page + listing
    assert "31337" in ui.get(f"/tests/warehouse/{saved.test_id}", user="user").text


def test_the_list_is_searched_and_paged(ui: Pages, store: SavedTests) -> None:
    for number in range(60):
        given = {"table": f"shop.t{number % 3}", "check": "row_count", "condition": {"geq_to": number},
                 "owner": f"owner{number % 2}", "tags": [f"tag{number % 5}"]}  # fmt: skip
        store.save(read(f"test {number:02}", "metric", given), state="paused" if number == 7 else "active")

    def names(query: str) -> list[str]:
        return re.findall(r">(test \d\d)</a>", ui.get(f"/tests?{query}", user="viewer").text)

    assert names("") == [f"test {number:02}" for number in range(50)]
    assert names("page=2") == [f"test {number:02}" for number in range(50, 60)]
    assert names("sort=-name")[0] == "test 59"
    assert names("q=T2+test&owner=owner0&tag=tag0") == ["test 20", "test 50"]
    assert names("state=paused") == ["test 07"]
    assert names("kind=formula") == []
    for odd in ("page=x", "page=0", "page=999999999999", "sort=nonsense", "q=%00", "state='"):
        assert ui.get(f"/tests?{odd}", user="viewer").status_code == 200


def test_a_test_that_cannot_be_read_any_more_has_a_page(
    ui: Pages, saved: Version, orders: psycopg.Connection[Any]
) -> None:
    orders.execute("""UPDATE dataquality.test SET definition = '{"check": "from_tomorrow"}'""")
    page = ui.get(f"/tests/warehouse/{saved.test_id}", user="user")
    assert page.status_code == 200
    assert "cannot read the test" in page.text
    assert ui.get("/tests", user="user").status_code == 200
    assert ui.get(f"/tests/warehouse/{saved.test_id}/edit", user="user").status_code == 200


@pytest.mark.parametrize("path", ["/tests/elsewhere/x", "/tests/warehouse/x", "/tests/warehouse/x/edit"])
def test_what_does_not_exist(path: str, ui: Pages, store: SavedTests) -> None:
    assert ui.get(path, user="user").status_code == 404
