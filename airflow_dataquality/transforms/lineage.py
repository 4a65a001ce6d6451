"""What SQL reads and yields, as far as its text tells: tables, the columns of each, and the columns that come out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_dataquality.dialects.lexer import single_select
from airflow_dataquality.errors import DataQualityError, SpecError

DIALECTS = ("postgres", "redshift")
_SYSTEM = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})
"""Columns that every table of Postgres has: https://www.postgresql.org/docs/current/ddl-system-columns.html."""


@dataclass(frozen=True)
class Use:
    """A column that is read.

    :param tables: of which one has it
    """

    column: str
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What SQL reads, writes and yields. Names are as the database folds them.

    :param tables: that it reads, without those that it makes itself
    :param writes: tables that it changes, without temporary ones
    :param columns: that come out, in order; ``*`` and ``schema.table.*`` stand for all of one table; None if it
        cannot be told
    :param uses: columns that are read, as far as it can be told of which table
    """

    tables: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    uses: tuple[Use, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The facts as JSON."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Facts:
        """Those that :meth:`as_json` wrote."""
        columns = found["columns"]
        uses = tuple(Use(each["column"], tuple(each["tables"])) for each in found["uses"])
        return cls(tuple(found["tables"]), tuple(found["writes"]), None if columns is None else tuple(columns), uses)


def facts_of(sql: str, dialect: str = "postgres", *, script: bool = False) -> Facts:
    """Read SQL without templates.

    :param script: statements, and not one SELECT
    :raises SpecError: if it is no SQL of the dialect
    :raises DataQualityError: if what reads it is not installed

    >>> found = facts_of("WITH f AS (SELECT * FROM raw.flights) SELECT f.carrier, count(*) AS n FROM f GROUP BY 1")
    >>> found.tables, found.columns
    (('raw.flights',), ('carrier', 'n'))
    """
    trees = _parsed(sql, dialect) if script else _parsed(single_select(sql), dialect)
    if script:
        return _of_script(trees, dialect)
    tables, uses, root = _read(trees[0], dialect)
    columns = None if root is None else _columns_of(root, dialect)
    return Facts(tuple(tables), (), columns, tuple(dict.fromkeys(uses)))


def reads(sql: str, dialect: str = "postgres") -> tuple[str, ...]:
    """The tables that a SELECT reads, in its order; templates in it are filled with stand-ins.

    :raises SpecError: if it cannot be read
    :raises DataQualityError: if what reads it is not installed

    >>> reads("SELECT * FROM raw.flights JOIN Raw.Carriers USING (carrier) WHERE ds = '{{ ds }}'")
    ('raw.flights', 'raw.carriers')
    """
    from airflow_dataquality.transforms.rendering import stand_in

    return facts_of(stand_in(sql).sql, dialect).tables


def sqlglot() -> Any:
    """The library, imported when it is needed: it takes a quarter of a second.

    :raises DataQualityError: if it is not installed
    """
    try:
        import sqlglot as library
        from sqlglot import optimizer  # noqa: F401 - a module that is used as an attribute
    except ImportError:
        raise DataQualityError(
            "the inputs of transforms are held against their SQL by sqlglot, which is not installed",
            hint="pip install 'airflow-provider-dataquality[sqlglot]'",
        ) from None
    return library


def _parsed(sql: str, dialect: str) -> list[Any]:
    library = sqlglot()
    try:
        return [tree for tree in library.parse(sql, read=dialect) if tree is not None]
    except library.errors.SqlglotError as error:
        problem = (getattr(error, "errors", None) or [{}])[0]
        near = " ".join(str(problem.get(part) or "") for part in ("start_context", "highlight")).split()
        what = problem.get("description") or str(error)
        shown = f", near {' '.join(near[-6:])!r}" if near else ""
        raise SpecError(f"no SQL that can be read: {what.rstrip('.')}{shown}", hint="mend the SQL there") from error


def _of_script(trees: Sequence[Any], dialect: str) -> Facts:
    exp = sqlglot().exp
    tables: dict[str, None] = {}
    writes: dict[str, None] = {}
    made: set[str] = set()
    uses: list[Use] = []
    for tree in trees:
        target = _target(tree)
        if target is not None:
            name = _named(target, dialect)
            if isinstance(tree, exp.Create | exp.Drop) and (_temporary(tree) or "." not in name):
                made.add(name)
            elif name not in made:
                writes[name] = None
        found, used, _ = _read(tree, dialect, skip=target)
        tables |= {name: None for name in found if name not in made}
        uses += used
    return Facts(tuple(tables), tuple(writes), None, tuple(dict.fromkeys(uses)))


def _temporary(tree: Any) -> bool:
    exp = sqlglot().exp
    properties = tree.args.get("properties")
    return bool(properties and properties.find(exp.TemporaryProperty)) or bool(tree.args.get("temporary"))


def _target(tree: Any) -> Any:
    """The table that a statement changes."""
    exp = sqlglot().exp
    kinds = tuple(getattr(exp, name) for name in ("Insert", "Update", "Delete", "Merge", "Create", "Drop", "Alter",
                                                  "TruncateTable") if hasattr(exp, name))  # fmt: skip
    if not isinstance(tree, kinds):
        return None
    found = tree.expressions[0] if isinstance(tree, exp.TruncateTable) and tree.expressions else tree.this
    if isinstance(found, exp.Schema):
        found = found.this
    if isinstance(found, exp.Index):
        found = found.args.get("table")
    return found if isinstance(found, exp.Table) else None


def _read(tree: Any, dialect: str, skip: Any = None) -> tuple[list[str], list[Use], Any]:
    """Tables and columns that a statement reads; and its outermost scope, if it is a query."""
    library = sqlglot()
    exp, traverse = library.exp, library.optimizer.scope.traverse_scope
    known = {id(table) for table in tree.find_all(exp.Table)}
    tables: dict[str, None] = {}
    uses: list[Use] = []
    outermost = None
    roots = [tree] if isinstance(tree, exp.Query) else [q for q in tree.find_all(exp.Query) if not _inside(q, tree)]
    aliases = {cte.alias for cte in tree.find_all(exp.CTE)}
    for root in roots:
        for scope in traverse(root):
            outermost = scope
            for source in scope.sources.values():
                if isinstance(source, exp.Table) and not isinstance(source.this, exp.Func) and source is not skip:
                    tables[_named(source, dialect)] = None
                    known.discard(id(source))
            uses += _used(scope, dialect)
    # What no scope holds: the second table of an UPDATE … FROM, a DELETE … USING, a MERGE … USING.
    for table in tree.find_all(exp.Table) if not isinstance(tree, exp.Query) else ():
        plain = not isinstance(table.this, exp.Func) and (table.db or table.name not in aliases)
        if id(table) in known and table is not skip and plain and not _part_of(table, skip):
            tables[_named(table, dialect)] = None
    query = outermost if isinstance(tree, exp.Query) else None
    return [name for name in tables if name not in aliases], uses, query


def _inside(query: Any, tree: Any) -> bool:
    exp = sqlglot().exp
    parent = query.parent
    while parent is not None and parent is not tree:
        if isinstance(parent, exp.Query):
            return True
        parent = parent.parent
    return False


def _part_of(table: Any, target: Any) -> bool:
    """Whether a table is the target, named again: ``DELETE FROM t`` parses to it twice in some statements."""
    return target is not None and table.parent is target.parent and table.sql() == target.sql()


def _used(scope: Any, dialect: str) -> Iterator[Use]:
    exp = sqlglot().exp
    sources = {name: source for name, (_, source) in scope.selected_sources.items()}
    plain = {name: _named(s, dialect) for name, s in sources.items() if isinstance(s, exp.Table)}
    outer = scope.parent is not None and (scope.is_subquery or scope.is_udtf or scope.is_correlated_subquery)
    own = {each.alias for each in getattr(scope.expression, "selects", ()) if isinstance(each, exp.Alias)}
    for column in scope.columns:
        name = _folded(column.this, dialect)
        if name in _SYSTEM or name == "*" or isinstance(column.this, exp.Star):
            continue
        if column.parent_select is not scope.expression:
            continue  # of a query in this one, which is looked at by itself
        if column.table:
            if column.table in plain:
                yield Use(name, (plain[column.table],))
        elif plain and len(plain) == len(sources) and not outer and name not in own and name not in sources:
            yield Use(name, tuple(sorted(plain.values())))


def _columns_of(scope: Any, dialect: str) -> tuple[str, ...] | None:
    exp = sqlglot().exp
    if isinstance(scope.expression, exp.SetOperation):
        # The second is their name in earlier releases.
        sides = getattr(scope, "set_operation_scopes", None) or getattr(scope, "union_scopes", None)
        return _columns_of(sides[0], dialect) if sides else None
    if not isinstance(scope.expression, exp.Select):
        return None
    found: list[str] = []
    for projection in scope.expression.selects:
        star = isinstance(projection, exp.Star)
        if star or (isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star)):
            of = list(scope.selected_sources) if star else [projection.table]
            if star and (projection.args.get("except_") or _using(scope)):
                return None
            for alias in of:
                columns = _of_source(scope, alias, dialect)
                if columns is None:
                    return None
                found += columns
            continue
        name = projection.output_name
        if not name:
            return None
        identifier = projection.args.get("alias") or (projection.this if isinstance(projection, exp.Column) else None)
        found.append(_folded(identifier, dialect) if isinstance(identifier, exp.Identifier) else name.lower())
    return tuple(found)


def _using(scope: Any) -> bool:
    """Whether columns of several tables are merged into one, which ``*`` then has once."""
    return any(join.args.get("using") or join.method == "NATURAL" for join in scope.expression.args.get("joins") or ())


def _of_source(scope: Any, alias: str, dialect: str) -> Sequence[str] | None:
    exp = sqlglot().exp
    pair = scope.selected_sources.get(alias)
    if pair is None:
        return None
    source = pair[1]
    if isinstance(source, exp.Table):
        return [f"{_named(source, dialect)}.*"] if not isinstance(source.this, exp.Func) else None
    return _columns_of(source, dialect)


def _named(table: Any, dialect: str) -> str:
    """A table's name as :class:`airflow_dataquality.model.Table` prints it."""
    from airflow_dataquality.model import Table

    schema = table.args.get("db")
    return str(Table(_folded(table.this, dialect), _folded(schema, dialect) if schema else None))


def _folded(identifier: Any, dialect: str) -> str:
    name = str(getattr(identifier, "name", identifier))
    quoted = bool(getattr(identifier, "args", {}).get("quoted")) and dialect != "redshift"
    return name if quoted else name.lower()


def words_of(message: str) -> str:
    """What a parser found odd, so that its place can be looked for."""
    near = re.search(r"near '(?:.* )?(\S+)'$", message)
    return near[1] if near else ""
