"""Publications on the Redshift double, killed, contradicted and side by side.

What a reader may find is the old rows or the new ones; and the new ones are there exactly if the ledger says so.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.checks import check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from publishing import publish as publish_on

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

TABLE = (
    "CREATE TABLE public.orders (id BIGINT NOT NULL, day DATE, amount INT, PRIMARY KEY (id)) DISTKEY (id) SORTKEY (day)"
)
OLD = [(1, "2024-01-01", 1), (2, "2024-01-02", 1)]
ROWS = "SELECT {0} AS id, CAST('2024-01-01' AS DATE) AS day, {1} AS amount UNION ALL SELECT {0} + 1, '2024-01-02', {1}"
NEW = ROWS.format(5, 2)
DAY = "SELECT 6 AS id, CAST('2024-01-02' AS DATE) AS day, 2 AS amount"
QUERY = re.compile(r"\s*(EXPLAIN|SELECT)")
AFTER = re.compile("COMMIT|CREATE|DROP|INSERT|COMMENT")
"""What may have been done although the reply never came."""


@dataclass(frozen=True)
class Load:
    """A publication, and the rows that it ends in."""

    sql: str
    expected: list[tuple[Any, ...]] | None
    arguments: dict[str, Any] = field(default_factory=dict)
    exists: bool = True

    def publish(self) -> str | None:
        """Run it to its end, whichever is expected."""
        if self.expected is not None:
            return str(publish("public.orders", self.sql, **self.arguments)["exchange"])
        with pytest.raises(AirflowException, match="was not published"):
            publish("public.orders", self.sql, **self.arguments)
        return None


BOTH = [(5, "2024-01-01", 2), (6, "2024-01-02", 2)]
LOADS = {
    "create": Load(NEW, BOTH, exists=False),
    "swap": Load(NEW, BOTH, {"exchange": "swap"}),
    "overwrite": Load(NEW, BOTH, {"exchange": "overwrite"}),
    "partition": Load(DAY, [OLD[0], BOTH[1]], {"partition": {"day": "2024-01-02"}}),
    "reject": Load(NEW, None, {"checks": [check("mean", "amount", less_than=2)]}),
}


def publish(table: str, sql: str, **arguments: Any) -> dict[str, Any]:
    return publish_on(table, sql, conn_id="redshift", **arguments)


class Lab:
    """A table of orders, set up again and again, and looked at past the double."""

    def __init__(self, redshift: RedshiftWarehouse) -> None:
        self.double = redshift.double
        self.eyes = redshift.superuser()
        self.connection = redshift.connect()

    def reset(self, *, exists: bool) -> None:
        self.double.clear_faults()
        self.run("DROP TABLE IF EXISTS public.orders")
        if exists:
            values = ", ".join(f"({key}, '{day}', {amount})" for key, day, amount in OLD)
            self.run(TABLE, f"INSERT INTO public.orders VALUES {values}")
        for (name,) in self.eyes.execute("SELECT relname FROM pg_class WHERE relname LIKE '%\\_\\_dq\\_%'").fetchall():
            self.run(f"DROP TABLE IF EXISTS public.{name}")
        if self.there("dataquality.publication"):
            self.eyes.execute("TRUNCATE dataquality.publication, dataquality.check_result, dataquality.metric")
        self.double.reset()

    def run(self, *statements: str) -> None:
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def there(self, table: str) -> bool:
        return self.eyes.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,)

    def orders(self) -> list[tuple[Any, ...]] | None:
        if not self.there("public.orders"):
            return None
        return self.eyes.execute("SELECT id, day::text, amount FROM public.orders ORDER BY id").fetchall()

    def publications(self) -> int:
        if not self.there("dataquality.publication"):
            return 0
        (count,) = self.eyes.execute("SELECT count(*) FROM dataquality.publication").fetchone() or (0,)
        return int(count)

    def beside(self) -> int:
        query = "SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_\\_dq\\_%'"
        return int((self.eyes.execute(query).fetchone() or (0,))[0])

    def wait_for_the_end(self) -> None:
        """Wait until the server has noticed that a session is gone: until then its stage is not an orphan."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        deadline = time.monotonic() + 10
        while self.eyes.execute(query).fetchone() != (1,) and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        self.connection.close()
        self.eyes.close()


@pytest.fixture
def lab(redshift: RedshiftWarehouse) -> Iterator[Lab]:
    lab = Lab(redshift)
    yield lab
    lab.close()


def moments(lab: Lab, load: Load) -> list[tuple[int, str, str]]:
    """The statements of a load by number, and the phases in which its connection may be lost.

    Lost before the second of two queries is lost after the first, which changes nothing.
    """
    lab.reset(exists=load.exists)
    load.publish()
    lab.reset(exists=load.exists)
    load.publish()  # with the ledger there
    sent = list(lab.double.statements)
    found = [
        (number, "before", sql)
        for number, (previous, sql) in enumerate(itertools.pairwise(["", *sent]), 1)
        if not QUERY.match(sql) or not QUERY.match(previous)
    ]
    return found + [(number, "after", sql) for number, sql in enumerate(sent, 1) if AFTER.match(sql)]


@pytest.mark.parametrize("name", LOADS)
def test_lost_at_any_statement(lab: Lab, name: str) -> None:
    load = LOADS[name]
    before = OLD if load.exists else None
    after = load.expected or before
    for number, phase, sql in moments(lab, load):
        moment = f"{phase} statement {number}: {sql[:80]}"
        lab.reset(exists=load.exists)
        lab.double.inject("disconnect", at=number, phase=phase)  # type: ignore[arg-type]
        with contextlib.suppress(Exception):
            load.publish()
        lab.wait_for_the_end()
        found, published = lab.orders(), lab.publications()
        assert found in (before, after), moment
        if before != after:
            assert (found == after) == (published == 1), moment
        lab.double.clear_faults()
        load.publish()
        assert lab.orders() == after, moment
        assert lab.beside() == (load.expected is None), moment


@pytest.mark.parametrize("kind", ["1023", "dropped"])
@pytest.mark.parametrize("name", ["swap", "overwrite", "partition"])
def test_contradicted_at_any_statement_of_the_exchange(lab: Lab, name: str, kind: Any) -> None:
    """The whole transaction again, so that one contradiction is never seen by the user."""
    load = LOADS[name]
    exchange = transaction(lab, load)
    for number, sql in exchange:
        lab.reset(exists=True)
        lab.double.inject(kind, at=number)
        load.publish()
        assert (lab.orders(), lab.publications(), lab.beside()) == (load.expected, 1, 0), f"{number}: {sql[:80]}"


def transaction(lab: Lab, load: Load) -> list[tuple[int, str]]:
    """The statements of the exchange, by number: from LOCK to COMMIT."""
    moments(lab, load)
    sent = list(enumerate(lab.double.statements, 1))
    first = next(number for number, sql in sent if sql.startswith("LOCK"))
    last = next(number for number, sql in sent if number > first and sql == "COMMIT")
    return [(number, sql) for number, sql in sent if first <= number <= last]


@pytest.mark.parametrize("name", ["swap", "overwrite", "partition"])
def test_the_exchange_locks_first_and_records_last(lab: Lab, name: str) -> None:
    exchange = [sql for _, sql in transaction(lab, LOADS[name])]
    assert exchange[0] == 'LOCK TABLE "public"."orders"'
    assert exchange[-2].startswith('INSERT INTO "dataquality"."publication"')
    assert not [sql for sql in exchange if "dataquality" in sql and not sql.startswith(("INSERT", "COMMENT"))]
    assert not [sql for sql in lab.double.statements if re.match("TRUNCATE|VACUUM|.*APPEND", sql)]
    sent = lab.double.statements
    assert sent.index('ANALYZE "public"."orders"') > sent.index(exchange[-2])


def test_contradiction_without_end_ends(lab: Lab) -> None:
    lab.reset(exists=True)
    lab.double.inject("1023", when="^DELETE", times=10**6)
    with pytest.raises(
        AirflowException, match=r"in 0.5 s \(\d+ tries; serializable isolation violation \(error 1023\)\)"
    ):
        publish("public.orders", NEW, exchange="overwrite", exchange_timeout=0.5)
    assert (lab.orders(), lab.beside()) == (OLD, 0)


def locked_meanwhile(lab: Lab, seconds: float, **arguments: Any) -> dict[str, Any]:
    """Publish while another session gets the lock first, and keeps it for so long."""
    lab.reset(exists=True)
    lab.double.inject("slow", when="^LOCK", seconds=1)
    with ThreadPoolExecutor(1) as pool:
        publication = pool.submit(publish, "public.orders", NEW, exchange="overwrite", **arguments)
        while not publication.done() and not any(sql.startswith("LOCK") for sql in lab.double.statements):
            time.sleep(0.01)
        lab.run("BEGIN", "LOCK TABLE public.orders")
        time.sleep(seconds)
        lab.run("ROLLBACK")
        return publication.result()


def test_a_table_that_another_keeps_locked_is_waited_for(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert locked_meanwhile(lab, 4)["published"]
    assert "public.orders: a lock was not free; again in" in caplog.text
    assert lab.orders() == BOTH


def test_a_table_that_stays_locked_is_given_up(lab: Lab) -> None:
    with pytest.raises(AirflowException, match=r"could not be locked(.|\n)*SVV_TRANSACTIONS"):
        locked_meanwhile(lab, 6, exchange_timeout=1)
    assert (lab.orders(), lab.publications()) == (OLD, 0)


def side_by_side(*loads: Callable[[], Any]) -> Sequence[Any]:
    with ThreadPoolExecutor(len(loads)) as pool:
        return [future.result() for future in [pool.submit(load) for load in loads]]


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
@pytest.mark.parametrize("modes", [("overwrite", "overwrite"), ("swap", "swap"), ("swap", "overwrite")])
def test_two_at_once_end_as_one_after_the_other(lab: Lab, modes: tuple[str, str], isolation: str) -> None:
    for turn in range(3):
        lab.reset(exists=True)
        lab.double.isolation = isolation
        side_by_side(
            *(
                lambda number=number, mode=mode: publish("public.orders", ROWS.format(10 * number, 3), exchange=mode)
                for number, mode in enumerate(modes, 1)
            )
        )
        ids = [row[0] for row in lab.orders() or ()]
        assert ids in ([10, 11], [20, 21]), turn
        assert (lab.publications(), lab.beside()) == (2, 0)


def test_two_partitions_at_once_are_both_published(lab: Lab) -> None:
    lab.reset(exists=True)
    first = "SELECT 3 AS id, CAST('2024-01-01' AS DATE) AS day, 3 AS amount"
    side_by_side(
        lambda: publish("public.orders", first, partition={"day": "2024-01-01"}),
        lambda: publish("public.orders", DAY, partition={"day": "2024-01-02"}),
    )
    assert lab.orders() == [(3, "2024-01-01", 3), BOTH[1]]


def test_whoever_waited_for_the_lock_published_later(lab: Lab) -> None:
    """Within a second, in which Redshift's clock tells only when a transaction began."""
    publish("public.orders", NEW)  # what is made once: the ledger, the table
    lab.double.clear()
    lab.double.inject("slow", when="^LOCK TABLE", seconds=0.7)
    time.sleep(1 - time.time() % 1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(publish, "public.orders", ROWS.format(10, 3), exchange="overwrite")
        while not any(sql.startswith("LOCK TABLE") for sql in lab.double.statements):
            time.sleep(0.005)
        second = publish("public.orders", ROWS.format(20, 4), exchange="overwrite")
        last = first.result()
    rows = lab.eyes.execute("SELECT run_uid FROM dataquality.publication ORDER BY published_at").fetchall()
    assert [uid for (uid,) in rows[1:]] == [second["run_uid"], last["run_uid"]]
    assert [row[0] for row in lab.orders() or ()] == [10, 11]


def test_the_first_two_publications_of_all_make_one_ledger(lab: Lab) -> None:
    side_by_side(*(lambda n=n: publish(f"public.t{n}", f"SELECT {n} AS a") for n in (1, 2)))
    assert lab.publications() == 2


def test_readers_find_the_old_rows_or_the_new(lab: Lab, redshift: RedshiftWarehouse) -> None:
    lab.reset(exists=True)
    seen: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        with redshift.connect() as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("SELECT amount, COUNT(*) FROM public.orders GROUP BY amount")
                seen.update(tuple(row) for row in cursor.fetchall())  # type: ignore[arg-type]

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        for amount in (2, 3, 4):
            publish("public.orders", ROWS.format(5, amount), exchange="swap" if amount == 3 else "overwrite")
        stop.set()
        reader.result()
    assert {count for _, count in seen} == {2}  # type: ignore[misc]


def test_a_stage_whose_session_is_gone_is_swept_and_one_that_is_used_is_not(lab: Lab) -> None:
    lab.reset(exists=True)
    with contextlib.suppress(Exception):
        lab.double.inject("disconnect", when="^INSERT INTO .*__dq_stage", phase="after")
        publish("public.orders", NEW)
    lab.wait_for_the_end()
    lab.double.clear_faults()
    assert lab.beside() == 1
    lab.double.clear()
    lab.double.inject("slow", when="^INSERT INTO .*__dq_stage", seconds=2)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(publish, "public.orders", NEW, exchange="overwrite")
        while not slow.done() and not any(re.match("INSERT INTO .*__dq_stage", sql) for sql in lab.double.statements):
            time.sleep(0.01)
        publish("public.orders", ROWS.format(30, 5), exchange="overwrite")
        assert slow.result()["published"]
    assert (lab.beside(), lab.orders()) == (0, BOTH)


def test_auto_swaps_for_a_superuser_unless_what_it_sees_is_in_the_way(
    lab: Lab, redshift: RedshiftWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.reset(exists=True)
    login = {**json.loads(os.environ["AIRFLOW_CONN_REDSHIFT"]), "login": "awsuser"}
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT", json.dumps(login))
    lab.run("CREATE TABLE public.other (a INT)")
    assert publish("public.orders", NEW)["exchange"] == "swap"
    reader = redshift.connect()
    with contextlib.closing(reader), reader.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT COUNT(*) FROM public.other")  # a snapshot older than the rows to come
        assert publish("public.orders", ROWS.format(30, 5), exchange_timeout=0.5)["exchange"] == "overwrite"
        cursor.execute("SELECT COUNT(*) FROM public.orders")
        assert cursor.fetchone()[0] == 2


def test_a_stage_that_a_superuser_gave_to_the_tables_owner_is_not_swept_by_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees the sessions of others, so that none of theirs is an orphan."""
    lab.reset(exists=True)
    login = os.environ["AIRFLOW_CONN_REDSHIFT"]
    monkeypatch.setenv("AIRFLOW_CONN_ROOT", json.dumps({**json.loads(login), "login": "awsuser"}))
    publish("public.warm_up", "SELECT 1 AS a")  # so that the ledger is the loading user's
    lab.double.inject("slow", when="^LOCK", seconds=3)
    with ThreadPoolExecutor(1) as pool:
        swap = pool.submit(publish_on, "public.orders", NEW, conn_id="root", exchange="swap")
        while not swap.done() and not any(sql.startswith("LOCK") for sql in lab.double.statements):
            time.sleep(0.01)
        publish("public.other", "SELECT 1 AS a")
        assert not swap.done()
        assert swap.result()["exchange"] == "swap"
    assert (lab.orders(), lab.beside()) == (BOTH, 0)


def test_a_killed_task_ends_at_once(lab: Lab) -> None:
    lab.reset(exists=True)
    forever = ", ".join(f"public.orders AS o{number}" for number in range(40))
    select = f"SELECT id, day, amount FROM ({NEW}) AS q WHERE id <> (SELECT COUNT(*) FROM {forever})"
    operator = StageCheckExchangeOperator(task_id="t", conn_id="redshift", table="public.orders", sql=select)
    threading.Timer(1.5, operator.on_kill).start()
    started = time.monotonic()
    with pytest.raises(AirflowException, match="the task was killed"):
        operator.execute({})
    assert time.monotonic() - started < 30
    assert (lab.orders(), lab.beside()) == (OLD, 0)
