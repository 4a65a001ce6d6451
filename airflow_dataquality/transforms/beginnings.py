"""The texts that a new transform of each kind begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from airflow_dataquality.dialects.names import Names

_QUOTING = Names()

NEXT: Mapping[str, str] = {
    "create_table_as": "Write the SELECT in {name}.sql, and what its columns are in {name}.yaml",
    "upsert": "Write the SELECT in {name}.sql, and the columns by which a row is known in {name}.yaml",
    "incremental_summary": "Write the facts of one day in {name}.sql, and the measures in {name}.yaml",
    "sql": "Write the statements in {name}.sql",
    "python": "Write the function in {name}.py, and its columns with their types in {name}.yaml",
    "load": "Say in {name}.yaml which files are loaded, and their columns with their types",
    "no_op": "Say in {name}.yaml what the table holds: columns with types let tests make it",
}


@dataclass(frozen=True)
class Wanted:
    """What is to begin.

    :param name: without its pipeline
    :param columns: of the inputs that are known
    """

    kind: str
    pipeline: str
    name: str
    table: str
    inputs: tuple[str, ...] = ()
    owner: str | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        """The name, as Python has them."""
        return self.name.replace("-", "_")

    @property
    def dated(self) -> bool:
        """Whether there is a day in what it reads."""
        return not self.inputs or "ds" in self.columns.get(self.inputs[0], ())


def has_test(kind: str) -> bool:
    """Whether a test can be begun: what others produce, and what files hold, is theirs."""
    return kind not in ("load", "no_op")


def files(wanted: Wanted) -> dict[str, str]:
    """Name → text, relative to the pipeline's folder."""
    made = {f"{wanted.name}.yaml": _header(wanted)}
    if wanted.kind in _SQL:
        made[f"{wanted.name}.sql"] = _SQL[wanted.kind](wanted)
    if wanted.kind == "python":
        made[f"{wanted.name}.py"] = _python(wanted)
    if wanted.kind == "load":
        made[f"data/{wanted.name}.csv"] = "id,name\n1,one\n"
    if has_test(wanted.kind):
        made[f"tests/test_{wanted.identifier}.py"] = _test(wanted)
    return made


def settings(pipeline: str) -> str:
    """``pipeline.yaml`` of a pipeline that begins."""
    return f'description: What {pipeline} is for.\nschedule: "@daily"\n'


def _first(wanted: Wanted) -> str:
    """The column that rows are known by."""
    known = wanted.columns.get(wanted.inputs[0], ()) if wanted.inputs else ("id",)
    return next((each for each in known if each != "ds"), "id")


def _selects(wanted: Wanted) -> bool:
    """Whether the columns that come out are known."""
    return not wanted.inputs or wanted.inputs[0] in wanted.columns


def _checked(wanted: Wanted) -> str | None:
    """A column of what is made; None if none is known, or others make it."""
    if wanted.kind in ("python", "load"):
        return "id"
    if wanted.kind == "sql":
        return _counted(wanted)
    return _first(wanted) if wanted.kind != "no_op" and _selects(wanted) else None


def _counted(wanted: Wanted) -> str:
    return "rows_read" if wanted.inputs else "id"


def _header(wanted: Wanted) -> str:
    lines = [f"kind: {wanted.kind}", f"description: What a row of {wanted.table} is."]
    if wanted.owner:
        lines.append(f"owner: {_yaml(wanted.owner)}")
    if wanted.inputs:
        lines.append(f"inputs: [{', '.join(map(_yaml, wanted.inputs))}]")
    lines += ["output:", f"  table: {_yaml(wanted.table)}", *_OUTPUT[wanted.kind](wanted)]
    if wanted.kind in _MORE:
        lines += _MORE[wanted.kind](wanted)
    checked = _checked(wanted)
    if checked is not None:
        lines += ["checks:", f"  - {{check: null_count, column: {_yaml(checked)}, condition: {{equal_to: 0}}}}"]
    return "\n".join(lines) + "\n"


def _yaml(text: str) -> str:
    """A text in YAML: quoted, unless it is a plain word.

    >>> _yaml("network-planning"), _yaml("Sales: EU"), _yaml("yes")
    ('network-planning', '"Sales: EU"', '"yes"')
    """
    import json

    import yaml

    plain = text[:1].isalpha() and text.replace(".", "").replace("_", "").replace("-", "").isalnum()
    return text if plain and yaml.safe_load(text) == text else json.dumps(text)


def _described(wanted: Wanted) -> list[str]:
    return ["  columns:", f"    {_yaml(_first(wanted))}: what it is"] if _selects(wanted) else []


def _typed(_: Wanted) -> list[str]:
    return ["  columns:", "    id: {type: integer, description: what it is}",
            "    name: {type: text, description: what it is}"]  # fmt: skip


def _partitioned(wanted: Wanted) -> list[str]:
    return ["  partition: ds", *_described(wanted)] if wanted.dated else _described(wanted)


_OUTPUT: Mapping[str, Callable[[Wanted], list[str]]] = {
    "create_table_as": _partitioned,
    "upsert": lambda wanted: [f"  primary_key: [{_yaml(_first(wanted))}]", *_described(wanted)],
    "incremental_summary": lambda _: ["  partition: ds"],
    "sql": lambda _: ["  partition: ds"],
    "python": _typed,
    "load": _typed,
    "no_op": _typed,
}
_MORE: Mapping[str, Callable[[Wanted], list[str]]] = {
    "incremental_summary": lambda wanted: [f"keys: [{_yaml(_first(wanted))}]", "measures:", "  times: count"],
    "load": lambda wanted: [f"files: data/{wanted.name}.csv"],
}


def _select(wanted: Wanted) -> str:
    """A SELECT of all columns that are known, by name."""
    if not wanted.inputs:
        return "SELECT\n    CAST('{{ ds }}' AS date) AS ds,\n    1 AS id"
    first, *others = wanted.inputs
    known = wanted.columns.get(first)
    of, named = ("t1.", f"{first} AS t1") if others else ("", first)
    listed = ",\n".join(f"    {of}{_column(each)}" for each in known) if known else f"    {of}*"
    lines = ["SELECT", listed, f"FROM {named}"]
    for number, other in enumerate(others, 2):
        shared = [each for each in known or () if each in wanted.columns.get(other, ())]
        on = " AND ".join(f"t{number}.{_column(each)} = t1.{_column(each)}" for each in shared)
        lines.append(f"JOIN {other} AS t{number} ON {on or 'TRUE  -- say which rows belong together'}")
    if wanted.dated:
        lines.append(f"WHERE {of}ds = '{{{{ ds }}}}'")
    return "\n".join(lines)


def _column(name: str) -> str:
    plain = name.isidentifier() and name == name.lower()
    return name if plain else _QUOTING.identifier(name)


def _statements(wanted: Wanted) -> str:
    """The rows of a day, replaced."""
    source = "SELECT CAST('{{ ds }}' AS date), 1"
    if wanted.inputs:
        tables = ", ".join(f"{name} AS t{number}" for number, name in enumerate(wanted.inputs, 1))
        source = f"SELECT CAST('{{{{ ds }}}}' AS date), COUNT(*) FROM {tables}"
    column = _counted(wanted)
    return (
        f"-- Statements of one transaction: they happen together, or not at all.\n"
        f"CREATE TABLE IF NOT EXISTS {wanted.table} (ds date, {column} bigint);\n"
        f"DELETE FROM {wanted.table} WHERE ds = '{{{{ ds }}}}';\n"
        f"INSERT INTO {wanted.table} (ds, {column})\n{source};\n"
    )


_SQL: Mapping[str, Callable[[Wanted], str]] = {
    "create_table_as": lambda wanted: _select(wanted) + "\n",
    "upsert": lambda wanted: _select(wanted) + "\n",
    "incremental_summary": lambda wanted: "-- The facts of one day.\n" + _select(wanted) + "\n",
    "sql": _statements,
}


def _python(wanted: Wanted) -> str:
    if not wanted.inputs:
        body = 'yield {"id": 1, "name": "one"}'
    else:
        body = (
            f'for number, row in enumerate(inputs["{wanted.inputs[0]}"].rows(), 1):\n'
            '        yield {"id": number, "name": str(row)}'
        )
    return (
        f'"""{wanted.table}: what a row of it is."""\n\n\n'
        "def run(inputs, output):\n"
        '    """Yield the rows; they are checked before anybody sees them.\n\n'
        "    :param inputs: of each input a table: inputs[name].rows()\n"
        "    :param output: the table that is made, and its partition\n"
        f'    """\n    {body}\n'
    )


def _test(wanted: Wanted) -> str:
    name = f"{wanted.pipeline}.{wanted.name}"
    lines = [f'"""{name}: what must come out of what goes in."""', "", "",
             f"def test_{wanted.identifier}(transform, rows):", f'    t = transform("{name}")']  # fmt: skip
    for table in wanted.inputs:
        columns, values = _given(wanted, table)
        lines.append(f'    t.given("{table}", rows("{columns}", "{values}"))')
    return "\n".join([*lines, '    assert t.run(ds="2013-01-01").count == 1']) + "\n"


def _given(wanted: Wanted, table: str) -> tuple[str, str]:
    """Columns of an input, by which its rows are found, and their values; the others get defaults."""
    known = wanted.columns.get(table, ("id",))
    others = {each for name in wanted.inputs if name != table for each in wanted.columns.get(name, ())}
    names = [each for each in known if each == "ds" or each in others] or [known[0]]
    return ", ".join(names), ", ".join("2013-01-01" if each == "ds" else "1" for each in names)
