"""Whenever it is killed, readers see the old rows or the new ones, and running it again ends in the new ones."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from reliability import lab
from reliability.killing import PUBLICATION, Death, counts_statements, die, points, shape
from reliability.lab import PARTITIONED, PLAIN, REFERENCED, Process, operator, select

from airflow_dataquality.checks import check
from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

pytestmark = counts_statements

WORKERS = 2
SECOND, THIRD = {"day": "2024-01-02"}, {"day": "2024-01-03"}
OLD = f"INSERT INTO lab.orders (id, day, amount) {select(1, 20, amount=1)}"
NEW = select(5, 24, amount=2)
NEW_DAY = f"SELECT * FROM ({NEW}) AS n WHERE day = '2024-01-02'"


@dataclass(frozen=True)
class Load:
    """A way of exchanging.

    :param given: what makes the table and its old rows
    :param arguments: of the operator
    :param mode: the exchange that is expected; None if the load is to be rejected
    :param kept: roles of the tables that are expected beside the user's in the end
    """

    given: tuple[str, ...]
    sql: str
    mode: str | None
    arguments: dict[str, Any] = field(default_factory=dict)
    kept: tuple[str, ...] = ()

    def operator(self) -> StageCheckExchangeOperator:
        return operator(self.sql, **self.arguments)

    def publish(self) -> str | None:
        """Run it to its end, whichever is expected."""
        if self.mode is not None:
            return str(self.operator().execute({})["exchange"])
        with pytest.raises(AirflowException, match="was not published"):
            self.operator().execute({})
        return None


ITEMS = f"INSERT INTO lab.items SELECT id FROM ({NEW}) AS n WHERE id < 210"
LOADS = {
    "create": Load((), NEW, "create"),
    "swap": Load((*PLAIN, OLD), NEW, "swap", {"exchange": "swap"}),
    "swap, previous kept": Load((*PLAIN, OLD), NEW, "swap", {"exchange": "swap", "keep_previous": 1}, ("previous",)),
    "overwrite a table": Load((*PLAIN, OLD), NEW, "overwrite", {"exchange": "overwrite"}),
    "overwrite a partition": Load((*PLAIN, OLD), NEW_DAY, "overwrite", {"partition": SECOND}),
    "overwrite what foreign keys refer to": Load((*REFERENCED, OLD, ITEMS), NEW, "overwrite"),
    "attach in place of a child": Load((*PARTITIONED, OLD), NEW_DAY, "attach", {"partition": SECOND}),
    "attach a new child": Load((*PARTITIONED, OLD), select(5, 24, 2, day=3), "attach", {"partition": THIRD}),
    "reject": Load((*PLAIN, OLD), NEW, None, {"checks": [check("mean", "amount", less_than=2)]}, ("rejected",)),
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_killed_at_every_statement(
    load: Load, postgres: EmbeddedPostgres, tmp_path: Path, record_property: Any
) -> None:
    uris = [postgres.create_database(f"killed_{worker}") for worker in range(WORKERS)]
    workers = [Process(partial(_worker, load, uri, worker, tmp_path)) for worker, uri in enumerate(uris)]
    try:
        done = [worker.join() for worker in workers]
    finally:
        for worker in range(WORKERS):
            postgres.drop_database(f"killed_{worker}")
    deaths = {(number, moment): statement for answer in done for number, moment, statement, _ in answer["deaths"]}
    statements = done[0]["statements"]
    assert {number for number, moment in deaths if moment == "before"} == set(range(1, len(statements) + 1))
    assert "COMMIT" in deaths.values()
    assert any(map(PUBLICATION.match, statements)) == (load.mode is not None)
    published = {(number, moment) for answer in done for number, moment, _, published in answer["deaths"] if published}
    assert bool(published) == (load.mode is not None), "a process that is killed after COMMIT has published"
    record_property("killed", {"points": len(deaths), "statements": [shape(sql) for sql in deaths.values()]})


def _worker(load: Load, uri: str, worker: int, scratch: Path) -> dict[str, Any]:
    """Kill a process at every point that is this worker's, in a database of its own."""
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = uri
    diary = scratch / f"sent_{worker}"
    deaths = []
    with psycopg.connect(uri, autocommit=True) as connection:
        expected = _Expected.of(connection, load)
        lab.reset(connection, load.given, ledger=load.mode != "create")
        statements = die(load.operator(), 0, "never", diary).sent
        for number, moment in points(statements)[worker::WORKERS]:
            lab.await_alone(connection)
            lab.reset(connection, load.given, ledger=load.mode != "create")
            death = die(load.operator(), number, moment, diary)
            lab.await_alone(connection)
            assert not death.survived, (
                f"it sends another number of statements each time: {len(statements)}, {death.sent}"
            )
            published = _readers_see_old_or_new(connection, expected, death)
            load.publish()
            _converged(connection, expected)
            deaths.append((number, moment, death.last, published))
    return {"statements": statements, "deaths": deaths}


@dataclass(frozen=True)
class _Expected:
    """What there was before the load, and what there must be after it."""

    load: Load
    old: lab.Rows | None
    new: lab.Rows | None
    definitions: lab.Rows

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], load: Load) -> _Expected:
        lab.reset(connection, load.given)
        old, definitions = lab.orders(connection), lab.definitions(connection)
        assert load.publish() == load.mode
        new, after = lab.orders(connection), lab.definitions(connection)
        if load.given and load.arguments.get("partition") != THIRD:
            assert definitions == after
        if load.mode:
            assert new != old
            assert new
            assert {row for row in new if row[2] == 2} == set(connection.execute(load.sql))
        else:
            assert new == old
        return cls(load, old, new, after)


def _readers_see_old_or_new(connection: psycopg.Connection[Any], expected: _Expected, death: Death) -> bool:
    """After the kill: whether it was published."""
    seen = lab.orders(connection)
    published = lab.publications(connection)
    where = f"killed {death.moment} {death.last!r}"
    assert seen in (expected.old, expected.new), where
    assert lab.advisory_locks(connection) == 0, where
    if expected.load.mode is None:
        assert not published, where
        return False
    assert published == (seen == expected.new), where
    if death.committed is not None:
        assert published == death.committed, where
    return bool(published)


def _converged(connection: psycopg.Connection[Any], expected: _Expected) -> None:
    """After another run."""
    lab.await_alone(connection)
    assert lab.orders(connection) == expected.new
    assert lab.definitions(connection) == expected.definitions
    assert tuple(lab.beside(connection).values()) == expected.load.kept
    assert lab.advisory_locks(connection) == 0
