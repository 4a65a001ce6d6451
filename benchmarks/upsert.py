"""Upserts of Python rows, beside what people write by hand and what Airflow's own tools send."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_dataquality.checks import check
from airflow_dataquality.operators.upsert import UpsertOperator
from benchmarks.measuring import race
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import CONNECTION, connected, hook, version

if TYPE_CHECKING:
    import psycopg

COPY = "COPY alone, into an empty table"
OURS, OURS_DELETE = "UpsertOperator", "UpsertOperator, delete_insert"
BY_HAND = "by hand: COPY, ON CONFLICT"
S3 = "S3ToRedshiftOperator's SQL: COPY, DELETE, INSERT"
INSERT_ROWS = "insert_rows(replace=True)"
COLUMNS = ("id", "city", "amount", "at")
_SHAPE = "id bigint PRIMARY KEY, city text, amount float8, at timestamp"
_OLD = (
    "SELECT g::bigint, 'city ' || g % 1000, g % 1000 / 10.0::float8, timestamp '2024-01-01' + g * interval '1 second' "
    "FROM generate_series(1, {rows}) AS g"
)

Row = tuple[Any, ...]


def run(uri: str, *, quick: bool = False) -> Report:
    """Upsert batches half of which is new into a large table of each side, over and over."""
    held, batch, rounds = (5_000, 500, 2) if quick else (5_000_000, 500_000, 3)
    ways: dict[str, Callable[[str, list[Row]], Any]] = {
        COPY: _copy_alone,
        OURS: lambda table, rows: _ours(table, rows, "auto"),
        OURS_DELETE: lambda table, rows: _ours(table, rows, "delete_insert"),
        BY_HAND: _on_conflict,
        S3: _delete_insert,
        INSERT_ROWS: _insert_rows,
    }
    tables = {side: f"bench.upsert_{number}" for number, side in enumerate(ways)}
    with connected(uri) as connection:
        for side, table in tables.items():
            connection.execute(f"CREATE TABLE {table} ({_SHAPE})")
            if side != COPY:
                connection.execute(f"INSERT INTO {table} {_OLD.format(rows=held)}")
        connection.execute("VACUUM ANALYZE")
        batches = {side: _batches(held, batch) for side in ways}
        timed = race(
            {side: lambda side=side: ways[side](tables[side], next(batches[side])) for side in ways},  # type: ignore[misc]
            rounds,
        )
        counts = timed.answers[OURS]
        agree = _agree(connection, [tables[side] for side in ways if side != COPY]) and counts == (
            batch // 2,
            batch - batch // 2,
        )
        setting = {"rows": batch, "into": held, "fsync": "off", **versions(version(connection))}
    lines = [
        {
            "side": side,
            "rounds": rounds,
            "median s": timed.median(side),
            "÷ COPY alone": timed.ratio(side, COPY),
            "÷ by hand": timed.ratio(side, BY_HAND),
            "÷ insert_rows": timed.ratio(side, INSERT_ROWS),
        }
        for side in ways
    ]
    bars = {
        "at least twice as fast as insert_rows": timed.ratio(INSERT_ROWS, OURS) >= 2,
        "at most six times COPY alone": timed.ratio(OURS, COPY) <= 6,
    }
    return Report("Upserts of Python rows, half of them new", setting, lines, agree=agree, bars=bars)


def _batches(held: int, size: int) -> Iterator[list[Row]]:
    """Rows of which the first half is in the table; spread over all of it, so that no page of the index is warm."""
    last, turn = held, 0
    while True:
        turn += 1
        known = size // 2
        step = last // known
        ids = [*range(turn, turn + known * step, step), *range(last + 1, last + 1 + size - known)]
        last += size - known
        yield [(number, f"town {number % 997}", number / 7, f"2025-01-{1 + number % 28:02}") for number in ids]


def _ours(table: str, rows: list[Row], strategy: str) -> tuple[int, int]:
    task = UpsertOperator(
        task_id="upsert", conn_id=CONNECTION, table=table, keys=["id"], rows=rows, columns=COLUMNS, strategy=strategy,
        checks=[check("null_count", "city"), check("row_count", greater_than=0)],
    )  # fmt: skip
    outcome = task.execute({})
    return outcome["inserted"], outcome["updated"]


def _insert_rows(table: str, rows: list[Row]) -> None:
    schema, name = table.split(".")
    hook().insert_rows(
        f"{schema}.{name}", rows, target_fields=list(COLUMNS), replace=True, replace_index="id", commit_every=10_000,
        executemany=True, fast_executemany=True,
    )  # fmt: skip


@contextlib.contextmanager
def _staged(table: str, rows: list[Row]) -> Iterator[Any]:
    """A cursor in whose session the rows are in the temporary table ``s``."""
    with contextlib.closing(hook().get_conn()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE s (LIKE {table} INCLUDING DEFAULTS)")
        with cursor.copy(f"COPY s ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        yield cursor
        connection.commit()


def _copy_alone(table: str, rows: list[Row]) -> None:
    with _staged(table, rows):
        pass


def _on_conflict(table: str, rows: list[Row]) -> None:
    names = ", ".join(COLUMNS)
    values = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
    with _staged(table, rows) as cursor:
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM s ON CONFLICT (id) DO UPDATE SET {values}")


def _delete_insert(table: str, rows: list[Row]) -> None:
    """What S3ToRedshiftOperator(method="UPSERT") sends, its COPY fed by the client."""
    with _staged(table, rows) as cursor:
        cursor.execute(f"DELETE FROM {table} USING s WHERE {table}.id = s.id")
        cursor.execute(f"INSERT INTO {table} SELECT * FROM s")


def _agree(connection: psycopg.Connection[Any], tables: list[str]) -> bool:
    query = "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {} AS t"
    return len({connection.execute(query.format(table)).fetchone() for table in tables}) == 1  # type: ignore[arg-type]
