"""What SQL reads and yields, as far as its text tells: tables, the columns of each, and the columns that come out."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_dataquality.dialects.lexer import single_select
from airflow_dataquality.dialects.scripts import refuse_script
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.transforms.statements import Touched, folded, named, touch

DIALECTS = ("postgres", "redshift")
_SYSTEM = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})
"""Columns that every table of Postgres has: https://www.postgresql.org/docs/current/ddl-system-columns.html."""
UNTOLD = "if the database takes it as it is, write enforce_inputs: false, and see to the inputs yourself"
"""How SQL is run that cannot be read."""


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
    if script:
        refuse_script(sql, dialect)
    else:
        sql = single_select(sql)
    trees = _parsed(sql, dialect)
    try:
        return _of_script(trees, dialect) if script else _of_select(trees[0], dialect)
    except DataQualityError:
        raise
    except Exception as error:  # of one text, which no other pipeline is to suffer from
        raise SpecError(f"no SQL that can be read: {_first(error)}", hint=UNTOLD) from error


def reads(sql: str, dialect: str = "postgres") -> tuple[str, ...]:
    """The tables that a SELECT reads, in its order; templates in it are filled with stand-ins.

    :param dialect: ``postgres`` or ``redshift``
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
            hint="pip install 'airflow-provider-dataquality[transforms]'",
        ) from None
    return library


def _parsed(sql: str, dialect: str) -> list[Any]:
    library = sqlglot()
    told = logging.getLogger("sqlglot")
    level = told.level
    told.setLevel(logging.CRITICAL)  # what it cannot read is told of here
    try:
        return [tree for tree in library.parse(sql, read=dialect) if tree is not None]
    except RecursionError as error:
        raise SpecError("no SQL that can be read: it is nested too deeply", hint=UNTOLD) from error
    except library.errors.SqlglotError as error:
        problem = (getattr(error, "errors", None) or [{}])[0]
        near = " ".join(str(problem.get(part) or "") for part in ("start_context", "highlight")).split()
        what = problem.get("description") or str(error)
        shown = f", near {' '.join(near[-6:])!r}" if near else ""
        message = f"no SQL that can be read: {what.rstrip('.')}{shown}"
        raise SpecError(message, hint=f"mend the SQL there; {UNTOLD}") from error
    finally:
        told.setLevel(level)


def _first(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _of_script(trees: Sequence[Any], dialect: str) -> Facts:
    touched = Touched()
    uses: list[Use] = []
    for tree in trees:
        touch(tree, dialect, touched)
        uses += [use for query in _queries(tree) for use in _uses(query, dialect)]
    if touched.opaque:
        raise SpecError(f"what {touched.opaque[0].upper()} reads and writes cannot be told", hint=UNTOLD)
    return Facts(tuple(touched.reads), tuple(touched.writes), None, tuple(dict.fromkeys(uses)))


def _of_select(tree: Any, dialect: str) -> Facts:
    touched = touch(tree, dialect, Touched())
    if touched.writes or touched.made:
        name = [*touched.writes, *touched.made][0]
        raise SpecError(f"the SELECT writes {name}", hint="write a SELECT alone; statements are of kind: sql")
    scopes = sqlglot().optimizer.scope.traverse_scope(tree) if isinstance(tree, sqlglot().exp.Query) else []
    columns = _columns_of(scopes[-1], dialect) if scopes else None
    uses = [use for scope in scopes for use in _used(scope, dialect)]
    return Facts(tuple(touched.reads), (), columns, tuple(dict.fromkeys(uses)))


def _queries(tree: Any) -> list[Any]:
    """The outermost queries of a statement."""
    exp = sqlglot().exp
    return [tree] if isinstance(tree, exp.Query) else [q for q in tree.find_all(exp.Query) if not _inside(q, tree)]


def _uses(query: Any, dialect: str) -> Iterator[Use]:
    for scope in sqlglot().optimizer.scope.traverse_scope(query):
        yield from _used(scope, dialect)


def _inside(query: Any, tree: Any) -> bool:
    exp = sqlglot().exp
    parent = query.parent
    while parent is not None and parent is not tree:
        if isinstance(parent, exp.Query):
            return True
        parent = parent.parent
    return False


def _used(scope: Any, dialect: str) -> Iterator[Use]:
    exp = sqlglot().exp
    sources = {name: source for name, (_, source) in scope.selected_sources.items()}
    plain = {
        name: named(s, dialect)
        for name, s in sources.items()
        if isinstance(s, exp.Table) and s.name and not isinstance(s.this, exp.Func)
    }
    outer = scope.parent is not None and (scope.is_subquery or scope.is_udtf or scope.is_correlated_subquery)
    own = {each.alias for each in getattr(scope.expression, "selects", ()) if isinstance(each, exp.Alias)}
    for column in scope.columns:
        name = folded(column.this, dialect)
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
        found.append(folded(identifier, dialect) if isinstance(identifier, exp.Identifier) else name.lower())
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
        return [f"{named(source, dialect)}.*"] if source.name and not isinstance(source.this, exp.Func) else None
    return _columns_of(source, dialect)


def words_of(message: str) -> str:
    """What a parser found odd, so that its place can be looked for."""
    found = re.search(r"near '(?:.* )?(\S+)'$|^(\w+)\b.* among the statements|^what (\w+) reads|writes (\S+)$", message)
    return next((word for word in found.groups() if word), "") if found else ""
