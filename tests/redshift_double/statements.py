"""Plans for queries, DML, views, users and maintenance."""

from __future__ import annotations

import re

from redshift_double.altering import alter_table
from redshift_double.expressions import refuse_leader_with_user_tables, translate
from redshift_double.lexer import Statement, literal, quoted, rendered_name
from redshift_double.plan import Plan, Refused
from redshift_double.tables import column_list, create_table

TEMPLATE = "redshift_double_template"
"""The database that every other is made from."""


def query(statement: Statement) -> Plan:
    refuse_leader_with_user_tables(statement)
    translate(statement)
    return Plan(sql=statement.render())


def insert(statement: Statement) -> Plan:
    name, _ = _target(statement, 1, "INTO")
    refuse_leader_with_user_tables(statement)
    translate(statement)
    return Plan(sql=statement.render(), locks=(rendered_name(name),))


def update(statement: Statement) -> Plan:
    name, _ = statement.qualified(1)
    refuse_leader_with_user_tables(statement)
    translate(statement)
    return Plan(sql=statement.render(), locks=(rendered_name(name),))


def delete(statement: Statement) -> Plan:
    at = 1 + (statement.key(1) == "FROM")
    name, after = statement.qualified(at)
    if statement.key(after) not in {"", "USING", "WHERE"} or not name:
        raise Refused("delete-alias", near=statement.near(after))
    refuse_leader_with_user_tables(statement)
    translate(statement)
    if at == 1:
        statement.replace(0, 0, "DELETE FROM")
    return Plan(sql=statement.render(), locks=(rendered_name(name),))


def _target(statement: Statement, at: int, word: str) -> tuple[tuple[str, ...], int]:
    if statement.key(at) != word:
        raise Refused("unknown-statement", near=statement.near(at))
    name, after = statement.qualified(at + 1)
    if not name:
        raise Refused("unknown-statement", near=statement.near(at + 1))
    return name, after


def merge(statement: Statement) -> Plan:
    """MERGE as documented: https://docs.aws.amazon.com/redshift/latest/dg/r_MERGE.html."""
    target, at = _target(statement, 1, "INTO")
    if statement.key(at) != "USING":
        raise Refused("merge-target-alias", near=statement.near(at))
    if statement.key(at + 1) == "(":
        raise Refused("merge-subquery", near="(")
    source, after = statement.qualified(at + 1)
    alias = rendered_name(source[-1:])
    behind_as = after + (statement.key(after) == "AS")
    if statement.key(behind_as) != "ON":
        alias = quoted(statement.identifier(behind_as))
    condition = statement.find("ON", start=after) + 1
    table, locks = rendered_name(target), (rendered_name(target),)
    refuse_leader_with_user_tables(statement)
    translate(statement)
    if statement.keys[-2:] == ["REMOVE", "DUPLICATES"]:
        on = statement.render(condition, len(statement) - 2)
        origin = rendered_name(source)
        script = (
            f"CREATE TEMP TABLE rs_merged ON COMMIT DROP AS SELECT DISTINCT * FROM {origin}",
            f"DELETE FROM {table} USING {origin} AS {alias} WHERE {on}",
            f"INSERT INTO {table} SELECT * FROM rs_merged",
            "DROP TABLE rs_merged",
        )
        return Plan(script=script, tag="MERGE", locks=locks)
    branches = [index for index, key in enumerate(statement.keys) if key == "MATCHED"]
    negative = [index for index in branches if statement.key(index - 1) == "NOT"]
    if len(branches) != 2 or len(negative) != 1:
        raise Refused("merge-branches", near=statement.near(len(statement)))
    for index in branches:
        if statement.key(index + 1) != "THEN":
            raise Refused("merge-condition", near=statement.near(index + 1))
        if statement.key(index + 2) not in ({"INSERT"} if index in negative else {"UPDATE", "DELETE"}):
            raise Refused("merge-branches", near=statement.near(index + 2))
    return Plan(sql=statement.render(), locks=locks)


def create(statement: Statement) -> Plan:
    keys = statement.keys
    if "TABLE" in keys[1:4] and not {"EXTERNAL", "VIEW"} & set(keys[1:4]):
        return create_table(statement, keys.index("TABLE"))
    at = 1 + 2 * statement.starts("OR", "REPLACE", at=1)
    if statement.key(at) == "VIEW":
        return _view(statement, at)
    if statement.key(1) == "SCHEMA":
        return _schema(statement)
    if statement.key(1) in {"USER", "GROUP"}:
        return _user(statement)
    if statement.key(1) == "DATABASE" and len(statement) == 3:
        name = quoted(statement.identifier(2))
        return Plan(sql=f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY wal_log")
    if statement.key(1) == "ROLE":
        role = quoted(statement.identifier(2))
        return Plan(script=(f"CREATE ROLE {role}", f"COMMENT ON ROLE {role} IS 'role'"), tag="CREATE ROLE")
    modelled = {
        "EXTERNAL",
        "MATERIALIZED",
        "FUNCTION",
        "PROCEDURE",
        "DATABASE",
        "DATASHARE",
        "MODEL",
        "LIBRARY",
        "RLS",
        "MASKING",
    }
    rule = "statement" if {*keys[1:4]} & modelled else "unknown-statement"
    raise Refused(rule, near=statement.near(at))


def _view(statement: Statement, at: int) -> Plan:
    name, after = statement.qualified(at + 1)
    binding = statement.find("WITH", "NO", "SCHEMA", "BINDING", start=after)
    end = binding if binding >= 0 else len(statement)
    as_at = statement.find("AS", start=after)
    refuse_leader_with_user_tables(statement)
    if binding >= 0:
        _refuse_unqualified(statement, as_at, end)
    original = statement.sql[statement.tokens[as_at + 1].start : statement.tokens[end - 1].end]
    translate(statement, after)
    if binding < 0:
        statement.replace(at + 1, after - 1, rendered_name(name))
        protect = f"SELECT rs.protect_view({literal(rendered_name(name))})"
        return Plan(script=(statement.render(), protect), tag="CREATE VIEW")
    body = statement.render(as_at + 1, end)
    columns = column_list(statement, after) if statement.key(after) == "(" else ""
    values = ", ".join(map(literal, (rendered_name(name), columns, body, original)))
    return Plan(script=(f"SELECT rs.create_late_binding_view({values}, {at > 1})",), tag="CREATE VIEW")


def _refuse_unqualified(statement: Statement, start: int, end: int) -> None:
    for index in range(start, end):
        if statement.key(index) in {"FROM", "JOIN"} and statement.key(index + 1) != "(":
            name, after = statement.qualified(index + 1)
            if len(name) == 1 and statement.key(after) != "(":
                raise Refused("unqualified-late-binding")


def _schema(statement: Statement) -> Plan:
    if "QUOTA" in statement.keys:
        at = statement.keys.index("QUOTA")
        statement.replace(at, len(statement) - 1, "")
    translate(statement, 1, calls=False)
    return Plan(sql=statement.render())


def _user(statement: Statement) -> Plan:
    for index in range(len(statement) - 1):
        if statement.starts("PASSWORD", "DISABLE", at=index):
            statement.replace(index, index + 1, "PASSWORD NULL")
        elif statement.starts("SYSLOG", "ACCESS", at=index):
            statement.replace(index, index + 2, "")
        elif statement.key(index) in {"CREATEUSER", "NOCREATEUSER"}:
            statement.replace(index, index, statement.key(index).replace("CREATEUSER", "SUPERUSER"))
    translate(statement, 1, calls=False)
    return Plan(sql=statement.render())


def alter(statement: Statement) -> Plan:
    if statement.key(1) == "TABLE":
        return alter_table(statement)
    if statement.key(1) in {"SCHEMA", "USER", "GROUP"}:
        return _user(statement)
    if statement.starts("DEFAULT", "PRIVILEGES", at=1):
        return grant(statement)
    raise Refused("statement", near=statement.near(1))


def drop(statement: Statement) -> Plan:
    if statement.key(1) not in {"TABLE", "VIEW", "SCHEMA", "USER", "GROUP", "ROLE", "DATABASE"}:
        known_elsewhere = statement.key(1) in {"MATERIALIZED", "FUNCTION", "PROCEDURE", "EXTERNAL", "MODEL"}
        raise Refused("statement" if known_elsewhere else "unknown-statement", near=statement.near(1))
    translate(statement, 2, calls=False)
    return Plan(sql=statement.render())


def grant(statement: Statement) -> Plan:
    for index in range(len(statement)):
        if statement.key(index) == "ROLE" and statement.key(index - 1) in {"TO", "FROM", ",", "GRANT", "REVOKE"}:
            statement.replace(index, index, "")
    translate(statement, 1, calls=False)
    return Plan(sql=statement.render())


def comment(statement: Statement) -> Plan:
    if statement.key(1) != "ON" or statement.key(2) not in {
        "TABLE",
        "COLUMN",
        "CONSTRAINT",
        "VIEW",
        "DATABASE",
        "SCHEMA",
    }:
        raise Refused("unknown-statement", near=statement.near(2))
    translate(statement, 3)
    return Plan(sql=statement.render())


def analyze(statement: Statement) -> Plan:
    if statement.key(1) == "COMPRESSION":
        raise Refused("statement", near="compression")
    at = 1 + (statement.key(1) == "VERBOSE")
    name, after = statement.qualified(at)
    if not name:
        return Plan(script=("SELECT rs.analyze(NULL)",), tag="ANALYZE")
    if statement.key(after) not in {"", "(", "PREDICATE", "ALL"}:
        raise Refused("unknown-statement", near=statement.near(after))
    return Plan(script=(f"ANALYZE {rendered_name(name)}",), tag="ANALYZE")


def vacuum(statement: Statement) -> Plan:
    """VACUUM [FULL | SORT ONLY | DELETE ONLY | REINDEX | RECLUSTER] [table [TO n PERCENT] [BOOST]]."""
    at = 1
    if statement.key(at) in {"SORT", "DELETE"} and statement.key(at + 1) == "ONLY":
        at += 2
    elif statement.key(at) in {"FULL", "REINDEX", "RECLUSTER"}:
        at += 1
    name, after = statement.qualified(at)
    rest = " ".join(statement.keys[after:])
    if re.fullmatch(r"(?:TO \d+ PERCENT ?)?(?:BOOST)?", rest) is None:
        raise Refused("unknown-statement", near=statement.near(after))
    table = literal(rendered_name(name)) if name else "NULL"
    return Plan(script=(f"SELECT rs.vacuum({table})",), tag="VACUUM", alone="vacuum-in-transaction")


def truncate(statement: Statement) -> Plan:
    name, after = statement.qualified(1 + (statement.key(1) == "TABLE"))
    if after != len(statement):
        raise Refused("truncate-options", near=statement.near(after))
    return Plan(script=(f"TRUNCATE TABLE {rendered_name(name)}",), tag="TRUNCATE", commits=True)


def lock(statement: Statement) -> Plan:
    at = 1 + (statement.key(1) == "TABLE")
    tables = []
    while at < len(statement):
        name, at = statement.qualified(at)
        if not name or statement.key(at) not in {"", ","}:
            raise Refused("lock-mode", near=statement.near(at))
        tables.append(rendered_name(name))
        at += 1
    return Plan(sql=f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")


def explain(statement: Statement) -> Plan:
    at = 1 + (statement.key(1) == "VERBOSE")
    if statement.key(at) not in {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "(", "CREATE"}:
        raise Refused("unknown-statement", near=statement.near(at))
    refuse_leader_with_user_tables(statement)
    translate(statement, at)
    return Plan(sql=f"EXPLAIN {statement.render(at)}", reads="explain")


def cancel(statement: Statement) -> Plan:
    return Plan(script=(f"SELECT pg_cancel_backend({int(statement.tokens[1].text)})",), tag="CANCEL")
