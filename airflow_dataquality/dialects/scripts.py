"""Statements that cannot be part of one transaction: they end it, or refuse to run in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from airflow_dataquality.dialects.lexer import bare, statements_in
from airflow_dataquality.errors import SpecError

_ONE = "leave it out: all of them are one transaction"
_APART = "it cannot run in a transaction: have a task of its own run it"
_CLIENT = "it wants a client that sends rows: a transform of kind load brings files into a table"

# https://www.postgresql.org/docs/current/sql-commands.html: those that say that they cannot be in a transaction block.
POSTGRES: Mapping[str, str] = MappingProxyType(
    {
        r"BEGIN|START TRANSACTION|COMMIT|END|ROLLBACK|ABORT|PREPARE TRANSACTION": _ONE,
        r"VACUUM|(CREATE|DROP) (DATABASE|TABLESPACE)|ALTER SYSTEM|ALTER DATABASE .* SET TABLESPACE": _APART,
        r"(CREATE|DROP|ALTER) SUBSCRIPTION|DISCARD ALL": _APART,
        r"(CREATE|CREATE UNIQUE|DROP) INDEX CONCURRENTLY|REINDEX .*CONCURRENTLY": _APART,
        r"REINDEX (\(.*\) )?(DATABASE|SYSTEM|SCHEMA)|ALTER TABLE .* DETACH PARTITION .* CONCURRENTLY": _APART,
        r"COPY .* FROM STDIN|COPY .* TO STDOUT": _CLIENT,
    }
)
# https://docs.aws.amazon.com/redshift/latest/dg/r_TRUNCATE.html, r_ALTER_TABLE_APPEND.html,
# r_CREATE_EXTERNAL_TABLE.html; stored-procedure-transaction-management.html: a procedure may commit what was begun
# around it.
REDSHIFT: Mapping[str, str] = MappingProxyType(
    {
        **POSTGRES,
        r"TRUNCATE": "on Redshift it commits: write DELETE FROM",
        r"ALTER TABLE .* APPEND FROM|ALTER TABLE .* ALTER COLUMN .* TYPE|CREATE EXTERNAL TABLE": _APART,
        r"(CREATE|DROP) LIBRARY|CREATE OR REPLACE LIBRARY": _APART,
        r"CALL": "on Redshift a procedure may commit: have a task of its own call it",
    }
)
_TABLES = {"postgres": POSTGRES, "redshift": REDSHIFT}


def refuse_script(sql: str, dialect: str) -> Sequence[str]:
    r"""The statements of a script, if they can be one transaction.

    :param dialect: its name
    :raises SpecError: naming the first that cannot, or if there is none

    >>> refuse_script("DELETE FROM t; /* not COMMIT */ INSERT INTO t VALUES ('COMMIT')", "postgres")[0]
    'DELETE FROM t'
    """
    statements = statements_in(sql)
    if not statements:
        raise SpecError("there is no statement", hint="write at least one")
    for number, statement in enumerate(statements, 1):
        words = bare(statement).upper()
        for pattern, hint in _TABLES[dialect].items():
            if match := re.match(rf"(?:{pattern})(?!\w)", words):
                of = f"statement {number} of {len(statements)}"
                shown = match[0] if len(match[0]) <= len("START TRANSACTION") else words[:60]
                raise SpecError(f"{shown} among the statements ({of})", hint=hint)
    return statements
