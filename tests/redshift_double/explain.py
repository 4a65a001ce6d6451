"""Postgres' plans in Redshift's look: a likeness, not Redshift's planner.

https://docs.aws.amazon.com/redshift/latest/dg/t_explain_plan_example.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from redshift_double.lexer import literal
from redshift_double.wire import Backend, Frame, row, row_values

_NODE = re.compile(r"(?P<before> *(?:-> +)?)(?P<node>[A-Z].*\(cost=.*)")
_SCAN = re.compile(r'Seq Scan on "?(?P<table>[^\s"]+)"?(?: "?(?P<alias>[^\s"(]+)"?)?  \(')
_JOIN = re.compile(
    r"(?:Hash|Merge|Nested Loop)(?: (?:Left|Right|Full|Semi|Anti|Right Semi|Right Anti))?(?: Join)?(?=  \()"
)
_EQUAL = re.compile(r'"?(\w+)"?\."?(\w+)"? = "?(\w+)"?\."?(\w+)"?')


@dataclass(frozen=True)
class Distribution:
    """Where a table's rows lie."""

    style: str
    key: str | None


async def in_redshifts_look(frames: list[Frame], backend: Backend) -> list[Frame]:
    """Give the nodes of a plan the prefix XN, and its joins the kind of redistribution."""
    lines = [row_values(body)[0] or "" for kind, body in frames if kind == b"D"]
    tables = {found["alias"] or found["table"]: found["table"] for found in map(_SCAN.search, lines) if found}
    stored = await _distributions(set(tables.values()), backend) if tables else {}
    by_alias = {alias: stored[table] for alias, table in tables.items() if table in stored}
    changed = iter([_line(lines, index, by_alias) for index in range(len(lines))])
    return [(kind, row(next(changed)) if kind == b"D" else body) for kind, body in frames]


async def _distributions(tables: set[str], backend: Backend) -> dict[str, Distribution]:
    names = ", ".join(literal(table) for table in sorted(tables))
    rows, _ = await backend.query(
        "SELECT relname, rs.recorded(oid) ->> 'diststyle', rs.name_of(oid, (rs.recorded(oid) ->> 'distkey')::int)"
        f" FROM pg_catalog.pg_class WHERE relkind = 'r' AND relname IN ({names})"
    )
    return {str(name): Distribution(style or "AUTO", key) for name, style, key in rows}


def _line(lines: list[str], index: int, tables: dict[str, Distribution]) -> str:
    found = _NODE.fullmatch(lines[index])
    if found is None:
        return lines[index]
    node = found["node"]
    join = _JOIN.match(node)
    if join and not node.startswith("Hash  "):
        below = _below(lines, index)
        moved = "DS_DIST_NONE" if _together(below, tables) else "DS_BCAST_INNER"
        node = f"{join.group()} {moved}{node[join.end() :]}"
    return f"{found['before']}XN {node}"


def _below(lines: list[str], index: int) -> list[str]:
    """Lines of a node's own conditions and of what is below it."""
    depth = len(lines[index]) - len(lines[index].lstrip(" "))
    below = []
    for line in lines[index + 1 :]:
        if len(line) - len(line.lstrip(" ")) <= depth:
            break
        below.append(line)
    return below


def _together(below: list[str], tables: dict[str, Distribution]) -> bool:
    """Whether rows that join lie together: a table is everywhere, or both are distributed by what joins them."""
    scans = [found["alias"] or found["table"] for found in map(_SCAN.search, below) if found]
    if any(tables[scan].style == "ALL" for scan in scans if scan in tables):
        return True
    for one, column, other, other_column in _EQUAL.findall(next((line for line in below if " Cond: " in line), "")):
        keys = (tables.get(one), tables.get(other))
        if keys[0] and keys[1] and (keys[0].key, keys[1].key) == (column, other_column):
            return True
    return False
