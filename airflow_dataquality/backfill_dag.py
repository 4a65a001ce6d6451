"""A DAG for a job whose partitions are to be computed anew now and then: from the data quality pages, or by hand."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, XComArg

from airflow_dataquality.engine.job import (
    FINISHES,
    MOST_PARALLEL,
    MOST_PARTITIONS,
    MOST_PER_CHUNK,
    SPELLED,
    Job,
)
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._backfill import DAYS
from airflow_dataquality.operators._backfill_steps import BEGUN, BackfillStep, SummaryBackfillStep
from airflow_dataquality.operators._template import SqlTemplate
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from airflow_dataquality.operators.parallel_backfill import arguments_of

TAG = "backfill"
"""The tag by which the pages find the DAGs."""
TAGS = ("data quality", TAG)
_OF_THE_RUN = ("start", "end", "dry_run")
_LIKE_ITS_OWN = ("template_searchpath", "user_defined_macros", "user_defined_filters", "render_template_as_native_obj",
                 "jinja_environment_kwargs")  # fmt: skip


def backfill_dag(
    dag_id: str | None = None,
    *,
    of: Any = None,
    finish: str = "hold",
    most_partitions: int = MOST_PARTITIONS,
    outlets: Sequence[Any] = (),
    chunk_arguments: Mapping[str, Any] | None = None,
    dag_arguments: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> DAG:
    """A DAG that computes a range of a job's partitions anew: plan → chunks (mapped) → compare → exchange.

    A run is given the first and the last partition, how many processes compute chunks at the same time, how many days
    one of their statements computes, and how it ends. With ``finish="hold"`` it ends before the exchange, with the rows
    staged and compared; a second run of the same range, with ``finish="exchange"`` or ``"discard"``, ends that.

    ``backfill_dag(of=publish_daily_flights)`` is all that a job needs.

    :param dag_id: by default ``backfill_`` and the name of the task or the table
    :param of: the task that publishes the partitions day by day: a ``StageCheckExchangeOperator`` with ``sql`` and one
        partition column, or an ``IncrementalSummaryOperator``. Its DAG's template settings and params serve here, too
    :param finish: how a run ends unless it says otherwise: ``hold``, ``exchange``, ``discard`` or ``plan``
    :param most_partitions: a run of more is refused: most likely a year is misspelled
    :param outlets: assets that the exchange updates
    :param chunk_arguments: of the mapped task alone: ``retries``, ``pool``, ``queue`` …
    :param dag_arguments: of the DAG: ``tags``, ``doc_md``, ``access_control`` …; runs wait for each other, unless
        ``max_active_runs`` says otherwise
    :param arguments: of :class:`ParallelBackfillOperator`, in place of those of ``of``, but for ``start``, ``end`` and
        ``dry_run``; and of all tasks: ``pool``, ``priority_weight`` …
    :raises SpecError: for an argument that can never work
    """
    if wrong := [name for name in _OF_THE_RUN if name in arguments]:
        raise SpecError(f"{', '.join(wrong)}: that is for each run to say", hint="leave it out")
    if finish not in FINISHES:
        raise SpecError(f"finish is {finish!r}", hint=did_you_mean(finish, FINISHES, label="Known"))
    common.check_number("most_partitions", most_partitions, 1)
    kind, given = _kind(of, arguments)
    dag_id = dag_id or _dag_id(of, given)
    with DAG(dag_id, schedule=None, **_of_dag(of, dag_arguments or {})) as dag:
        # As @dag does it: relative paths are looked for beside the file that calls this, and Airflow shows its code.
        dag.fileloc = sys._getframe(1).f_code.co_filename  # noqa: SLF001 - as above
        # Built once with stand-ins, so that the parameters can be told by what the operator makes of its arguments.
        plan = kind(task_id="plan", part="plan", start="{{ params.start }}", end="{{ params.end }}", **given)
        job = _described(plan, finish, most_partitions)
        plan.described = plan.doc_json = job.text
        dag.params.update(_params(job))
        _steps(kind, plan, {**given, "described": job.text}, outlets, chunk_arguments or {})
    return dag


def _kind(of: Any, arguments: Mapping[str, Any]) -> tuple[type[Any], dict[str, Any]]:
    """The operator of the steps, and its arguments."""
    if isinstance(of, IncrementalSummaryOperator):
        return SummaryBackfillStep, {"operator": of, **arguments}
    if of is None and "sql" not in arguments:
        raise SpecError("neither of= nor sql=", hint="name the task that publishes the partitions: of=publish")
    known = {} if of is None else arguments_of(of)
    known.pop("task_id", None)
    return BackfillStep, {**known, **arguments}


def _dag_id(of: Any, given: Mapping[str, Any]) -> str:
    if of is not None:
        return f"backfill_{of.task_id}".replace(".", "_")
    name = str(given.get("table", ""))
    if common.is_template(name) or not name:
        raise SpecError("a DAG of this job has no name", hint='write backfill_dag("backfill_flights", …)')
    return "backfill_" + "".join(sign if sign.isalnum() else "_" for sign in name.replace('"', ""))


def _of_dag(of: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the DAG: what the job's own DAG renders its SQL with, and what was given."""
    like: dict[str, Any] = {}
    home = of.get_dag() if of is not None else None
    if home is not None:
        like = {name: value for name in _LIKE_ITS_OWN if (value := getattr(home, name, None))}
        paths = like.get("template_searchpath", [])
        like["template_searchpath"] = [home.folder, *([paths] if isinstance(paths, str) else paths)]
        like["params"] = {name: of.params.get_param(name) for name in of.params}
    tags = {"tags": list(TAGS), "max_active_runs": 1}
    merged = {"catchup": False, **tags, **like, **given}
    merged["tags"] = [*dict.fromkeys([*merged["tags"], TAG])]
    merged["params"] = {**like.get("params", {}), **(given.get("params") or {})}
    return merged


def _described(plan: Any, finish: str, most_partitions: int) -> Job:
    """What the DAG says of the job."""
    text, per, size, most = "", "", 0, MOST_PER_CHUNK
    grain = "day" if plan.grain == "auto" else plan.grain
    if isinstance(plan, BackfillStep):
        template = SqlTemplate.of(plan, plan.sql)
        text, most = template.text, MOST_PER_CHUNK if template.reads_ranges else 1
        by_partition = plan.partitions_per_chunk is not None or grain in ("week", "month")
        per = "partitions_per_chunk" if by_partition else "days_per_chunk"
        size = getattr(plan, per) or min(DAYS if grain == "day" else 1, most)
    return Job(
        table=plan.table, conn_id=plan.conn_id, ledger_schema=plan.ledger_schema,
        partition_column=plan.partition_column, grain=grain, order=plan.order, per=per, per_chunk=size,
        most_per_chunk=max(most, size), max_parallel=min(plan.max_parallel, MOST_PARALLEL),
        most_partitions=most_partitions, finish=finish, sql=text,
        checks=tuple(f"{check.name}: {check.expect} [{check.severity}]" for check in plan._checks),  # noqa: SLF001 - ours
        compare=tuple(f"{check.name}: {check.expect} [{check.severity}]" for check in plan._compared),  # noqa: SLF001
    )  # fmt: skip


def _params(job: Job) -> dict[str, Param]:
    """What a run is given, as Airflow's own form understands it, too."""
    pattern, example = SPELLED[job.grain]
    kind: dict[str, Any] = {"type": "string", "pattern": f"^{pattern}$"}
    if job.grain in ("day", "week"):
        kind["format"] = "date"
    whole: dict[str, Any] = {"type": "integer", "minimum": 1}
    params = {
        "start": Param(title="First partition", description=f"Written so: {example}", **kind),
        "end": Param(title="Last partition", description="Included", **kind),
        "max_parallel": Param(
            job.max_parallel, title="Parallel processes", description="Tasks that compute chunks at the same time",
            maximum=MOST_PARALLEL, **whole,
        ),
        "finish": Param(
            job.finish, title="How it ends", enum=list(FINISHES), type="string",
            values_display={name: f"{name}: {meaning}" for name, meaning in FINISHES.items()},
        ),
        "backfill": Param(
            "", title="The held backfill", type="string", maxLength=100,
            description="To end one that was held, and no other: as its task compare says. Empty begins one.",
        ),
    }  # fmt: skip
    if job.per:
        what = job.per.partition("_")[0]
        params[job.per] = Param(
            job.per_chunk, title=f"{what.capitalize()} of a chunk", maximum=job.most_per_chunk, **whole,
            description=f"{what.capitalize()} that one statement computes",
        )  # fmt: skip
    return params


def _steps(
    kind: type[Any], plan: Any, arguments: Mapping[str, Any], outlets: Sequence[Any], of_chunks: Mapping[str, Any]
) -> None:
    given = {**arguments, "start": plan.start, "end": plan.end}
    shown = "process {{ task.work.process }} of {{ task.work.of }}"
    mapped = {**given, "map_index_template": shown, **of_chunks}
    chunks = kind.partial(task_id="chunks", part="chunks", **mapped).expand(work=plan.output)
    begun = XComArg(plan, BEGUN)
    # No chunk is missing when a held backfill is ended: then nothing is mapped, which counts as skipped.
    compare = kind(task_id="compare", part="compare", work=begun, trigger_rule="none_failed", **given)
    exchange = kind(task_id="exchange", part="exchange", work=begun, outlets=list(outlets), **given)
    plan >> chunks >> compare >> exchange
