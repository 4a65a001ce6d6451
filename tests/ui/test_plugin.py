"""What Airflow sees of the plugin, and what it costs where there are no pages."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from airflow_dataquality.plugins.dataquality import DataQualityPlugin

if TYPE_CHECKING:
    import pytest

    from ui.lab import Pages

HEAVY = {"fastapi", "starlette", "numpy", "scipy", "pandas", "psycopg", "jinja2.environment", "sqlparse"}
SECONDS = 0.1


def test_airflow_finds_the_plugin_and_its_views(ui: Pages) -> None:
    answer = ui.client("viewer").get("/api/v2/plugins")
    (plugin,) = [found for found in answer.json()["plugins"] if found["name"] == "airflow_dataquality"]
    assert [app["url_prefix"] for app in plugin["fastapi_apps"]] == ["/dq"]
    views = {view["destination"]: view["href"] for view in plugin["external_views"]}
    assert views == {
        "nav": "dq/",
        "dag": "dq/runs?dag_id={DAG_ID}",
        "dag_run": "dq/runs?dag_id={DAG_ID}&run_id={RUN_ID}",
        "task": "dq/runs?dag_id={DAG_ID}&task_id={TASK_ID}",
        "task_instance": "dq/runs?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}",
    }
    assert "airflow_dataquality" in plugin["source"], "it is found through its entry point"


def test_every_view_has_an_address_of_its_own() -> None:
    routes = [view["url_route"] for view in DataQualityPlugin.external_views]
    assert len(set(routes)) == len(routes)


def test_a_worker_pays_next_to_nothing_for_the_plugin() -> None:
    """It loads every plugin: what this one adds to Airflow's own imports counts."""
    script = (
        "import sys, time, airflow.plugins_manager\n"
        "before, started = set(sys.modules), time.process_time()\n"
        "from airflow_dataquality.plugins.dataquality import DataQualityPlugin\n"
        "plugin = DataQualityPlugin()\n"
        "spent = time.process_time() - started\n"
        "print(spent, *sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    spent, *modules = done.stdout.split()
    assert float(spent) < SECONDS
    assert HEAVY.isdisjoint(modules)
    ours = {module for module in modules if module.startswith("airflow_dataquality.")}
    assert ours == {"airflow_dataquality.plugins", "airflow_dataquality.plugins.dataquality"}


def test_airflow_starts_without_the_pages_if_they_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "airflow_dataquality.ui.app", None)
    assert DataQualityPlugin().fastapi_apps == []
    assert "not available" in caplog.text
