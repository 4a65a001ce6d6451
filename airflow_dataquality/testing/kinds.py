"""Each kind of transform, run in a sandbox: by the engine of its operator, with nothing recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from airflow_dataquality.dialects import sandbox as sql_of
from airflow_dataquality.dialects.lexer import single_select, statements_in, tokens
from airflow_dataquality.engine.rows import Run as Identity
from airflow_dataquality.errors import DataQualityError, SpecError, TableError
from airflow_dataquality.model import Table
from airflow_dataquality.testing.client import of_files, of_function
from airflow_dataquality.testing.work import Work, failed, keyed


def run(work: Work) -> str | None:
    """Run a transform on what its inputs hold; which of its output's rows it made, as a predicate, None for all.

    :raises DataQualityError: if it fails, naming the file
    """
    try:
        return _RUNNERS[work.transform.kind](work)
    except SpecError as error:
        raise SpecError(
            f"{work.place()}: {work.transform}: {work.box.plain(error.message)}", hint=error.hint
        ) from error
    except DataQualityError as error:
        message = work.box.plain(error.message)
        if str(work.transform.path.parent) in message.partition(":")[0]:
            raise
        hint = None if error.hint is None else work.box.plain(error.hint)
        raise TableError(f"{work.place()}: {work.transform}: {message}", hint=hint) from error


def _create_table_as(work: Work) -> str | None:
    select = single_select(work.moved)
    types = {each.name: each.type for each in work.output.columns.values() if each.type}
    try:
        columns = work.box.create_as(work.target, select, rows=not types)
        if types:
            _retyped(work, {column.name: types.get(column.name, column.type) for column in columns}, select)
    except DataQualityError:
        raise
    except Exception as error:
        raise failed(work, error, sql_of.create_as(work.box.sql, work.box.own(work.target), select)) from error
    _refuse_strays(work)
    keyed(work)
    return None


def _retyped(work: Work, types: Mapping[str, str], select: str) -> None:
    """The table, with the types that its header declares."""
    own, session = work.box.own(work.target), work.box.session
    with session.transaction():
        session.execute(sql_of.drop(work.box.sql, own))
        work.box.create_typed(work.target, types)
        session.execute(work.box.sql.fill(own, list(types), select))


def _refuse_strays(work: Work) -> None:
    """Refuse rows outside the partition, as the operator does."""
    known = {column.name: column for column in work.box.tables[work.target]}
    named = [known[name] for name in work.key if name in known]
    if len(named) < len(work.key):
        lacking = ", ".join(name for name in work.key if name not in known)
        raise TableError(f"the rows have no {lacking}, by which they are partitioned", hint="select it")
    if not named:
        return
    own = work.box.own(work.target)
    found = work.box.session.query(sql_of.strays(work.box.sql, own, str(work.inside), named))
    if found:
        several = "; ".join(", ".join(f"{c.name}={v}" for c, v in zip(named, row, strict=False)) + f" ({row[-1]} rows)"
                            for row in found)  # fmt: skip
        wanted = ", ".join(f"{name}={value}" for name, value in work.key.items())
        raise TableError(f"rows are not of {wanted}, but of {several}", hint="filter by it: WHERE ds = '{{ ds }}'")


def _upsert(work: Work) -> str | None:
    from airflow_dataquality.engine.fit import Upsert
    from airflow_dataquality.engine.source import Select
    from airflow_dataquality.engine.upsert import upsert

    select = single_select(work.moved)
    if work.target not in work.box.tables:
        try:
            work.box.create_as(work.target, select, rows=False)
        except Exception as error:
            raise failed(work, error, sql_of.create_as(work.box.sql, work.box.own(work.target), select)) from error
        keyed(work)
    options = work.transform.options
    keys = options.get("keys") or work.output.primary_key
    order = options.get("order_by") or ()
    upsert(
        work.box.session, _UNRECORDED,
        Upsert(
            work.box.own(work.target), Select(select), [keys] if isinstance(keys, str) else list(keys),
            order_by=[order] if isinstance(order, str) else list(order),
            update=options.get("update_columns"), insert=options.get("insert_columns"),
            **{name: options[name] for name in _AS_THEY_ARE if name in options},
        ),
        Identity(),
    )  # fmt: skip
    return None


_AS_THEY_ARE = ("strategy", "on_duplicate_keys", "on_null_keys", "skip_unchanged")


def _sql(work: Work) -> str | None:
    from airflow_dataquality.engine.transaction import Script, run_script

    if work.transform.output is None:
        run_script(work.box.session, _UNRECORDED, Script(work.moved), Identity())
        return None
    if work.target not in work.box.tables and not creates(work.sql, work.target):
        work.box.create(work.target, work.kit.shapes.of(work.target))
    run_script(work.box.session, _UNRECORDED, Script(work.moved), Identity())
    if not work.box.look(work.target):
        raise TableError(f"the statements made no {work.target}", hint="look at `output`")
    return work.inside


def creates(script: str, table: Table) -> bool:
    """Whether statements make the table themselves."""
    from airflow_dataquality.testing.names import bare

    for statement in statements_in(script):
        words = [bare(match.group()) for match in tokens(statement)]
        named = [table.schema, ".", table.name] if table.schema else [table.name]
        if words[:1] == ["create"] and any(words[n : n + len(named)] == named for n in range(2, 8)):
            return "table" in words[:4]
    return False


def _summary(work: Work) -> str | None:
    """By the operator itself: a partition continues the one before, of which the ledger knows."""
    from airflow_dataquality.transforms.running import run as run_operator

    transform, box = work.transform, work.box
    moved: dict[str, Any] = {"summary": str(box.own(work.target)), "ledger_schema": work.kit.ledger}
    if transform.sql is not None:
        moved["sql"] = box.moved(transform.sql, transform.reads).rstrip() + "\n"
    else:
        moved["source"] = str(box.own(transform.reads[0]))
    box.keep()
    with work.kit.database.for_airflow() as conn_id:
        run_operator(
            transform, conn_id=conn_id, day=work.day, anomalies=False,
            **{"checks": (), "allow_empty": True, "max_parallel": 1, "exchange": "overwrite", **moved},
        )  # fmt: skip
    box.look(work.target)
    return work.inside


def _no_op(_: Work) -> str | None:
    raise SpecError(
        "it models data that others make: there is nothing to run", hint="give its rows to those that read it"
    )


class _Unrecorded:
    """A ledger that keeps nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


_UNRECORDED: Any = _Unrecorded()


_RUNNERS: Mapping[str, Callable[[Work], str | None]] = MappingProxyType(
    {
        "create_table_as": _create_table_as,
        "upsert": _upsert,
        "incremental_summary": _summary,
        "sql": _sql,
        "python": of_function,
        "load": of_files,
        "no_op": _no_op,
    }
)
RUNS_SQL: Sequence[str] = ("create_table_as", "upsert", "incremental_summary", "sql")
