"""Plans of stage → exchange on Postgres: values in, ordered SQL out, no connection.

The order within a plan is the safety: see "Exchange" in ``docs/pages/concepts.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.model import Plan, Statement, Table
from airflow_dataquality.plans.features import Features
from airflow_dataquality.plans.names import shorten


@dataclass(frozen=True)
class Wardrobe:
    """What a stage is dressed in, and under which names until it takes the table's place.

    :param features: of the table that it is to replace
    :param indexes: index of the table → its name on the stage
    :param identities: identity sequence of the table (quoted) → its twin's name on the stage
    :param serials: sequence that moves over (quoted) → its column
    """

    features: Features
    indexes: Mapping[str, str]
    identities: Mapping[str, Table]
    serials: Mapping[str, str]


def wardrobe(stage: Table, features: Features, limit: int) -> Wardrobe:
    """Choose temporary names: relations share one namespace, so a twin cannot have its name yet."""
    suffix = stage.name[-12:]
    sequences = features.of("sequence")
    return Wardrobe(
        features,
        {name: shorten(name, f"__dq_{suffix}_{n}", limit) for n, name in enumerate(features.of("index"))},
        {
            name: Table(f"sequence__dq_{suffix}_{number}", stage.schema)
            for number, (name, detail) in enumerate(sequences.items())
            if detail["identity"]
        },
        {name: detail["column"] for name, detail in sequences.items() if not detail["identity"]},
    )


def dress(sql: Postgres, stage: Table, clothes: Wardrobe, *, columns: Sequence[str]) -> Plan:
    """Give the filled stage what hangs on the table: all but its names, its owner and its grants.

    :param columns: the columns on the stage that the table has too
    """
    features = clothes.features
    known = {name: detail for name, detail in features.columns.items() if name in columns}
    steps: list[str] = []
    for name, column in known.items():
        if column["identity"]:
            steps.append(sql.alter_column(stage, name, "DROP DEFAULT"))  # it filled the stage, if the SELECT did not
        steps += sql.column_settings(stage, name, column)
        if column["comment"] is not None:
            steps.append(sql.comment_column(stage, name, column["comment"]))
    steps += _constraints(sql, stage, features, known)
    steps += _indexes(sql, stage, clothes)
    for sequence, twin in clothes.identities.items():
        detail = features.of("sequence")[sequence]
        always = features.columns[detail["column"]]["identity"] == "a"
        steps.append(sql.add_identity(stage, detail["column"], twin, detail, always))
    steps += sql.table_settings(stage, features.relation)
    return Plan.of([Statement(step, "dress the stage") for step in steps])


def _constraints(sql: Postgres, stage: Table, features: Features, columns: Mapping[str, Any]) -> list[str]:
    """NOT NULL before primary keys, which would make their own; keys and exclusions last, as they index."""
    constraints = features.of("constraint")
    # From Postgres 18 on NOT NULL is a constraint with a name.
    named = any(detail["type"] == "n" for detail in constraints.values())
    steps = [
        sql.alter_column(stage, name, "SET NOT NULL")
        for name, column in columns.items()
        if column["not_null"] and not named
    ]
    for kind in ("n", "c"):
        for name, detail in constraints.items():
            if detail["type"] == kind:
                steps.append(sql.add_constraint(stage, name, detail["definition"]))
    steps += [
        sql.comment_constraint(stage, name, detail["comment"])
        for name, detail in constraints.items()
        if detail["comment"] is not None and not detail["index"]
    ]
    return steps


def _indexes(sql: Postgres, stage: Table, clothes: Wardrobe) -> list[str]:
    constraints = clothes.features.of("constraint")
    steps = []
    for name, index in clothes.features.of("index").items():
        twin = clothes.indexes[name]
        if index["constraint"]:
            constraint = constraints[index["constraint"]]
            steps.append(sql.add_constraint(stage, twin, constraint["definition"]))
            if constraint["comment"] is not None:
                steps.append(sql.comment_constraint(stage, twin, constraint["comment"]))
        else:
            steps.append(sql.create_index(stage, twin, index))
        steps += sql.index_settings(stage, twin, index)
    return steps


def own(sql: Postgres, stage: Table, wanted: Features, have: Features) -> Plan:
    """Give the stage the table's owner and grants, each granted by who granted it.

    :param wanted: features of the table
    :param have: features of the stage now
    """
    owner = wanted.relation["owner"]
    steps = [sql.set_owner(stage, owner)] if have.relation["owner"] != owner else []
    mine, others = _owner_first(wanted)
    _, undone = _owner_first(have)
    if _owner_first(have)[0] != mine:  # the owner revoked some of its own privileges
        steps.append(sql.revoke(stage, {"grantee": owner, "column": None}))
        others = [{"grantor": owner, "grantee": owner, "column": None, "privileges": mine}, *others]
    steps += [sql.revoke(stage, grant) for grant in undone]
    for grant in others:
        steps += sql.grant(stage, grant)
    return Plan.of([Statement(step, "owner and grants") for step in steps])


def _owner_first(features: Features) -> tuple[Any, list[dict[str, Any]]]:
    """The owner's own privileges; and the other grants, the owner's before those that rest on them."""
    owner = features.relation["owner"]
    mine: Any = []
    others = []
    for grant in features.of("grant").values():
        if grant["grantor"] == grant["grantee"] == owner and not grant["column"]:
            mine = grant["privileges"]
        else:
            others.append(grant)
    return mine, sorted(others, key=lambda g: (g["grantor"] != owner, g["grantor"], g["grantee"] or ""))


def take_place(sql: Postgres, stage: Table, table: Table, clothes: Wardrobe, previous: Table | None) -> Plan:
    """Put the dressed stage in the table's place. All of it under the table's ACCESS EXCLUSIVE lock.

    :param previous: the name to keep the old table under; None drops it
    """
    suffix = stage.name[-12:]
    steps = [sql.adopt_sequence(sequence, stage, column) for sequence, column in clothes.serials.items()]
    for sequence, twin in clothes.identities.items():
        steps.append(sql.continue_sequence(sql.table(twin), sequence))
    if previous is None:
        steps.append(sql.drop(table))
    else:
        steps.append(sql.rename_table(table, previous.name))
        steps += [
            sql.rename_index(Table(name, table.schema), shorten(name, f"__dq_p{suffix}_{n}", sql.max_name_bytes))
            for n, name in enumerate(clothes.indexes)
        ]
        steps += [sql.rename_sequence(name, f"sequence__dq_p{suffix}_{n}") for n, name in enumerate(clothes.identities)]
    steps.append(sql.rename_table(stage, table.name))
    steps += [sql.rename_index(Table(twin, table.schema), name) for name, twin in clothes.indexes.items()]
    for sequence, twin in clothes.identities.items():
        steps.append(sql.rename_sequence(sql.table(twin), Table.parse(sequence).name))
    return Plan.of([Statement(step, "take the table's place") for step in steps])


def take_empty_place(sql: Postgres, stage: Table, table: Table, clothes: Wardrobe) -> Plan:
    """Give the dressed stage a name that nothing has yet."""
    steps = [sql.rename_table(stage, table.name)]
    steps += [sql.rename_index(Table(twin, table.schema), name) for name, twin in clothes.indexes.items()]
    return Plan.of([Statement(step, "take the place") for step in steps])


@dataclass(frozen=True)
class Overwrite:
    """What an overwrite replaces, and how.

    :param where: the predicate of the rows that are replaced; None for all
    :param columns: the columns that the stage supplies
    :param overriding: some of them are identities
    :param only: the table has no partitions below it
    :param key: replace by the keyed difference, as foreign keys refer to these columns; empty for all rows
    :param numbered: identities that the SELECT leaves to the database: a row that stays keeps its number
    """

    table: Table
    stage: Table
    where: str | None
    columns: Sequence[str]
    overriding: bool
    only: bool
    key: Sequence[str] = ()
    numbered: Sequence[str] = ()


def overwrite(sql: Postgres, o: Overwrite) -> Plan:
    """Replace rows. Readers see the old ones until COMMIT."""
    if not o.key:
        return Plan.of(
            Statement(sql.delete(o.table, o.where, only=o.only), "delete the old rows"),
            Statement(sql.insert_from(o.table, o.columns, o.stage, overriding=o.overriding), "insert the new", True),
        )
    steps = [Statement(sql.defer_constraints(), "let deferrable keys be checked at COMMIT")]
    steps.append(Statement(sql.delete_lost(o.table, o.stage, o.key, o.where, only=o.only), "delete lost keys"))
    updated = [column for column in o.columns if column not in o.numbered]
    if set(updated) > set(o.key):
        update = sql.update_changed(o.table, o.stage, o.key, updated, o.where, only=o.only)
        steps.append(Statement(update, "update what changed"))
    insert = sql.insert_new(o.table, o.stage, o.key, o.columns, o.where, overriding=o.overriding)
    return Plan.of(steps, Statement(insert, "insert new keys"))
