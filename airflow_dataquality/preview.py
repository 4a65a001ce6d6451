"""The SQL of a load, or of checks, without running it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dataquality import manual
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.engine import staging
from airflow_dataquality.engine.checking import ROWS
from airflow_dataquality.engine.columns import Shape, canonical_key, shape_of
from airflow_dataquality.engine.exchange import Exchange
from airflow_dataquality.engine.judge import resolve
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.measure import Scan
from airflow_dataquality.engine.partitions import Slot, find_slot
from airflow_dataquality.engine.publish import EXCHANGES, Load, implied_checks
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.staging import Stage
from airflow_dataquality.engine.target import Target, as_it_is, locate
from airflow_dataquality.errors import SpecError
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.model import Check, Column, Partition, Plan, Scalar, Table
from airflow_dataquality.operators._table import place
from airflow_dataquality.plans import exchange as plans
from airflow_dataquality.plans import redshift

RUN = Run(run_uid="plan")
UNCONNECTED = "none"
DIALECTS = ("postgres", "redshift", "sqlite")


@dataclass(frozen=True)
class Step:
    """Part of a load.

    :param name: ``stage``, ``check`` or ``exchange``
    :param purpose: what it is for, and what is not known
    """

    name: str
    purpose: str
    sql: Sequence[str] = ()


@dataclass(frozen=True)
class Preview:
    """What would be done.

    :param mode: how the rows would become visible; None if that is not known, or nothing is loaded
    :param obstacles: of each mode that fits the table, what stands in its way
    """

    partition: Partition
    dialect: str
    steps: Sequence[Step]
    mode: str | None = None
    obstacles: Mapping[str, Sequence[str]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        known = {"mode": self.mode, "obstacles": self.obstacles} if self.mode else None
        return {
            "table": str(self.partition.table),
            "partition": self.partition.as_dict,
            "dialect": self.dialect,
            "exchange": known,
            "steps": [{"step": step.name, "purpose": step.purpose, "sql": list(step.sql)} for step in self.steps],
        }


def of_checks(
    conn_id: str | None, table: str, rules: Sequence[str], *, dialect: str = "postgres",
    partition: Mapping[str, Scalar] | None = None, params: Mapping[str, Any] | None = None,
) -> Preview:  # fmt: skip
    """What would be measured on a table.

    :param conn_id: where its columns are looked up; None connects to nothing
    :param dialect: of the database, if there is no connection
    """
    key = dict(partition or {})
    operator = manual.checking(conn_id or UNCONNECTED, table, rules, partition=key)
    checks = operator.checks_of(manual.variables(key, params or {}))
    if conn_id is None:
        spoken = dialect_for(dialect)
        what = Partition.of(Table.parse(table, spoken.fold), key)
        return Preview(what, spoken.name, [_checking(spoken, checks, what, ())])
    with connected(conn_id) as session:
        what, columns = place(session, table, key)
        resolved = resolve(checks, columns, dialect=session.dialect)
        return Preview(what, session.dialect.name, [_checking(session.dialect, resolved, what, columns)])


def of_load(
    conn_id: str | None, table: str, sql: str, rules: Sequence[str] = (), *, dialect: str = "postgres",
    partition: Mapping[str, Scalar] | None = None, params: Mapping[str, Any] | None = None, **arguments: Any,
) -> Preview:  # fmt: skip
    """What a publication would do.

    :param conn_id: where the table is looked at; None connects to nothing
    :param dialect: of the warehouse, if there is no connection
    :param arguments: of ``StageCheckExchangeOperator``
    :raises ExchangeRefused: if the rows could not be made visible
    """
    key = dict(partition or {})
    operator = manual.publishing(conn_id or UNCONNECTED, table, sql, rules, partition=key, **arguments)
    load = operator.load_of(manual.variables(key, params or {}))
    if conn_id is None:
        return _unconnected(load, dialect)
    with connected(conn_id, publishing=True) as session:
        return _connected(session, load)


def _unconnected(load: Load, dialect: str) -> Preview:
    sql = dialect_for(dialect)
    if not isinstance(sql, Postgres):
        raise SpecError(f"tables are not published on {sql.name}", hint="write --dialect postgres, or redshift")
    stage = Partition(Table("staged_rows"))
    what = Partition.of(load.table, load.key)
    checks = [*load.checks, *implied_checks(what, load)]
    unknown = f"which way depends on what hangs on {load.table}: --conn-id looks at it"
    return Preview(what, sql.name, [
        Step("stage", "store the rows of this SELECT in a staging table, staged_rows here", [str(load.source)]),
        _checking(sql, checks, stage, (), what),
        Step("exchange", f"exchange={load.settings.mode}; {unknown}"),
    ])  # fmt: skip


def _connected(session: ExchangeSession, load: Load) -> Preview:
    sql = session.dialect
    target = locate(session, load.table)
    shape = shape_of(session, target, load)
    columns = session.columns(target.table) or tuple(Column(name, "") for name in shape.supplied)
    known = [column for column in columns if column.type]
    what = Partition.of(target.table, canonical_key(session, load.key, known) if known else load.key)
    stage = Stage(staging.name_beside(session, target.table, staging.STAGE, RUN))
    checks = [*resolve(load.checks, columns, dialect=sql), *implied_checks(what, load)]
    exchange = _exchange(session, load, stage, what, shape)
    mode = exchange.choice.modes(target)[0]
    obstacles = exchange.choice.possible(target) if target.features else {"create": []}
    fill = sql.fill(stage.table, shape.supplied, str(load.source))
    return Preview(what, sql.name, [
        Step("stage", "store the rows where nobody reads them", [*shape.statements(sql, stage.table), fill]),
        _checking(sql, checks, Partition(stage.table), columns, what if target.oid is not None else None),
        Step("exchange", _PURPOSES[mode], _statements(exchange, target, mode)),
    ], mode, obstacles)  # fmt: skip


_PURPOSES = {
    "create": "give the staging table the table's name, as there is no such table",
    "swap": "dress the stage as the table, then put it in the table's place; and record it, in one transaction",
    "overwrite": "replace the rows in place and record it, in one transaction",
    "attach": "dress the stage as the partition, then put it in its place; and record it, in one transaction",
}


def _checking(
    sql: Any, checks: Iterable[Check], what: Partition, columns: Sequence[Column], production: Partition | None = None
) -> Step:
    metrics = [ROWS, *(check.metric for check in checks)]
    statements = Scan.of(sql, metrics, what, columns=columns, production=production).statements()
    expected = "; ".join(f"{check.name} {check.expect} [{check.severity}]" for check in checks)
    return Step("check", f"expect {expected}" if expected else "count the rows", statements)


def _exchange(session: ExchangeSession, load: Load, stage: Stage, what: Partition, shape: Shape) -> Exchange:
    def never(*_: Any) -> None:
        raise AssertionError("a preview exchanges nothing")

    return EXCHANGES[session.dialect.name](
        session, load.settings, stage, what, RUN, columns=shape.supplied, appended=shape.appended, record=never,
        undress=never,
    )  # fmt: skip


def _statements(exchange: Exchange, target: Target, mode: str) -> list[str]:
    """What the exchange sends of its own; locks and the ledger's rows come beside it."""
    sql, stage, table = exchange.sql, exchange.stage.table, target.table
    if mode == "create":
        return [sql.rename_table(stage, table.name)]
    assert target.features is not None
    exchange.name_previous(target)
    if mode == "overwrite":
        return _sent(plans.overwrite(sql, exchange.overwriting(target, target.features)))
    if mode == "attach":
        return _attached(exchange, target)
    if sql.name == "redshift":
        retired = exchange.previous or staging.name_beside(exchange.session, table, "retired", RUN)
        taken: Any = redshift.take_place(sql, stage, table, target.features, retired)  # type: ignore[arg-type]
        return _sent(taken)
    clothes = plans.wardrobe(stage, target.features, sql.max_name_bytes)
    dressed = plans.dress(sql, stage, clothes, columns=list(target.features.columns))
    return _sent(dressed, plans.take_place(sql, stage, table, clothes, exchange.previous))


def _attached(exchange: Exchange, target: Target) -> list[str]:
    session, sql, stage = exchange.session, exchange.sql, exchange.stage.table
    with as_it_is(session, target.table):
        slot = find_slot(session, target, exchange.partition)
    assert isinstance(slot, Slot)
    attach = sql.attach(target.table, slot.table, slot.bound)
    if slot.features is None:
        return [sql.rename_table(stage, slot.table.name), attach]
    clothes = plans.wardrobe(stage, slot.features, sql.max_name_bytes)
    dressed = plans.dress(sql, stage, clothes, columns=list(slot.features.columns))
    taken = plans.take_place(sql, stage, slot.table, clothes, exchange.previous)
    return [*_sent(dressed), sql.detach(target.table, slot.table), *_sent(taken), attach]


def _sent(*plans_: Plan) -> list[str]:
    return [statement.sql for plan in plans_ for statement in plan.statements]
