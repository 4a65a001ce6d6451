"""What headers, templates and files can reach, and what the log shows of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jinja2 import TemplateError

from airflow_dataquality.errors import DataQualityError, SpecError, TableError
from airflow_dataquality.transforms import load, rendered_sql, run
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.linting import lint
from airflow_dataquality.transforms.operators import operator_of
from support import Warehouse
from transforms.flights_project import written

UNSAFE = (
    "''.__class__.__mro__[1].__subclasses__()",
    "ds.__class__",
    "ds.format.__globals__",
    "macros.__class__.__init__.__globals__",
    "macros.ds_add.__globals__['os']",
    "params.__class__",
    "('%s' % 1).__init__",
    "ds | attr('__class__')",
    "lipsum.__globals__['os'].environ",
    "cycler.__init__.__globals__",
    "self.__init__.__globals__",
)
SQL = "SELECT '{{ %s }}' AS x"
HEADER = "kind: create_table_as\noutput: {table: a.t}\n"


def project(folder: Path, files: Mapping[str, str]) -> Project:
    return load(written(folder, files), cache=False)


@pytest.mark.parametrize("expression", UNSAFE)
def test_templates_do_not_reach_python(tmp_path: Path, warehouse: Warehouse, expression: str) -> None:
    with warehouse.connect() as db:
        db.execute("CREATE SCHEMA a")
    found = project(tmp_path, {"p/t.yaml": HEADER, "p/t.sql": SQL % expression})
    (mistake,) = found.mistakes
    assert (mistake.code, Path(mistake.file).name) == ("template", "t.sql")
    with pytest.raises(SpecError):
        rendered_sql(found.transform("t"), "2013-01-01")
    try:
        run(found.transform("t"), conn_id="warehouse", day="2013-01-01")
    except (TemplateError, DataQualityError):
        return
    with warehouse.connect() as db:  # else Airflow's sandbox says nothing, and writes nothing
        assert db.execute("SELECT x FROM a.t").fetchall() == [("",)]


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!!python/module:os"]
)
def test_yaml_makes_no_objects(tmp_path: Path, text: str) -> None:
    files = {"p/t.yaml": f"{HEADER}description: {text}\n", "q/pipeline.yaml": f"description: {text}\n",
             "q/t.yaml": "kind: no_op\noutput: {table: a.u}\nwait: false\n"}  # fmt: skip
    found = project(tmp_path, files)
    assert {Path(each.file).name for each in found.mistakes} >= {"t.yaml", "pipeline.yaml"}
    assert all("not valid YAML" in each.message for each in found.mistakes)


PYTHON = "kind: python\noutput: {{table: a.t, columns: {{x: {{type: integer}}}}}}\nfunction: {0}\n"


@pytest.mark.parametrize("function", ["/etc/x.py:run", "../x.py:run", "os.system; run", "'../p/x:run'", "x:run", "[a]"])
def test_functions_are_of_the_file_beside_or_of_modules(tmp_path: Path, function: str) -> None:
    found = project(tmp_path, {"p/t.yaml": PYTHON.format(function), "p/t.py": "def run(): return []", "x.py": ""})
    (mistake,) = found.mistakes
    assert mistake.message.startswith("function is ")


def test_a_function_of_a_module_that_is_no_transform_is_not_called(tmp_path: Path, warehouse: Warehouse) -> None:
    found = project(tmp_path, {"p/t.yaml": PYTHON.format("os.system")})
    with pytest.raises(SpecError, match="asks for 'command', which nobody gives"):
        run(found.transform("t"), conn_id="warehouse", day="2013-01-01")


def test_the_file_of_a_function_is_a_module_like_any_other(tmp_path: Path, warehouse: Warehouse) -> None:
    code = """
        from __future__ import annotations

        from dataclasses import asdict, dataclass

        @dataclass
        class Row:
            x: int

        def run():
            yield asdict(Row(1))
    """
    with warehouse.connect() as db:
        db.execute("CREATE SCHEMA a")
        found = project(tmp_path, {"p/t.yaml": PYTHON.format("run"), "p/t.py": code})
        assert run(found.transform("t"), conn_id="warehouse", day="2013-01-01")["rows"] == 1


LOAD = 'kind: load\nfiles: "{0}"\nformat: csv\noutput: {{table: a.t, columns: {{x: {{type: text}}}}}}\n'


@pytest.mark.parametrize("files", ["../../secret.csv", "../../{{ ds }}.csv", "files/../../../secret.csv"])
def test_files_outside_of_the_project_are_refused(tmp_path: Path, files: str) -> None:
    (tmp_path / "secret.csv").write_text("x\nhidden\n")
    root = tmp_path / "project"
    found = lint(written(root, {"p/t.yaml": LOAD.format(files)}), cache=False)
    assert [(each.path, each.line) for each in found] == [("files", 2)]
    assert "leads out of the project" in found[0].message


def test_files_of_the_project_and_absolute_ones_are_read(tmp_path: Path, warehouse: Warehouse) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "2013-01-01.csv").write_text("x\nfrom outside\n")
    root = tmp_path / "project"
    files = {"p/t.yaml": LOAD.format("../shared/{{ ds }}.csv"), "shared/2013-01-01.csv": "x\nshared\n",
             "q/u.yaml": LOAD.format(f"{tmp_path}/landing/{{{{ ds }}}}.csv").replace("a.t", "a.u")}  # fmt: skip
    with warehouse.connect() as db:
        db.execute("CREATE SCHEMA a")
        found = project(root, files)
        for each in found.order():
            run(each, conn_id="warehouse", day="2013-01-01")
        rows = db.execute("SELECT x FROM a.t UNION ALL SELECT x FROM a.u").fetchall()
    assert rows == [("shared",), ("from outside",)]


@pytest.mark.parametrize("files", ["files/{{ params.name }}.csv", "{{ params.name }}.csv", "FOLDER/{{ params.name }}"])
@pytest.mark.parametrize("name", ["../../secret", "../../../secret", "/etc/passwd"])
def test_what_a_run_is_given_cannot_lead_out_of_the_folder(
    tmp_path: Path, warehouse: Warehouse, files: str, name: str
) -> None:
    for place in (tmp_path, tmp_path / "a", tmp_path / "a" / "b"):
        place.mkdir(exist_ok=True)
        (place / "secret.csv").write_text("x\nhidden\n")
    root = tmp_path / "a" / "b" / "project"
    found = project(root, {"p/t.yaml": LOAD.format(files.replace("FOLDER", str(root / "p" / "files"))),
                           "p/files/x.csv": "x\n1\n"})  # fmt: skip
    operator: Any = operator_of(found.transform("t"), conn_id="warehouse")
    operator.files = operator.files.replace("{{ params.name }}", name)  # as rendered
    with pytest.raises(Exception, match=r"leads out of|there is no file"):
        operator.execute({"params": {}})
    with warehouse.connect() as db:
        assert db.execute("SELECT to_regclass('a.t')").fetchall() == [(None,)]


@pytest.mark.parametrize("checks", ["../../rules.yaml", "checks/../../../rules.yaml", "/OUTSIDE/rules.yaml"])
def test_rules_outside_of_the_project_are_refused(tmp_path: Path, checks: str) -> None:
    rules = "name: r\nrules: [{check: row_count, condition: {geq_to: 1}}]\n"
    root = written(tmp_path / "project", {"p/t.yaml": f"{HEADER}checks: {checks.replace('/OUTSIDE', str(tmp_path))}\n",
                                          "p/t.sql": "SELECT 1 AS x"})  # fmt: skip
    (tmp_path / "rules.yaml").write_text(rules)
    (found,) = lint(root, cache=False)
    assert (found.path, found.line) == ("checks", 3)
    assert "leads out of the project" in found.message
    written(root, {"shared/rules.yaml": rules, "p/t.yaml": f"{HEADER}checks: ../shared/rules.yaml\n"})
    (stray,) = [each for each in lint(root, cache=False) if each.severity == "error"]
    assert "shared" in stray.file  # it is found; only that folder of rules should be called checks


def test_names_in_headers_are_no_sql(tmp_path: Path, warehouse: Warehouse) -> None:
    files = {
        "p/t.yaml": """
            kind: create_table_as
            description: It's "quoted"; DROP TABLE a.victim --
            output:
              table: a."t; DROP TABLE a.victim"
              partition: {'d"s': "x'; DROP TABLE a.victim; --"}
              primary_key: ['d"s']
              indexes: [['n"); DROP TABLE a.victim; --']]
              columns: {'d"s': "'; DROP TABLE a.victim; --"}
        """,
        "p/t.sql": """SELECT 'x''; DROP TABLE a.victim; --' AS "d""s", 1 AS "n""); DROP TABLE a.victim; --" """,
    }
    with warehouse.connect() as db:
        db.execute("CREATE SCHEMA a; CREATE TABLE a.victim (x int)")
        found = project(tmp_path, files)
        assert run(found.transform("t"), conn_id="warehouse", day="2013-01-01")["rows"] == 1
        assert db.execute("SELECT count(*) FROM a.victim").fetchall() == [(0,)]


@pytest.mark.parametrize("kind", ["integer; DROP TABLE a.victim", "text) ; --", "int /* x */", "text DEFAULT 'x'"])
def test_types_in_headers_are_no_sql(tmp_path: Path, kind: str) -> None:
    header = LOAD.format("files/x.csv").replace("type: text", f'type: "{kind}"')
    (found,) = lint(written(tmp_path, {"p/t.yaml": header, "p/files/x.csv": "x\n1\n"}), cache=False)
    assert "the type of x is" in found.message


SECRET = "hunter2-hunter2"  # noqa: S105 - of nothing


def test_secrets_are_not_in_the_log_nor_in_errors(
    tmp_path: Path, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    files = {
        "p/t.yaml": "kind: sql\noutput: {table: a.t}\nenforce_inputs: false\n",
        "p/t.sql": f"SELECT 1; COPY a.t FROM 's3://x/y' CREDENTIALS 'aws_secret_access_key={SECRET}'",
    }
    found = project(tmp_path, files)
    with caplog.at_level(logging.INFO), pytest.raises(TableError) as failure:
        run(found.transform("t"), conn_id="warehouse", day="2013-01-01")
    assert "statement 2 of 2 (COPY a.t FROM '' CREDENTIALS '')" in str(failure.value)
    assert SECRET not in f"{failure.value}{caplog.text}"
    options = f"iam_role: default\ncopy_options: [\"CREDENTIALS 'aws_secret_access_key={SECRET}'\"]\n"
    written(tmp_path, {"p/t.yaml": LOAD.format("s3://lake/x/") + options})
    (tmp_path / "p" / "t.sql").unlink()
    told = [str(each) for each in lint(tmp_path, dialect="redshift", cache=False)]
    assert any("copy_options holds credentials" in each for each in told)
    assert not any(SECRET in each for each in told)


def test_what_is_kept_on_disk_has_no_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    written(tmp_path / "project", {"p/t.yaml": HEADER, "p/t.sql": f"SELECT '{SECRET}' AS x"})
    assert load(tmp_path / "project").mistakes == ()
    (kept,) = (tmp_path / "home" / "dataquality").iterdir()
    assert SECRET not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    kept.write_text("{half")
    assert load(tmp_path / "project").mistakes == ()


def test_connections_are_not_opened_to_read_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(psycopg, "connect", refuse)
    found = project(tmp_path, {"p/t.yaml": HEADER, "p/t.sql": "SELECT '{{ conn.warehouse.password }}' AS x"})
    assert found.mistakes == ()
    assert rendered_sql(found.transform("t"), "2013-01-01") == "SELECT 'x' AS x"
    with pytest.raises(DataQualityError):
        load(tmp_path / "nowhere")
