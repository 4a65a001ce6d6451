"""The data quality pages, as a plugin of Airflow.

Every Airflow process imports this module, workers too. So what it needs is imported when the API server asks for it.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)

PREFIX = "/dq"
NAME = "Data quality"
_DAG = {"dag_id": "{DAG_ID}"}
_RUN = {**_DAG, "run_id": "{RUN_ID}"}
_TASK = {**_DAG, "task_id": "{TASK_ID}"}
_TABS = {"dag": _DAG, "dag_run": _RUN, "task": _TASK, "task_instance": {**_RUN, **_TASK, "map_index": "{MAP_INDEX}"}}


def _views() -> list[dict[str, Any]]:
    """The entry of the menu, and the tabs. Relative addresses, because Airflow may live under a path of its own."""
    home = {
        "name": NAME,
        "href": f"{PREFIX[1:]}/",
        "url_route": "data-quality",
        "destination": "nav",
        "icon": f"{PREFIX[1:]}/static/icon.svg",
        "icon_dark_mode": f"{PREFIX[1:]}/static/icon-dark.svg",
    }
    tabs = [
        {
            "name": NAME,
            "href": f"{PREFIX[1:]}/runs?{urlencode(names, safe='{}')}",
            "url_route": f"data-quality-{destination.replace('_', '-')}",
            "destination": destination,
        }
        for destination, names in _TABS.items()
    ]
    return [home, *tabs]


class DataQualityPlugin(AirflowPlugin):
    """Pages that show what was published, what was blocked and why."""

    name = "airflow_dataquality"
    external_views: list[Any] = _views()

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        # Whatever fails here would keep Airflow's API server from starting, and no page of ours is worth that.
        try:
            from airflow_dataquality.ui.app import create_app

            return [{"app": create_app(), "url_prefix": PREFIX, "name": NAME}]
        except Exception:
            log.exception("the data quality pages are not available")
            return []
