"""Plans of stage → exchange on Redshift, where they are not Postgres'.

Keys and foreign keys are not enforced there, so that constraints are words only, and have no index.
https://docs.aws.amazon.com/redshift/latest/dg/t_Defining_constraints.html
"""

from __future__ import annotations

from airflow_dataquality.dialects.redshift import Redshift
from airflow_dataquality.model import Plan, Statement, Table
from airflow_dataquality.plans.features import Features, details

CARRIED = ("relation", "column", "constraint", "foreign key", "grant")
"""What a stage made with LIKE has, or can be dressed in."""


def swap_obstacles(features: Features) -> list[str]:
    """What a swap would lose: one line each, none if the table can be swapped."""
    identities = [name for name, column in features.columns.items() if column["identity"]]
    return [
        *(f"identity column {name}, whose counter stays with the old table" for name in identities),
        *(detail["text"] for kind, _, detail in details(features) if kind not in CARRIED),
    ]


def comparable(features: Features) -> Features:
    """The features without what differs between tables that are alike: the order and the spelling of their grants."""
    owner = features.relation["owner"]
    relation = dict(features.relation)
    own = (f"{owner}=", f'"{owner}"=')
    granted = (relation.pop("acl") or "").split("\n")
    relation["acl"] = sorted(entry for entry in granted if entry and not entry.startswith(own))
    rest = features.without("relation")
    return Features.read([*rest.rows, ("relation", "", relation)])


def dress(sql: Redshift, stage: Table, features: Features, have: Features) -> Plan:
    """Give the filled stage the table's owner, grants and comments on columns.

    :param have: features of the stage now
    """
    owner = features.relation["owner"]
    steps = [
        sql.comment_column(stage, name, column["comment"])
        for name, column in features.columns.items()
        if column["comment"] is not None
    ]
    if have.relation["owner"] != owner:
        steps.append(sql.set_owner(stage, owner))
    for grant in features.of("grant").values():
        steps += sql.grant(stage, grant)
    return Plan.of([Statement(step, "dress the stage") for step in steps])


def take_place(sql: Redshift, stage: Table, table: Table, features: Features, retired: Table) -> Plan:
    """Put the dressed stage in the table's place, and the table out of the way.

    It is not dropped here: a reader who waits for the lock has looked its name up already.

    :param retired: the name that the old table gets
    """
    constraints = {**features.of("constraint"), **features.of("foreign key")}
    steps = [sql.drop_constraint(table, name) for name in reversed(constraints)]
    steps += [sql.rename_table(table, retired.name), sql.rename_table(stage, table.name)]
    steps += [sql.add_constraint(table, name, detail["definition"]) for name, detail in constraints.items()]
    return Plan.of([Statement(step, "take the table's place") for step in steps])
