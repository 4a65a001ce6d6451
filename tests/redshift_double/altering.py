"""ALTER TABLE: one action at a time."""

from __future__ import annotations

import json
from typing import Any

from redshift_double.expressions import translate
from redshift_double.lexer import Statement, literal, rendered_name
from redshift_double.plan import Plan, Refused
from redshift_double.tables import CONSTRAINTS, Attributes, column, table_constraint


def alter_table(statement: Statement) -> Plan:
    """ALTER TABLE: one action."""
    name, at = statement.qualified(2)
    table = rendered_name(name)
    if any(key == "," and depth == 0 for key, depth in zip(statement.keys, statement.depths, strict=True)):
        raise Refused("add-columns", near=",")
    action, what = statement.key(at), statement.key(at + 1)
    if action == "APPEND":
        return _append(statement, table, at)
    translate(statement, 2)
    if action == "ALTER":
        return _alter(statement, table, at)
    if action == "ADD" and (what in CONSTRAINTS):
        constraint = table_constraint(statement, name, at + 1)
        checks = [f"SELECT rs.refuse_nullable({literal(table)}, {literal(json.dumps(constraint.columns))})"]
        return Plan(script=(*(checks if constraint.letter == "p" else []), constraint.add(table)), tag="ALTER TABLE")
    if action == "ADD":
        return _add_column(statement, name, at + 1 + (what == "COLUMN"))
    if (action, what) in {
        ("RENAME", "TO"),
        ("RENAME", "COLUMN"),
        ("OWNER", "TO"),
        ("DROP", "COLUMN"),
        ("DROP", "CONSTRAINT"),
    }:
        return Plan(sql=statement.render())
    if action in {"DROP", "RENAME"} and what not in {"IF", "CONSTRAINT"}:
        return Plan(sql=statement.render())
    raise Refused("alter-column", near=statement.near(at + 1))


def _append(statement: Statement, table: str, at: int) -> Plan:
    source, after = statement.qualified(at + 2)
    if statement.key(at + 1) != "FROM" or not source:
        raise Refused("unknown-statement", near=statement.near(at + 1))
    option = statement.key(after)
    call = f"SELECT rs.append({literal(table)}, {literal(rendered_name(source))}, {literal(option)})"
    return Plan(script=(call,), tag="ALTER TABLE APPEND", alone="append-in-transaction")


def _alter(statement: Statement, table: str, at: int) -> Plan:
    if statement.key(at + 1) == "COLUMN":
        return _alter_column(statement, table, at + 2)
    opening = statement.find("(", start=at)
    listed = statement.split(opening + 1, statement.closing[opening]) if opening >= 0 else []
    changes: dict[str, Any] = {"encodings": {}}
    match statement.keys[at + 1 : at + 3]:
        case ["DISTSTYLE", "KEY"]:
            changes |= {"diststyle": "KEY", "distkey": statement.identifier(at + 4)}
        case ["DISTSTYLE", style]:
            changes |= {"diststyle": style, "distkey": ""}
        case ["DISTKEY", _]:
            changes |= {"diststyle": "KEY", "distkey": statement.identifier(at + 2)}
        case ["SORTKEY" | "COMPOUND", _]:
            changes["sortkeys"] = [statement.identifier(first) for first, _ in listed]
        case ["ENCODE", "AUTO"]:
            pass
        case _:
            raise Refused("alter-column", near=statement.near(at + 1))
    return _recorded(table, changes)


def _alter_column(statement: Statement, table: str, at: int) -> Plan:
    name = statement.identifier(at)
    if statement.key(at + 1) == "ENCODE":
        return _recorded(table, {"encodings": {name: statement.key(at + 2).lower()}})
    if statement.key(at + 1) != "TYPE":
        raise Refused("alter-column", near=statement.near(at + 1))
    if not statement.starts("CHARACTER", "VARYING", at=at + 2) and statement.key(at + 2) not in {"VARCHAR", "NVARCHAR"}:
        raise Refused("alter-type", near=name)
    limit = f"SELECT rs.limit_bytes({literal(table)})"
    return Plan(script=(statement.render(), limit), tag="ALTER TABLE", alone="alter-type-in-transaction")


def _recorded(table: str, changes: dict[str, Any]) -> Plan:
    record = f"SELECT rs.alter_record({literal(table)}, {literal(json.dumps(changes))})"
    return Plan(script=(record,), tag="ALTER TABLE")


def _add_column(statement: Statement, name: tuple[str, ...], start: int) -> Plan:
    attributes, constraints = Attributes(), []
    keys = statement.keys[start:]
    if "NOT" in keys and "DEFAULT" not in keys:
        raise Refused("not-null-without-default")
    if {"IDENTITY", "PRIMARY", "DISTKEY", "SORTKEY"} & set(keys):
        raise Refused("alter-column", near=statement.near(start + 2))
    column(statement, name, start, len(statement), attributes, constraints)
    changes = literal(json.dumps({"encodings": attributes.encodings}))
    table = rendered_name(name)
    script = (statement.render(), f"SELECT rs.alter_record({literal(table)}, {changes})")
    return Plan(script=(*script, *(each.add(table) for each in constraints)), tag="ALTER TABLE")
