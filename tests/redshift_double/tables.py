"""CREATE TABLE: what Postgres lacks is recorded, see ``sql/1_recording.sql``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from redshift_double import functions as known
from redshift_double.expressions import refuse_leader_with_user_tables, replace_type, translate
from redshift_double.lexer import Statement, literal, quoted, rendered_name
from redshift_double.plan import Plan, Refused

TEXT_BYTES = "256"
CONSTRAINTS = {"CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN"}
_LETTER = {"PRIMARY": "p", "UNIQUE": "u", "FOREIGN": "f", "REFERENCES": "f"}


@dataclass
class Attributes:
    """Where and how Redshift would store the rows."""

    diststyle: str = ""
    distkey: str = ""
    sortkeys: list[str] = field(default_factory=list)
    encodings: dict[str, str] = field(default_factory=dict)

    def record(self, table: str) -> str:
        """The statement that records them."""
        style = "KEY" if self.distkey else self.diststyle or "AUTO"
        values: dict[str, Any] = {"diststyle": style, "distkey": self.distkey, "sortkeys": self.sortkeys}
        values["encodings"] = self.encodings
        return f"SELECT rs.record({literal(table)}, {literal(json.dumps(values))})"


@dataclass(frozen=True)
class Constraint:
    """A constraint that Redshift records and does not enforce."""

    name: str
    letter: str
    columns: tuple[str, ...]
    parent: str = ""
    parent_columns: tuple[str, ...] = ()

    def add(self, table: str) -> str:
        columns = literal(json.dumps(self.columns))
        parent = literal(json.dumps(self.parent_columns))
        return (
            f"SELECT rs.add_constraint({literal(table)}, {literal(self.name)}, {literal(self.letter)}, {columns},"
            f" {literal(self.parent)}, {parent})"
        )


def create_table(statement: Statement, table_at: int) -> Plan:
    """CREATE [TEMP] TABLE, with columns, LIKE, or AS.

    :param table_at: index of the word TABLE
    """
    at = table_at + 1
    exists = statement.starts("IF", "NOT", "EXISTS", at=at)
    at += 3 * exists
    temporary = statement.tokens[at].text.startswith("#") if at < len(statement) else False
    name, after = statement.qualified(at)
    if not name:
        raise Refused("unknown-statement", near=statement.near(at))
    table = rendered_name(name)
    attributes, constraints, like = Attributes(), [], None
    behind = after
    as_at = _as(statement, after)
    if statement.key(after) == "(" and after in statement.closing:
        behind = statement.closing[after] + 1
    translate(statement, after)
    if behind > after and as_at < 0:
        like = _body(statement, name, after, attributes, constraints)
    _table_attributes(statement, behind, len(statement) if as_at < 0 else as_at, attributes)
    if as_at >= 0:
        if exists:
            raise Refused("ctas-if-not-exists", near="as")
        refuse_leader_with_user_tables(statement)
    for index in range(1, table_at):
        if statement.key(index) == "LOCAL":
            statement.replace(index, index, "")
    if temporary:
        statement.replace(table_at, table_at, "TEMP TABLE")
    statement.replace(at, after - 1, table)
    script = [statement.render()]
    if like:
        script.append(f"SELECT rs.record_like({literal(table)}, {literal(like)})")
    script += [attributes.record(table), *(constraint.add(table) for constraint in constraints)]
    return Plan(script=tuple(script), tag="CREATE TABLE" if as_at < 0 else "SELECT")


def _as(statement: Statement, start: int) -> int:
    """Index of the AS of CREATE TABLE … AS, or -1."""
    return next((i for i in range(start, len(statement)) if statement.key(i) == "AS" and statement.depths[i] == 0), -1)


def _body(
    statement: Statement, table: tuple[str, ...], opening: int, attributes: Attributes, constraints: list[Constraint]
) -> str | None:
    """Columns and constraints between the parentheses; the table of a LIKE."""
    like = None
    end = statement.closing[opening]
    kept = []
    for start, stop in statement.split(opening + 1, end):
        first = statement.key(start)
        if first == "LIKE":
            like = _like(statement, start, stop)
            kept.append((start, stop))
        elif first in CONSTRAINTS:
            constraints.append(table_constraint(statement, table, start))
        elif first in {"CHECK", "EXCLUDE", ")", ""}:
            raise Refused("check", near=statement.near(start))
        else:
            column(statement, table, start, stop, attributes, constraints)
            kept.append((start, stop))
    nullable = {name for each in constraints if each.letter == "p" for name in each.columns}
    texts = [_not_null(statement, start, stop, nullable) for start, stop in kept]
    statement.replace(opening, end, f"({', '.join(texts)})")
    return like


def _not_null(statement: Statement, start: int, stop: int, names: set[str]) -> str:
    text = statement.render(start, stop)
    declared = any(statement.starts("NOT", "NULL", at=index) for index in range(start, stop))
    wanted = statement.key(start) != "LIKE" and statement.identifier(start) in names
    return f"{text} NOT NULL" if wanted and not declared else text


def _like(statement: Statement, start: int, stop: int) -> str:
    parent, after = statement.qualified(start + 1)
    options = statement.keys[after:stop]
    if any(option not in {"INCLUDING", "EXCLUDING", "DEFAULTS"} for option in options):
        raise Refused("like-options", near=statement.near(stop - 1))
    return rendered_name(parent)


def table_constraint(statement: Statement, table: tuple[str, ...], start: int) -> Constraint:
    name = ""
    if statement.key(start) == "CONSTRAINT":
        name, start = statement.identifier(start + 1), start + 2
    letter = _LETTER.get(statement.key(start))
    opening = statement.find("(", start=start)
    if letter is None or opening < 0 or opening not in statement.closing:
        raise Refused("check", near=statement.near(start))
    end = statement.closing[opening]
    columns = tuple(statement.identifier(first) for first, _ in statement.split(opening + 1, end))
    parent, parent_columns, _ = _references(statement, end + 1)
    return Constraint(name or _constraint_name(table, letter, columns), letter, columns, parent, parent_columns)


def _constraint_name(table: tuple[str, ...], letter: str, columns: tuple[str, ...]) -> str:
    return f"{table[-1]}_pkey" if letter == "p" else "_".join((table[-1], *columns, "key" if letter == "u" else "fkey"))


def _references(statement: Statement, at: int) -> tuple[str, tuple[str, ...], int]:
    """Parent table and columns of REFERENCES, and the index of the last token."""
    if statement.key(at) != "REFERENCES":
        return "", (), at - 1
    parent, after = statement.qualified(at + 1)
    if statement.key(after) != "(" or after not in statement.closing:
        return rendered_name(parent), (), after - 1
    end = statement.closing[after]
    return rendered_name(parent), tuple(statement.identifier(a) for a, _ in statement.split(after + 1, end)), end


def column(
    statement: Statement,
    table: tuple[str, ...],
    start: int,
    stop: int,
    attributes: Attributes,
    constraints: list[Constraint],
) -> None:
    """Edit one column's definition, and note what Postgres lacks."""
    name = statement.identifier(start)
    _column_type(statement, table, start, stop)
    at = start + 2
    while at < stop:
        key = statement.key(at)
        last = at
        if key == "ENCODE":
            attributes.encodings[name], last = statement.key(at + 1).lower(), at + 1
        elif key == "DISTKEY":
            attributes.distkey = name
        elif key == "SORTKEY":
            attributes.sortkeys.append(name)
        elif key in {"PRIMARY", "UNIQUE", "REFERENCES"}:
            parent, parent_columns, end = _references(statement, at)
            last = at + 1 if key == "PRIMARY" else max(at, end)
            letter = _LETTER[key]
            constraints.append(
                Constraint(_constraint_name(table, letter, (name,)), letter, (name,), parent, parent_columns)
            )
        elif key == "COLLATE":
            last = at + 1
        elif key == "IDENTITY" and statement.key(at + 1) == "(":
            statement.replace(at, statement.closing[at + 1], _identity(statement, at))
            at = statement.closing[at + 1] + 1
            continue
        else:
            at += 1
            continue
        statement.replace(at, last, "")
        at = last + 1


def _identity(statement: Statement, at: int) -> str:
    end = statement.closing[at + 1]
    seed, step = (
        statement.sql[statement.tokens[a].start : statement.tokens[b - 1].end] for a, b in statement.split(at + 2, end)
    )
    lowest = min(0, int(seed))
    options = f"(START WITH {seed} INCREMENT BY {step} MINVALUE {lowest})"
    return f"IDENTITY {options}" if statement.key(at - 1) == "AS" else f"GENERATED ALWAYS AS IDENTITY {options}"


def _column_type(statement: Statement, table: tuple[str, ...], start: int, stop: int) -> None:
    at = start + 1
    key = statement.key(at)
    if at >= stop or (key not in known.COLUMN_TYPES and key not in known.TYPES_NOT_MODELLED):
        near = f"{table[-1]}.{statement.identifier(start)}"
        raise Refused("column-type", near=near, type=statement.near(at))
    if key in known.TYPES_NOT_MODELLED or key == "INTERVAL":
        raise Refused("type", near=statement.near(at))
    if any(statement.key(index) == "[" for index in range(at, stop)):
        raise Refused("column-type", near=f"{table[-1]}.{statement.identifier(start)}", type=f"{statement.near(at)}[]")
    if key == "TEXT" or (key in {"VARCHAR", "NVARCHAR"} and statement.key(at + 1) != "("):
        statement.replace(at, at, f"varchar({TEXT_BYTES})")
    elif key == "BPCHAR":
        statement.replace(at, at, f"char({TEXT_BYTES})")
    else:
        varying = statement.starts("CHARACTER", "VARYING", at=at) or statement.starts("CHAR", "VARYING", at=at)
        replace_type(statement, at + varying)


def _table_attributes(statement: Statement, start: int, stop: int, attributes: Attributes) -> None:
    at = start
    while at < stop:
        key = statement.key(at)
        last = at + 1
        if key == "DISTSTYLE":
            attributes.diststyle = statement.key(at + 1)
        elif key == "DISTKEY" and statement.key(at + 1) == "(":
            attributes.distkey, last = statement.identifier(at + 2), at + 3
        elif key in {"COMPOUND", "INTERLEAVED"} and statement.key(at + 1) == "SORTKEY":
            last = at
        elif key == "SORTKEY" and statement.key(at + 1) == "(":
            last = statement.closing[at + 1]
            attributes.sortkeys = [statement.identifier(a) for a, _ in statement.split(at + 2, last)]
        elif (key, statement.key(at + 1)) not in {
            ("BACKUP", "YES"),
            ("BACKUP", "NO"),
            ("ENCODE", "AUTO"),
            ("SORTKEY", "AUTO"),
        }:
            raise Refused("table-attribute", near=statement.near(at))
        statement.replace(at, last, "")
        at = last + 1


def column_list(statement: Statement, opening: int) -> str:
    """A quoted list of columns between parentheses."""
    ends = statement.split(opening + 1, statement.closing[opening])
    return ", ".join(quoted(statement.identifier(start)) for start, _ in ends)
