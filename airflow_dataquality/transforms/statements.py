"""Which tables a statement reads, and which it changes, by the tree of its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from airflow_dataquality.model import Table

_CATALOG = re.compile(r"(information_schema|pg_catalog)\.|(pg|svv|stv|stl|svl|svcs|sys)_[^.]*$")
"""Names that the database has by itself; pg_ is no name of a user's schema."""
_PLAIN_COMMANDS = ("set", "reset", "lock", "show", "notify", "listen", "unlisten", "discard", "explain", "security",
                   "deallocate", "checkpoint", "alter")  # fmt: skip
"""What is told apart by its first word alone, and reads no rows."""


@dataclass
class Touched:
    """Tables by their names as the database folds them, in their order.

    :param made: temporary tables, which are of the script alone
    :param opaque: the first words of statements that do not say what they read: a procedure's, or of a block
    """

    reads: dict[str, None] = field(default_factory=dict)
    writes: dict[str, None] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    opaque: list[str] = field(default_factory=list)


def touch(tree: Any, dialect: str, into: Touched) -> Touched:
    """Add what a statement touches."""
    from sqlglot import exp

    if isinstance(tree, exp.Command):
        word = str(tree.this).lower()
        if word not in _PLAIN_COMMANDS:
            into.opaque.append(word)
        return into
    targets = dict(_targets(tree))
    ignored = {id(inner) for each in tree.find_all(*_kinds(*_NO_ROWS)) for inner in each.find_all(exp.Table)}
    for table in tree.find_all(exp.Table, bfs=False):
        name = named(table, dialect)
        if id(table) in targets:
            if targets[id(table)] or ("." not in name and _creates(table)):
                into.made.add(name)
            elif name not in into.made:
                into.writes[name] = None
        elif not (id(table) in ignored or _same(table, targets) or _no_table(table, dialect) or name in into.made):
            into.reads[name] = None
    return into


_NO_ROWS = ("AlterRename", "Grant", "Revoke", "Analyze", "UserDefinedFunction", "Reference", "PartitionedOfProperty")
_WRITING = ("Insert", "Update", "Delete", "Merge", "Create", "Drop", "Alter", "TruncateTable", "Comment", "Copy",
            "Into")  # fmt: skip


def _kinds(*names: str) -> tuple[Any, ...]:
    """Classes of sqlglot, as far as this release has them."""
    from sqlglot import exp

    return tuple(getattr(exp, name) for name in names if hasattr(exp, name))


def _targets(tree: Any) -> Iterator[tuple[int, bool]]:
    """Of each table that is changed its node, and whether it is temporary."""
    from sqlglot import exp

    for each in tree.find_all(*_kinds(*_WRITING)):
        if isinstance(each, exp.Copy) and not each.args.get("kind"):
            continue  # COPY … TO reads
        parent = each.find(*_kinds("PartitionedOfProperty"))
        found = [parent.this] if parent else [each.this, *(each.args.get("tables") or ()), *(
            each.expressions if isinstance(each, exp.TruncateTable | exp.Drop) else ())]  # fmt: skip
        for target in found:
            inner = target
            while inner is not None and not isinstance(inner, exp.Table):
                inner = inner.args.get("table") if isinstance(inner, exp.Index) else getattr(inner, "this", None)
                if isinstance(inner, str) or isinstance(target, exp.UserDefinedFunction):
                    inner = None
            if inner is not None:
                yield id(inner), _temporary(each)


def _temporary(tree: Any) -> bool:
    from sqlglot import exp

    properties = tree.args.get("properties")
    return bool(properties and properties.find(exp.TemporaryProperty)) or bool(tree.args.get("temporary"))


def _creates(table: Any) -> bool:
    """Whether what changes a table without a schema makes or drops it: then it is the session's own."""
    return table.find_ancestor(*_kinds("Create", "Drop", "Into")) is not None


def _same(table: Any, targets: dict[int, bool]) -> bool:
    """Whether it is the target, named again: some statements parse to it twice."""
    siblings = table.parent.args.values() if table.parent else ()
    return any(id(each) in targets and each.sql() == table.sql() for each in siblings if hasattr(each, "sql"))


def _part(table: Any) -> bool:
    """Whether it is made as a part of another table."""
    from sqlglot import exp

    made = table.find_ancestor(exp.Create)
    return made is not None and made.this is table and made.find(*_kinds("PartitionedOfProperty")) is not None


def _no_table(table: Any, dialect: str) -> bool:
    """Whether it is a function, a catalog, or a subquery that has a name."""
    from sqlglot import exp

    if isinstance(table.this, exp.Func) or not table.name or _part(table):
        return True
    name = named(table, dialect)
    return _CATALOG.match(name) is not None or ("." not in name and _of_a_cte(table, name, dialect))


def _of_a_cte(table: Any, name: str, dialect: str) -> bool:
    """Whether a WITH that is in sight here has the name: itself only if it is recursive, and none that comes later."""
    from sqlglot import exp

    inner, node = table, table.parent
    while node is not None:
        if isinstance(node, exp.With):
            known = node.expressions[: next(n for n, each in enumerate(node.expressions) if each is inner)]
            known = [*known, inner] if node.args.get("recursive") else known
        else:
            clause = node.args.get("with_") or node.args.get("with")
            known = clause.expressions if isinstance(clause, exp.With) and clause is not inner else []
        if any(folded(each.args["alias"].this, dialect) == name for each in known):
            return True
        inner, node = node, node.parent
    return False


def named(table: Any, dialect: str) -> str:
    """A table's name as :class:`airflow_dataquality.model.Table` prints it."""
    schema = table.args.get("db")
    return str(Table(folded(table.this, dialect), folded(schema, dialect) if schema else None))


def folded(identifier: Any, dialect: str) -> str:
    """A name as the database folds it."""
    name = str(getattr(identifier, "name", identifier))
    quoted = bool(getattr(identifier, "args", {}).get("quoted")) and dialect != "redshift"
    return name if quoted else name.lower()
