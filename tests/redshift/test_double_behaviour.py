"""What the double does beyond refusing: transactions, locks, catalogs, faults, as Redshift documents them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redshift_connector

from redshift_double import SUPERUSER, RedshiftWarehouse

Rows = list[list[Any]]
Run = Callable[..., Rows]


def runner(connection: Any) -> Run:
    def run(sql: str, *parameters: Any) -> Rows:
        cursor = connection.cursor()
        cursor.execute(sql, list(parameters) or None)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []

    return run


@pytest.fixture
def connect(redshift: RedshiftWarehouse) -> Iterator[Callable[..., Run]]:
    connections = []

    def open_one(user: str | None = None, **options: Any) -> Run:
        connections.append(redshift.connect(user, **options))
        return runner(connections[-1])

    yield open_one
    for connection in connections:
        connection.close()


@pytest.fixture
def run(connect: Callable[..., Run]) -> Run:
    return connect()


def code(run: Run, sql: str, *parameters: Any) -> str:
    with pytest.raises(redshift_connector.Error) as refused:
        run(sql, *parameters)
    return str(refused.value.args[0]["C"])


def in_background(run: Run, sql: str) -> tuple[threading.Thread, list[BaseException | None]]:
    outcome: list[BaseException | None] = []

    def work() -> None:
        try:
            run(sql)
            outcome.append(None)
        except redshift_connector.Error as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, outcome


# The driver and Airflow ----------------------------------------------------------------------------------------------


def test_airflows_hook_works(redshift: RedshiftWarehouse) -> None:
    from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook

    hook = RedshiftSQLHook(redshift_conn_id=redshift.conn_id)
    hook.run(["CREATE TABLE t (a int PRIMARY KEY, b varchar)", "INSERT INTO t VALUES (1, 'x')"], autocommit=True)
    hook.run("INSERT INTO t VALUES (%s, %s)", parameters=(2, "it's \\ ü"))
    assert list(map(list, hook.get_records("SELECT a, b FROM t WHERE a >= %s ORDER BY a", parameters=(1,)))) == [
        [1, "x"],
        [2, "it's \\ ü"],
    ]
    assert hook.get_table_primary_key("t") == ["a"]
    assert redshift.double.statements[0] == "CREATE TABLE t (a int PRIMARY KEY, b varchar)"
    assert [one for one in redshift.double.statements if one.startswith("INSERT")] == [
        "INSERT INTO t VALUES (1, 'x')",
        "INSERT INTO t VALUES ($1, $2)",
    ]


@pytest.mark.parametrize("login", ["user=etl password=wrong", "user=nobody password=x"])
def test_wrong_passwords_and_unknown_users_are_refused(redshift: RedshiftWarehouse, login: str) -> None:
    import psycopg

    # With psycopg, because the real driver leaves its socket open when it is not let in.
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"host=127.0.0.1 port={redshift.double.port} dbname={redshift.database} {login}")


def test_a_user_made_by_a_statement_can_connect(connect: Callable[..., Run]) -> None:
    connect(SUPERUSER)("CREATE USER reader PASSWORD 'Reader1'")
    assert connect("reader", password="Reader1")("SELECT current_user") == [["reader"]]  # noqa: S106


def test_a_backslash_escapes_in_a_literal(run: Run) -> None:
    assert run("SELECT 'a\\\\b', 'it\\'s', 'x\\ty'") == [["a\\b", "it's", "x\ty"]]


def test_psycopg_can_talk_to_it_too(redshift: RedshiftWarehouse) -> None:
    import psycopg

    address = f"host=127.0.0.1 port={redshift.double.port} dbname={redshift.database} user=etl"
    with psycopg.connect(f"{address} password={redshift.double.password}", autocommit=True) as connection:
        assert connection.execute("SELECT 1, %s::int", (2,)).fetchall() == [(1, 2)]
        with pytest.raises(psycopg.errors.UndefinedFunction):
            connection.execute("SELECT unnest('x')")


# Transactions and locks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refused", ["SELECT to_regclass('t')", "SELECT nowhere FROM t", "SAVEPOINT x", "SELECT 'x"])
def test_a_refusal_aborts_the_transaction(run: Run, refused: str) -> None:
    run("CREATE TABLE t (a int)")
    run("BEGIN")
    run("INSERT INTO t VALUES (1)")
    code(run, refused)
    assert code(run, "SELECT 1") == "25P02"
    assert code(run, "TRUNCATE t") == "25P02"
    run("COMMIT")
    assert run("SELECT count(*) FROM t") == [[0]]


def test_truncate_commits_the_open_transaction(run: Run) -> None:
    run("CREATE TABLE t (a int)")
    run("CREATE TABLE u (a int)")
    run("INSERT INTO u VALUES (1)")
    run("BEGIN")
    run("INSERT INTO t VALUES (1)")
    run("TRUNCATE u")
    run("ROLLBACK")
    assert run("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u)") == [[1, 0]]


def test_definitions_are_rolled_back(run: Run) -> None:
    run("CREATE TABLE t (a int) DISTKEY (a)")
    run("BEGIN")
    run("ALTER TABLE t ALTER DISTSTYLE ALL")
    run("CREATE TABLE u (a int)")
    run("ROLLBACK")
    assert run("SELECT relname, reldiststyle FROM pg_class WHERE relname IN ('t', 'u')") == [["t", 1]]


def test_writers_of_one_table_wait_and_readers_pass(connect: Callable[..., Run]) -> None:
    first, second, reader = connect(), connect(), connect()
    first("CREATE TABLE t (a int)")
    first("BEGIN")
    first("INSERT INTO t VALUES (1)")
    thread, outcome = in_background(second, "INSERT INTO t VALUES (2)")
    thread.join(0.2)
    assert thread.is_alive()
    assert reader("SELECT count(*) FROM t") == [[0]]
    assert reader("SELECT lock_mode FROM svv_transactions WHERE NOT granted") == [["ShareRowExclusiveLock"]]
    first("COMMIT")
    thread.join(5)
    assert outcome == [None]
    assert reader("SELECT count(*) FROM t") == [[2]]


def test_a_first_writer_that_waited_sees_what_the_other_one_wrote(connect: Callable[..., Run]) -> None:
    first, second = connect(), connect()
    first("CREATE TABLE t (a int)")
    first("BEGIN")
    first("INSERT INTO t VALUES (1)")
    second("BEGIN")
    thread, outcome = in_background(second, "DELETE FROM t")
    thread.join(0.1)
    first("COMMIT")
    thread.join(5)
    second("COMMIT")
    assert outcome == [None]
    assert first("SELECT count(*) FROM t") == [[0]]


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
def test_write_skew(redshift: RedshiftWarehouse, connect: Callable[..., Run], isolation: str) -> None:
    redshift.double.isolation = isolation
    first, second = connect(), connect()
    for table in "tu":
        first(f"CREATE TABLE {table} (a int)")
    for run, reads, writes in ((first, "t", "u"), (second, "u", "t")):
        run("BEGIN")
        run(f"SELECT count(*) FROM {reads}")
        run(f"INSERT INTO {writes} VALUES (1)")
    first("COMMIT")
    if isolation == "snapshot":
        second("COMMIT")
        return
    with pytest.raises(redshift_connector.Error) as refused:
        second("COMMIT")
    error = refused.value.args[0]
    assert (error["S"], error["C"], error["M"]) == ("ERROR", "XX000", "1023")
    assert error["D"].startswith("Serializable isolation violation on table - ")
    assert second("SELECT count(*) FROM t") == [[0]]


def test_lock_takes_the_whole_table(connect: Callable[..., Run]) -> None:
    first, second = connect(), connect()
    first("CREATE TABLE t (a int)")
    first("CREATE TABLE u (a int)")
    first("BEGIN")
    first("LOCK t, u")
    thread, outcome = in_background(second, "SELECT * FROM u")
    thread.join(0.1)
    assert thread.is_alive()
    first("COMMIT")
    thread.join(5)
    assert outcome == [None]


# Tables --------------------------------------------------------------------------------------------------------------


def test_like_keeps_how_rows_are_stored_but_no_constraint(run: Run) -> None:
    run(
        "CREATE TABLE t (id bigint IDENTITY(1, 1), a int NOT NULL DEFAULT 7 ENCODE az64 DISTKEY SORTKEY,"
        " PRIMARY KEY (a))"
    )
    run("CREATE TABLE plain (LIKE t)")
    run("CREATE TABLE defaults (LIKE t INCLUDING DEFAULTS)")
    described = 'SELECT "column", type, encoding, distkey, sortkey, "notnull" FROM pg_table_def WHERE tablename = %s'
    assert run(described, "plain") == run(described, "t") == run(described, "defaults")
    assert run(described, "t")[1] == ["a", "integer", "az64", True, 1, True]
    constrained = "SELECT c.relname FROM pg_constraint JOIN pg_class AS c ON c.oid = conrelid"
    assert run(constrained) == [["t"]]
    sources = "SELECT adsrc FROM pg_attrdef JOIN pg_class ON oid = adrelid WHERE relname = %s ORDER BY adnum"
    (oid,) = run("SELECT oid FROM pg_class WHERE relname = 't'")[0]
    assert run(sources, "t") == [[f"\"identity\"({oid}, 0, '1,1'::text)"], ["7"]]
    assert (run(sources, "plain"), run(sources, "defaults")) == ([], [["7"]])


def test_keys_are_recorded_and_not_enforced(run: Run) -> None:
    run("CREATE TABLE parent (a int, b int, PRIMARY KEY (b, a))")
    run("CREATE TABLE t (a int NOT NULL UNIQUE, b int, CONSTRAINT f FOREIGN KEY (b, a) REFERENCES parent (b, a))")
    run("COMMENT ON CONSTRAINT f ON t IS 'why'")
    run("INSERT INTO t VALUES (1, 2), (1, 2)")
    assert run(
        "SELECT conname, contype, pg_get_constraintdef(con.oid), obj_description(con.oid, 'pg_constraint')"
        " FROM pg_constraint con JOIN pg_class c ON c.oid = conrelid WHERE relname = 't' ORDER BY 1"
    ) == [
        ["f", "f", "FOREIGN KEY (b, a) REFERENCES parent(b, a)", "why"],
        ["t_a_key", "u", "UNIQUE (a)", None],
    ]
    assert run("SELECT conkey, confkey FROM pg_constraint WHERE conname = 'f'") == [[[2, 1], [2, 1]]]
    assert code(run, "DROP TABLE parent") == "2BP01"
    assert code(run, "INSERT INTO parent VALUES (NULL, 1)") == "23502"
    run("ALTER TABLE t DROP CONSTRAINT t_a_key")
    assert run("SELECT constraint_type FROM information_schema.table_constraints WHERE table_name = 't'") == [
        ["FOREIGN KEY"]
    ]


def test_identities_by_default_take_values(run: Run) -> None:
    run("CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY(5, 2), a int)")
    run("INSERT INTO t (id, a) VALUES (1, 1)")
    run("INSERT INTO t (a) VALUES (2)")
    assert run("SELECT id, a FROM t ORDER BY a") == [[1, 1], [5, 2]]
    assert "default_identity(" in run("SELECT adsrc FROM pg_attrdef")[0][0]


def test_lengths_count_bytes(run: Run) -> None:
    run("CREATE TABLE t (a varchar(3))")
    run("INSERT INTO t VALUES ('abc')")
    assert code(run, "INSERT INTO t VALUES (%s)", "aé€") == "22001"
    run("ALTER TABLE t ALTER COLUMN a TYPE varchar(6)")
    run("INSERT INTO t VALUES (%s)", "aé€")
    assert run("SELECT count(*) FROM pg_constraint") == [[0]]


def test_temporary_tables_are_the_sessions_own(connect: Callable[..., Run]) -> None:
    run = connect()
    run("CREATE TABLE #x (a int)")
    run("INSERT INTO #x VALUES (1)")
    run("CREATE TEMP TABLE y AS SELECT a FROM #x")
    assert run("SELECT #x.a FROM #x JOIN y ON y.a = #x.a") == [[1]]
    assert code(connect(), "SELECT * FROM #x") == "42P01"


def test_names_fold_unless_they_are_case_sensitive(run: Run) -> None:
    run('CREATE TABLE "Sales" ("Amount" int)')
    assert run("SELECT amount FROM sales") == []
    run("SET enable_case_sensitive_identifier TO true")
    assert code(run, 'SELECT "Amount" FROM sales') == "42703"
    assert run("SHOW enable_case_sensitive_identifier") == [["true"]]
    run("RESET enable_case_sensitive_identifier")
    assert run('SELECT "Amount" FROM sales') == []
    run("BEGIN")
    run("SET LOCAL enable_case_sensitive_identifier TO on")
    # Another text, because the driver keeps prepared statements.
    assert code(run, 'SELECT "Amount" + 1 FROM sales') == "42703"
    run("ROLLBACK")
    assert run('SELECT "Amount" + 2 FROM sales') == []


def test_parameters_that_postgres_lacks(run: Run) -> None:
    assert run("SHOW query_group") == [["unset"]]
    run("SET query_group TO 'etl'")
    assert run("SELECT current_setting('query_group')") == run("SHOW query_group") == [["etl"]]
    run("BEGIN")
    run("SET LOCAL query_group TO 'local'")
    assert run("SHOW query_group") == [["local"]]
    run("COMMIT")
    assert run("SELECT set_config('query_group', 'set', false)") == [["set"]]
    assert run("SHOW query_group") == [["set"]]


# Views ---------------------------------------------------------------------------------------------------------------


def test_a_late_binding_view_follows_the_name(run: Run) -> None:
    run("CREATE TABLE t (a int, b varchar(5))")
    run("INSERT INTO t VALUES (1, 'old')")
    run("CREATE VIEW late AS SELECT a, b FROM public.t WITH NO SCHEMA BINDING")
    run("CREATE VIEW bound AS SELECT a, b FROM t")
    run("CREATE TABLE next (LIKE t)")
    run("INSERT INTO next VALUES (2, 'new')")
    assert code(run, "DROP TABLE t") == "2BP01"
    run("ALTER TABLE t RENAME TO previous")
    run("ALTER TABLE next RENAME TO t")
    assert run("SELECT * FROM late") == [[2, "new"]]
    assert run("SELECT * FROM bound") == [[1, "old"]]
    dependents = (
        "SELECT DISTINCT v.relname FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid"
        " JOIN pg_class v ON v.oid = r.ev_class JOIN pg_class t ON t.oid = d.refobjid WHERE t.relname = 'previous'"
    )
    assert run(dependents) == [["bound"]]
    run("DROP TABLE t")
    assert code(run, "SELECT * FROM late") == "42P01"
    assert "with no schema binding" in run("SELECT definition FROM pg_views WHERE viewname = 'late'")[0][0]


# Data ----------------------------------------------------------------------------------------------------------------


def test_merge_updates_and_inserts(run: Run) -> None:
    run("CREATE TABLE t (a int, b varchar(5))")
    run("CREATE TABLE s (a int, b varchar(5))")
    run("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    run("INSERT INTO s VALUES (2, 'z'), (3, 'w')")
    merge = (
        "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b"
        " WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)"
    )
    run(merge)
    assert run("SELECT * FROM t ORDER BY a") == [[1, "x"], [2, "z"], [3, "w"]]
    run("INSERT INTO s VALUES (2, 'q')")
    with pytest.raises(redshift_connector.Error, match="Found multiple matches to update the same tuple"):
        run(merge)
    run("DELETE FROM s WHERE b = 'q'")
    run("INSERT INTO s VALUES (3, 'w')")
    run("MERGE INTO t USING s ON t.a = s.a REMOVE DUPLICATES")
    assert run("SELECT * FROM t ORDER BY a") == [[1, "x"], [2, "z"], [3, "w"]]


def test_functions_compute_as_redshift_does(run: Run) -> None:
    run("CREATE TABLE t (a int, b varchar(5))")
    run("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    assert run("SELECT avg(a), median(a), listagg(b, '+') FROM t")[0][:2] == [1, 1.5]
    assert run("SELECT listagg(b, '+') WITHIN GROUP (ORDER BY a DESC) FROM t") == [["y+x"]]
    assert run("SELECT datediff(month, '2024-01-31'::date, '2024-02-01'::date), len('abc'), nvl(NULL, 2)") == [
        [1, 3, 2]
    ]
    assert run("SELECT dateadd(month, 1, '2024-01-31'::date)::varchar") == [["2024-02-29 00:00:00"]]
    assert run("SELECT 1.5::numeric, 1.5::decimal(3, 1)") == [[2, pytest.approx(1.5)]]


def test_the_catalog_is_postgres_8_with_redshifts_columns(run: Run) -> None:
    run("CREATE TABLE t (a int DISTKEY, b super)")
    run("INSERT INTO t VALUES (1, json_parse('[1]'))")
    assert run("SELECT relhasindex, relnatts, reldiststyle FROM pg_catalog.pg_class WHERE relname = 't'") == [
        [False, 2, 1]
    ]
    assert run("SELECT attname, attisdistkey, format_type(atttypid, atttypmod) FROM pg_attribute a JOIN pg_class c"
               " ON c.oid = a.attrelid WHERE relname = 't' AND attnum > 0 ORDER BY attnum") == [
        ["a", True, "integer"], ["b", False, "super"]]  # fmt: skip
    for newer in (
        "SELECT relpersistence FROM pg_class",
        "SELECT attidentity FROM pg_attribute",
        "SELECT typcategory FROM pg_type",
    ):
        assert code(run, newer) == "42703"
    assert run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rs%'") == []
    assert run("SELECT table_name FROM information_schema.tables WHERE table_schema LIKE 'rs%'") == []


def test_svv_table_info_has_no_row_for_an_empty_table(redshift: RedshiftWarehouse, run: Run) -> None:
    run("CREATE TABLE t (a int SORTKEY)")
    run("CREATE TABLE u (a int)")
    info = 'SELECT "table", tbl_rows, unsorted, stats_off, size, sortkey1 FROM svv_table_info ORDER BY 1'
    assert run(info) == []
    run("INSERT INTO t VALUES (1), (2)")
    run("INSERT INTO u VALUES (1)")
    assert run(info) == [["t", 2, 0, 100, 1, "a"], ["u", 1, None, 100, 1, None]]
    run("ANALYZE t")
    with redshift.superuser() as below:
        below.execute("INSERT INTO rs.table_health (\"table\", size, unsorted) VALUES ('t', 900, 42)")
    assert run(info)[0] == ["t", 2, 42, 0, 900, "a"]


def test_ordinary_users_see_their_own_sessions(connect: Callable[..., Run]) -> None:
    etl, super_user = connect(), connect(SUPERUSER)
    sessions = "SELECT DISTINCT trim(user_name) FROM stv_sessions ORDER BY 1"
    assert etl(sessions) == [["etl"]]
    assert ["awsuser"] in super_user(sessions)
    super_user("BEGIN")
    assert etl("SELECT DISTINCT txn_owner FROM svv_transactions") == [["etl"]]
    assert code(etl, "SELECT * FROM svv_rls_relation") == "42501"
    assert super_user("SELECT * FROM svv_rls_relation") == []


def test_privileges_name_users_groups_roles_and_public(connect: Callable[..., Run]) -> None:
    run, super_user = connect(), connect(SUPERUSER)
    super_user("CREATE USER ann PASSWORD DISABLE")
    super_user("CREATE GROUP readers")
    super_user("CREATE ROLE analysts")
    run("CREATE TABLE t (a int)")
    for whom in ("ann", "GROUP readers", "ROLE analysts", "PUBLIC"):
        run(f"GRANT SELECT ON t TO {whom}")
    run("GRANT SELECT (a) ON t TO ann")
    assert run(
        "SELECT identity_name, identity_type, admin_option FROM svv_relation_privileges"
        " WHERE relation_name = 't' AND privilege_type = 'SELECT' AND identity_name <> 'etl' ORDER BY 1"
    ) == [["analysts", "role", False], ["ann", "user", False], ["public", "public", False], ["readers", "group", False]]
    assert run("SELECT column_name, identity_name FROM svv_column_privileges") == [["a", "ann"]]
    assert run("SELECT groname FROM pg_group") == [["readers"]]


# Faults --------------------------------------------------------------------------------------------------------------


def test_1023_aborts_the_clients_transaction(redshift: RedshiftWarehouse, run: Run) -> None:
    run("CREATE TABLE t (a int)")
    redshift.double.reset()
    redshift.double.inject("1023", when="insert into t")
    run("BEGIN")
    with pytest.raises(redshift_connector.Error) as refused:
        run("INSERT INTO t VALUES (1)")
    assert refused.value.args[0]["M"] == "1023"
    assert code(run, "SELECT 1") == "25P02"
    run("ROLLBACK")
    run("INSERT INTO t VALUES (1)")


def test_a_commit_may_fail_and_leaves_no_transaction(redshift: RedshiftWarehouse, run: Run) -> None:
    run("CREATE TABLE t (a int)")
    redshift.double.reset()
    redshift.double.inject("1023", at=3)
    run("BEGIN")
    run("INSERT INTO t VALUES (1)")
    code(run, "COMMIT")
    assert run("SELECT count(*) FROM t") == [[0]]


def test_a_table_may_be_dropped_by_another(redshift: RedshiftWarehouse, run: Run) -> None:
    redshift.double.inject("dropped", when="select 1", phase="after")
    with pytest.raises(redshift_connector.Error, match="dropped by concurrent transaction"):
        run("SELECT 1")


@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_commit_may_be_cut_off(redshift: RedshiftWarehouse, connect: Callable[..., Run], phase: Any) -> None:
    run = connect()
    run("CREATE TABLE t (a int)")
    redshift.double.inject("disconnect", when="^COMMIT", phase=phase)
    run("BEGIN")
    run("INSERT INTO t VALUES (1)")
    with pytest.raises((redshift_connector.Error, OSError)):
        run("COMMIT")
    assert connect()("SELECT count(*) FROM t") == [[int(phase == "after")]]


def test_a_statement_may_be_slow(redshift: RedshiftWarehouse, run: Run) -> None:
    redshift.double.inject("slow", when="select", seconds=0.2)
    start = time.monotonic()
    run("SELECT 1")
    assert time.monotonic() - start > 0.2


def test_a_killed_session_says_so(connect: Callable[..., Run]) -> None:
    victim, killer = connect(), connect(SUPERUSER)
    ((pid,),) = victim("SELECT pg_backend_pid()")
    killer(f"SELECT pg_terminate_backend({pid})")
    with pytest.raises((redshift_connector.Error, OSError)):
        victim("SELECT 1")


def test_plans_have_redshifts_look(run: Run) -> None:
    run("CREATE TABLE t (a int) DISTKEY (a)")
    run("CREATE TABLE u (a int) DISTKEY (a)")
    run("CREATE TABLE e (a int) DISTSTYLE EVEN")
    run("CREATE TABLE everywhere (a int) DISTSTYLE ALL")

    def plan(sql: str) -> str:
        return "\n".join(line for (line,) in run(f"EXPLAIN {sql}"))

    assert "DS_DIST_NONE" in plan("SELECT * FROM t JOIN u ON t.a = u.a")
    assert "DS_BCAST_INNER" in plan("SELECT * FROM t JOIN e ON t.a = e.a")
    assert "DS_DIST_NONE" in plan("SELECT * FROM t JOIN everywhere AS x ON t.a = x.a")
    assert "XN Nested Loop" in plan("SELECT * FROM t JOIN e ON t.a < e.a")
