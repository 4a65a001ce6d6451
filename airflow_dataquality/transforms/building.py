"""A pipeline as a DAG: its task groups, what they wait for, and what becomes of one with mistakes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Asset, BaseOperator, TaskGroup

from airflow_dataquality.assets import table_asset
from airflow_dataquality.errors import SpecError
from airflow_dataquality.lint import Finding
from airflow_dataquality.sensors.partition import PartitionSensor
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.linting import in_header
from airflow_dataquality.transforms.model import Pipeline, Transform
from airflow_dataquality.transforms.operators import anomalies_of, operator_of, partition_text
from airflow_dataquality.transforms.places import Misfit, in_yaml, text_of
from airflow_dataquality.transforms.reading import SETTINGS_FILE

log = logging.getLogger(__name__)

BROKEN = "broken"
"""Tag of a DAG whose pipeline has mistakes."""
Callbacks = Callable[..., Any] | Sequence[Callable[..., Any]]


class Build:
    """Makes the DAGs of one project."""

    def __init__(
        self, project: Project, conn_id: str, prefix: str, schedule: Any, start_date: datetime, catchup: bool,
        retries: int, callbacks: Callbacks | Mapping[str, Callbacks] | None, waiting: Mapping[str, Any],
        tags: tuple[str, ...], default_args: Mapping[str, Any], strict: bool, arguments: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.project, self.conn_id, self.prefix, self.strict = project, conn_id, prefix, strict
        self.schedule, self.start_date, self.catchup, self.retries = schedule, start_date, catchup, retries
        self.callbacks, self.waiting, self.tags = callbacks, waiting, tags
        self.default_args, self.arguments = default_args, arguments
        self._assets: dict[str, Asset] = {}

    def dag(self, pipeline: Pipeline) -> DAG:
        """The DAG of a pipeline; if it has mistakes, one that says so.

        :raises SpecError: instead, if that is wanted
        """
        mistakes: Sequence[Finding] = pipeline.mistakes
        if not mistakes:
            try:
                return self._sound(pipeline)
            except _Mistaken as found:
                mistakes = found.mistakes
            except Exception as error:  # noqa: BLE001 - what Airflow refuses: a schedule, say
                mistakes = [_refused(pipeline, error)]
        text = "\n".join(map(str, mistakes))
        log.error("The pipeline %s does not run until it is mended:\n%s", pipeline.name or pipeline.path, text)
        if self.strict:
            raise SpecError(f"the pipeline {pipeline.name} has mistakes:\n{text}", hint="mend them")
        return self._broken(pipeline, text)

    def _schedule(self, pipeline: Pipeline) -> Any:
        return self.schedule if pipeline.schedule is None else pipeline.schedule

    def _arguments(self, pipeline: Pipeline) -> dict[str, Any]:
        settings = pipeline.settings
        start = settings.start_date
        own = {} if settings.max_active_runs is None else {"max_active_runs": settings.max_active_runs}
        owner = _owner(pipeline)
        return {
            # In the time zone of the other pipelines, which is their schedules', too.
            "start_date": self.start_date
            if start is None
            else datetime.fromisoformat(start).replace(tzinfo=self.start_date.tzinfo),
            "catchup": settings.catchup or self.catchup,
            "description": settings.description or None,
            "default_args": {**self.default_args, **({"owner": owner} if owner else {})},
            "template_searchpath": [str(pipeline.path), str(self.project.folder)],
            **own,
            **self.arguments,
        }

    def _sound(self, pipeline: Pipeline) -> DAG:
        tags = [*self.tags, *pipeline.settings.tags]
        # Not registered before all of it is made: a mistake that an operator finds leaves a DAG without tasks.
        with DAG(
            f"{self.prefix}{pipeline.name}", schedule=self._schedule(pipeline), tags=tags, doc_md=_doc(pipeline),
            auto_register=False, **self._arguments(pipeline),
        ) as dag:  # fmt: skip
            made, mistakes = self._tasks(pipeline)
            if mistakes:
                raise _Mistaken(mistakes)
            self._connect(pipeline, made)
            dag.auto_register = True
        return dag

    def _tasks(self, pipeline: Pipeline) -> tuple[dict[str, list[BaseOperator]], list[Finding]]:
        made: dict[str, list[BaseOperator]] = {}
        mistakes: list[Finding] = []
        for transform in pipeline.transforms:
            try:
                made[transform.name] = self._group(transform)
            except Exception as error:  # noqa: BLE001 - of one header, which the other pipelines are not to suffer from
                mistakes.append(in_header(transform, error))
        return made, mistakes

    def _group(self, transform: Transform) -> list[BaseOperator]:
        """The tasks of a transform, one after the other."""
        common: dict[str, Any] = {"retries": self.retries if transform.retries is None else transform.retries}
        if transform.owner:
            common["owner"] = transform.owner
        callbacks = self._alerts(transform.owner)
        if callbacks is not None:
            common["on_failure_callback"] = callbacks
        assets: dict[str, Any] = {
            "inlets": [self._asset(each) for each in transform.inputs],
            "outlets": [self._asset(transform.output.table)] if transform.output else [],
        }
        with TaskGroup(transform.short_name, tooltip=transform.description):
            first = operator_of(
                transform, conn_id=self.conn_id, project=self.project, doc_md=transform.description or None,
                **common, **assets, **(self.waiting_for(transform) if transform.kind == "no_op" else {}),
            )  # fmt: skip
            second = anomalies_of(transform, conn_id=self.conn_id, **common)
            if second is None:
                return [first]
            first >> second
            return [first, second]

    def _asset(self, table: str) -> Asset:
        if table not in self._assets:
            self._assets[table] = table_asset(self.conn_id, table)
        return self._assets[table]

    def waiting_for(self, transform: Transform) -> Mapping[str, Any]:
        """How data of others are waited for, as far as the header does not say."""
        if not transform.waits:
            return {}
        return {name: value for name, value in self.waiting.items() if name not in transform.options}

    def _alerts(self, owner: str | None) -> Callbacks | None:
        if isinstance(self.callbacks, Mapping):
            found: Callbacks | None = self.callbacks.get(owner or "", self.callbacks.get("*"))
            return found
        return self.callbacks

    def _connect(self, pipeline: Pipeline, made: Mapping[str, Sequence[BaseOperator]]) -> None:
        """Have each transform run after those that it reads; what others make is waited for."""
        sensors: dict[str, BaseOperator] = {}
        for transform in pipeline.transforms:
            first = made[transform.name][0]
            for before in self.project.upstream(transform):
                if before.pipeline == pipeline.name:
                    made[before.name][-1] >> first
                    continue
                if before.kind == "no_op" and not before.waits:
                    continue
                if before.name not in sensors:
                    sensors[before.name] = self._sensor(before, pipeline)
                sensors[before.name] >> first

    def _sensor(self, before: Transform, pipeline: Pipeline) -> BaseOperator:
        callbacks = self._alerts(_owner(pipeline))
        common: dict[str, Any] = {
            "task_id": f"wait_for_{before.name.replace('.', '_')}",
            "conn_id": self.conn_id,
            "retries": self.retries,
            **({} if callbacks is None else {"on_failure_callback": callbacks}),
        }
        if before.kind == "no_op":
            return operator_of(before, **common, **self.waiting_for(before))
        return PartitionSensor(partitions=[partition_text(before)], state="published", **common, **self.waiting)

    def _broken(self, pipeline: Pipeline, text: str) -> DAG:
        from airflow.providers.standard.operators.python import PythonOperator

        name = re.sub(r"[^\w.-]+", "_", f"{self.prefix}{pipeline.name or pipeline.path.name}")[:250]
        given = {
            "tags": [*self.tags, BROKEN],
            "doc_md": f"This pipeline does not run until it is mended:\n\n```\n{text}\n```",
            **self._arguments(pipeline),
        }
        try:
            dag = DAG(name, schedule=self._schedule(pipeline), **given)
        except Exception:  # noqa: BLE001 - the schedule is what is to be mended
            dag = DAG(name, schedule=None, **given)
        with dag:
            PythonOperator(
                task_id="mend_the_pipeline", python_callable=_refuse, op_args=[text], retries=0,
                on_failure_callback=self._alerts(_owner(pipeline)),
            )  # fmt: skip
        return dag


class _Mistaken(Exception):
    """Operators refused what headers say."""

    def __init__(self, mistakes: Iterable[Finding]) -> None:
        super().__init__()
        self.mistakes = list(mistakes)


def _owner(pipeline: Pipeline) -> str | None:
    """Who is told of what is no transform's alone."""
    return pipeline.settings.owner or next((each.owner for each in pipeline.transforms if each.owner), None)


def _refused(pipeline: Pipeline, error: Exception) -> Finding:
    """What Airflow said of a whole DAG, in the file that has its settings."""
    where = pipeline.path / SETTINGS_FILE
    text = text_of(where)
    of = pipeline.schedule is not None and pipeline.settings.schedule is None
    file = next((each.path for each in pipeline.transforms if each.schedule is not None), where) if of else where
    misfit = Misfit(f"no DAG can be made of it: {error}", hint="look at its schedule, its dates and its name",
                    path=("schedule",))  # fmt: skip
    return in_yaml(file, text if file == where else text_of(file), None, misfit)


def _refuse(text: str) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    raise AirflowFailException(f"the pipeline has mistakes:\n{text}")


def _doc(pipeline: Pipeline) -> str:
    lines = [f"- **{each.short_name}** ({each.kind}): {each.description}" for each in pipeline.transforms]
    head = f"{pipeline.settings.description}\n\n" if pipeline.settings.description else ""
    return head + "\n".join(lines)
