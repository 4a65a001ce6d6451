"""SQL whose tables are moved into other schemas, and is as it was written otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from airflow_dataquality.dialects.lexer import tokens
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.model import Table

_OF_THE_DATABASE = ("information_schema", "pg_catalog")
Place = tuple[int, int, str]


def moved(sql: str, known: Iterable[Table], schema_of: Callable[[str], str], dialect: str = "postgres") -> str:
    """The SQL, with another schema for each table that has one.

    :param known: tables that it reads or writes: all that are looked for where the SQL cannot be parsed, as a template
    :param schema_of: the new schema of an old one, as it is written in SQL
    """
    places = _parsed(sql, dialect)
    if places is None:
        places = list(_looked_for(sql, {(each.schema, each.name) for each in known}))
    for start, end, schema in sorted(places, reverse=True):
        sql = sql[:start] + schema_of(schema) + sql[end:]
    return sql


def _parsed(sql: str, dialect: str) -> list[Place] | None:
    """Where schemas stand, as the parser has it; None if it does not tell."""
    if "{{" in sql or "{%" in sql:
        return None
    from airflow_dataquality.transforms.lineage import sqlglot

    try:
        library = sqlglot()
    except DataQualityError:
        return None
    exp = library.exp
    try:
        trees = [tree for tree in library.parse(sql, read=dialect) if tree is not None]
    except library.errors.SqlglotError:
        return None
    if any(tree.find(exp.Command) for tree in trees):
        return None
    found: set[Place] = set()
    for tree in trees:
        for node in tree.find_all(exp.Table, exp.Column):
            schema = node.args.get("db")
            if schema is None or schema.name.lower() in _OF_THE_DATABASE:
                continue
            start, end = schema.meta.get("start"), schema.meta.get("end")
            written = sql[start : end + 1] if start is not None and end is not None else ""
            if bare(written) != (schema.name if schema.args.get("quoted") else schema.name.lower()):
                return None
            found.add((start, end + 1, bare(written)))
    return sorted(found)


def _looked_for(sql: str, known: set[tuple[str | None, str]]) -> Iterator[Place]:
    """The places at which a known schema and table stand, with a dot between."""
    words = [(match.start(), match.end(), match.group()) for match in tokens(sql)]
    for number in range(len(words) - 2):
        (start, end, schema), (_, _, dot), (_, _, name) = words[number : number + 3]
        behind_dot = number > 0 and words[number - 1][2] == "."
        if dot == "." and not behind_dot and (bare(schema), bare(name)) in known:
            yield start, end, bare(schema)


def bare(name: str) -> str:
    """A name as the database folds it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
