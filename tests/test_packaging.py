"""The distribution: what Airflow reads of it, what the wheel holds, what imports cost, which layer imports which."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path

import jsonschema
import pytest
from hatchling.builders.wheel import WheelBuilder

import airflow_dataquality
from airflow_dataquality import examples
from airflow_dataquality.provider_info import get_provider_info
from transforms.flights_project import written

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "airflow_dataquality"

# Lower layers first: a layer may import those before it.
LAYERS = [
    ("errors",),
    ("interval", "baseline", "monitor", "formula", "vocabulary", "_yaml", "examples"),
    ("model",),
    ("results",),
    ("grammar", "stats"),
    ("checks", "spec", "dialects"),
    ("suspicions",),
    ("lint",),
    ("measures",),
    ("experiments", "days"),
    ("saved",),
    ("plans",),
    ("engine",),
    ("rulefile",),
    ("proposals",),
    ("telemetry",),
    ("hooks",),
    ("operators", "sensors", "triggers", "assets", "maintenance"),
    ("backfill_dag",),
    ("anomalies", "gates", "messages", "monitors", "manual", "preview", "past", "suggest", "tests_dag", "trial"),
    ("transforms",),
    ("notifications",),
    ("plot",),
    ("demo",),  # its Postgres is that of `run --embedded` and of the testing kit
    ("ui", "plugins"),
    ("cli", "provider_info"),
    ("testing",),
]
BELOW_AIRFLOW = [layer for layers in LAYERS[: LAYERS.index(("hooks",))] for layer in layers]
HEAVY = {
    *("boto3", "datadog", "holidays", "matplotlib", "numpy", "pandas", "psycopg", "psycopg2", "pyarrow", "pyhocon"),
    *("redshift_connector", "rich", "scipy", "sqlglot"),
}
SQL_OPERATORS = "airflow.providers.common.sql.operators.sql"
OPERATORS = [module for operators in get_provider_info()["operators"] for module in operators["python-modules"]]
SENSORS = [
    module for kind in ("sensors", "triggers") for of in get_provider_info()[kind] for module in of["python-modules"]
]


def test_provider_info_follows_airflows_schema() -> None:
    schema = json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text())
    info = get_provider_info()
    jsonschema.validate(info, schema)
    # Airflow 3.0 and 3.1 load no commands from providers, and ignore the key.
    assert set(info) <= {*schema["properties"], "cli"}


def test_airflow_finds_the_provider_and_its_commands() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    found = manager.providers["airflow-provider-dataquality"]
    assert found.version == airflow_dataquality.__version__ == metadata.version("airflow-provider-dataquality")
    if not hasattr(manager, "cli_command_functions"):
        pytest.skip("Airflow loads the commands of providers since 3.2")
    names = [command.name for function in manager.cli_command_functions for command in function()]
    assert "dq" in names


def test_every_extra_that_an_extra_names_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        extra
        for requirements in extras.values()
        for requirement in requirements
        if requirement.startswith("airflow-provider-dataquality[")
        for extra in requirement.partition("[")[2].rstrip("]").split(",")
    }
    assert named <= set(extras)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built."""
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return zipfile.ZipFile(path)


def test_wheel_carries_the_example_dags(wheel: zipfile.ZipFile) -> None:
    expected = {f"airflow_dataquality/example_dags/{file.as_posix()}" for file in examples.files()}
    assert expected
    assert expected <= set(wheel.namelist())


def test_wheel_carries_what_the_pages_are_made_of(wheel: zipfile.ZipFile) -> None:
    folders = ("ui/templates", "ui/static", "transforms/templates")
    parts = [path for folder in folders for path in (PACKAGE / folder).rglob("*.*")]
    assert {path.suffix for path in parts} >= {".html", ".css", ".js"}
    assert {path.relative_to(ROOT).as_posix() for path in parts} <= set(wheel.namelist())


def test_wheel_is_typed_and_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "airflow_dataquality/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {
        "airflow_dataquality",
        f"airflow_provider_dataquality-{airflow_dataquality.__version__}.dist-info",
    }


def imported_by(code: str, baseline: str, **environment: str) -> set[str]:
    """The top-level modules that code imports beside those of a module."""
    script = (
        f"import sys, {baseline}\n"
        "before = set(sys.modules)\n"
        f"{code}\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return {*done.stdout.split()}


@pytest.mark.parametrize("module", [*OPERATORS, *SENSORS, "airflow_dataquality.assets", "airflow_dataquality.cli"])
def test_importing_what_dags_import_is_cheap(module: str) -> None:
    """Only what comes on top of Airflow's own counts: it imports some of them itself."""
    baseline = "airflow.cli.cli_config" if module == "airflow_dataquality.cli" else "airflow.sdk.bases.sensor"
    baseline = SQL_OPERATORS if module in OPERATORS else baseline
    assert HEAVY.isdisjoint(imported_by(f"import {module}", baseline))


def test_parsing_transforms_is_cheap(tmp_path: Path) -> None:
    folder = str(written(tmp_path / "transforms"))
    read = f"from airflow_dataquality.transforms import load; load({folder!r})"
    parse = f"from airflow_dataquality.transforms import dags_from; dags_from({folder!r}, conn_id='w')"
    first, second = (imported_by(code, SQL_OPERATORS, AIRFLOW_HOME=str(tmp_path / "home")) for code in (read, parse))
    assert first & HEAVY == {"sqlglot"}, "the SQL is new"
    assert not second & HEAVY


def test_reading_transforms_imports_no_airflow() -> None:
    assert "airflow" not in imported_by("import airflow_dataquality.transforms", "json")


def test_every_pytest_can_afford_the_plugin() -> None:
    assert imported_by("import airflow_dataquality.testing.plugin", "pytest") == {"airflow_dataquality"}


def imports(node: ast.AST) -> Iterator[str]:
    """The modules imported anywhere below a node, but for annotations."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


def imports_of(source: Path) -> set[str]:
    return set(imports(ast.parse(source.read_text())))


def layer_files(layer: str) -> list[Path]:
    return [*PACKAGE.glob(f"{layer}.py"), *PACKAGE.glob(f"{layer}/**/*.py")]


@pytest.mark.parametrize("layer", [layer for layer in BELOW_AIRFLOW if layer_files(layer)])
def test_nothing_below_the_hooks_imports_airflow(layer: str) -> None:
    found = {
        f"{file.relative_to(ROOT)} imports {module}"
        for file in layer_files(layer)
        for module in imports_of(file)
        if module.partition(".")[0] == "airflow"
    }
    assert not found


@pytest.mark.parametrize("layer", [layer for layers in LAYERS for layer in layers if layer_files(layer)])
def test_imports_run_downward(layer: str) -> None:
    level = {name: number for number, names in enumerate(LAYERS) for name in names}
    found = {
        f"{file.relative_to(ROOT)} imports {module}"
        for file in layer_files(layer)
        for module in imports_of(file)
        if module.startswith("airflow_dataquality.") and level[module.split(".")[1]] > level[layer]
    }
    assert not found


def test_every_module_has_a_layer() -> None:
    layered = {name for names in LAYERS for name in names}
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert modules - {"__init__"} <= layered
