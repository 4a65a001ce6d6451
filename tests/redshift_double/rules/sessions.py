"""Refused where data are written, and of transactions, parameters and COPY."""

from __future__ import annotations

from redshift_double.rules.model import IN_TRANSACTION, UNSUPPORTED, UNSUPPORTED_PAGE, refuse, syntax

DATA = (
    syntax("delete-alias", "an alias for the target of DELETE", "r_DELETE", "DELETE FROM t AS x WHERE x.a = 1"),
    syntax(
        "merge-target-alias",
        "an alias for the target of MERGE",
        "r_MERGE",
        "MERGE INTO t AS x USING s ON x.a = s.a WHEN MATCHED THEN DELETE"
        " WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.b)",
    ),
    syntax(
        "merge-subquery",
        "a subquery as the source of MERGE",
        "r_MERGE",
        "MERGE INTO t USING (SELECT * FROM s) AS x ON t.a = x.a WHEN MATCHED THEN DELETE"
        " WHEN NOT MATCHED THEN INSERT VALUES (x.a, x.b)",
    ),
    syntax(
        "merge-branches",
        "MERGE without exactly one WHEN MATCHED and one WHEN NOT MATCHED",
        "r_MERGE",
        "MERGE INTO t USING s ON t.a = s.a WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.b)",
    ),
    syntax(
        "merge-condition",
        "WHEN MATCHED AND …",
        "r_MERGE",
        "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED AND s.a > 1 THEN DELETE"
        " WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.b)",
    ),
    refuse(
        "write-to-view",
        "INSERT, UPDATE, DELETE on a view",
        "r_CREATE_VIEW",
        "INSERT INTO v VALUES (1)",
        UNSUPPORTED,
        "cannot insert into a view",
    ),
    refuse("not-null", "NULL in a NOT NULL column", "r_CREATE_TABLE_NEW", "INSERT INTO n VALUES (NULL)", "23502", ""),
    refuse(
        "identity-value",
        "a value for an IDENTITY column",
        "r_CREATE_TABLE_NEW",
        "INSERT INTO i (id) VALUES (1)",
        UNSUPPORTED,
        "cannot set an identity column to a value",
    ),
    refuse(
        "varchar-bytes",
        "a text longer than the column's bytes",
        "r_Character_types",
        "INSERT INTO n VALUES ('ééé')",
        "22001",
        "value too long for type character varying({near})",
    ),
)


SESSIONS = (
    refuse(
        "savepoint",
        "SAVEPOINT",
        UNSUPPORTED_PAGE,
        "SAVEPOINT x",
        UNSUPPORTED,
        'SQL command "SAVEPOINT" not supported.',
        "SAVEPOINT",
    ),
    syntax(
        "unknown-statement",
        "statements that Redshift does not have: DO, LISTEN, REINDEX …",
        "c_SQL_commands",
        "DO $$ BEGIN END $$",
    ),
    syntax("several-statements", "several statements in one Parse message", "c_SQL_commands", "SELECT 1; SELECT 2"),
    syntax("unreadable", "quotes and comments that do not close", "c_SQL_commands", "SELECT 'x"),
    syntax("deferrable", "DEFERRABLE", "r_BEGIN", "BEGIN DEFERRABLE", "BEGIN|TRANSACTION|WORK DEFERRABLE"),
    syntax("set-constraints", "SET CONSTRAINTS", UNSUPPORTED_PAGE, "SET CONSTRAINTS ALL DEFERRED"),
    refuse(
        "unknown-parameter",
        "parameters that Redshift does not have",
        "cm_chap_ConfigurationRef",
        "SET lock_timeout = 100",
        "42704",
        'unrecognized configuration parameter "{near}"',
    ),
    syntax("maintain", "MAINTAIN as a privilege", "r_GRANT", "GRANT MAINTAIN ON t TO etl", "MAINTAIN", ("GRANT",)),
    refuse(
        "unknown-setting",
        "functions that read or set parameters that Redshift does not have",
        "r_CURRENT_SETTING",
        "SELECT current_setting('lock_timeout')",
        "42704",
        'unrecognized configuration parameter "{near}"',
    ),
    syntax("lock-mode", "LOCK with a mode, or ONLY", "r_LOCK", "LOCK TABLE t IN SHARE MODE"),
    refuse(
        "vacuum-in-transaction",
        "VACUUM inside a transaction",
        "r_VACUUM_command",
        "BEGIN; VACUUM t",
        IN_TRANSACTION,
        "VACUUM cannot run inside a transaction block",
    ),
    refuse(
        "append-in-transaction",
        "ALTER TABLE APPEND inside a transaction",
        "r_ALTER_TABLE_APPEND",
        "BEGIN; ALTER TABLE t APPEND FROM s",
        IN_TRANSACTION,
        "ALTER TABLE APPEND cannot run inside a transaction block",
    ),
    refuse(
        "alter-type-in-transaction",
        "ALTER COLUMN TYPE inside a transaction",
        "r_ALTER_TABLE",
        "BEGIN; ALTER TABLE t ALTER COLUMN b TYPE varchar(300)",
        IN_TRANSACTION,
        "ALTER TABLE ALTER COLUMN cannot run inside a transaction block",
    ),
    refuse(
        "copy-source",
        "COPY from a file or STDIN",
        "r_COPY",
        "COPY t FROM STDIN",
        UNSUPPORTED,
        "COPY from this source is not supported",
    ),
    refuse(
        "copy-authorization",
        "COPY without authorization",
        "r_COPY",
        "COPY t FROM 's3://lake/x' CSV",
        UNSUPPORTED,
        "Invalid operation: no authorization: IAM_ROLE, ACCESS_KEY_ID or CREDENTIALS is required",
    ),
    syntax(
        "copy-parameter",
        "COPY parameters that Redshift does not have",
        "r_COPY-parameters",
        "COPY t FROM 's3://lake/x' IAM_ROLE default HEADER",
    ),
)
