"""The features of a table, and what may become of them in an exchange."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CARRIED = ("relation", "column", "constraint", "index", "sequence", "grant")
"""What a stage can be dressed in. Swap denies by default: a feature of any other kind stands in its way."""


@dataclass(frozen=True)
class Features:
    """Everything the catalog says of one table.

    :param rows: (kind, name, detail) of each object; the detail is JSON, keys sorted
    """

    rows: frozenset[tuple[str, str, str]]

    @classmethod
    def read(cls, rows: Iterable[Sequence[Any]]) -> Features:
        # What has no name was dropped while the catalog was read.
        return cls(frozenset((kind, name, _canonical(detail)) for kind, name, detail in rows if name is not None))

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The features of a kind: name → detail, by name."""
        return {name: json.loads(detail) for k, name, detail in sorted(self.rows) if k == kind}

    @property
    def relation(self) -> dict[str, Any]:
        (detail,) = self.of("relation").values()
        return detail

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Columns in the table's order."""
        return dict(sorted(self.of("column").items(), key=lambda item: item[1]["position"]))

    def without(self, *kinds: str) -> Features:
        return Features(frozenset(row for row in self.rows if row[0] not in kinds))

    def differences(self, other: Features) -> list[str]:
        """What the other does not have, or has otherwise, in words."""
        names = sorted({(kind, name) for kind, name, _ in self.rows ^ other.rows})
        return [f"{kind} {name}".strip() for kind, name in names]


def _canonical(detail: Any) -> str:
    # psycopg reads jsonb as a dict, psycopg2 too; other drivers hand out its text.
    value = json.loads(detail) if isinstance(detail, str) else detail
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def swap_obstacles(features: Features) -> list[str]:
    """What a swap would lose: one line each, none if the table can be swapped."""
    relation = features.relation
    lost = {
        "it is not a plain table": relation["kind"] != "r",
        "it is not a permanent table": relation["persistence"] != "p",
        f"tablespace {relation['tablespace']}": relation["tablespace"],
        f"type {relation['of_type']}": relation["of_type"],
        "row security": relation["row_security"] or relation["force_row_security"],
        "it is a partition of another table": relation["partition_of"],
    }
    return [
        *(line for line, true in lost.items() if true),
        *(detail["text"] for kind, _, detail in details(features) if kind not in CARRIED),
        *_index_obstacles(features),
        *_sequence_obstacles(features),
    ]


def child_obstacles(child: Features) -> list[str]:
    """What exchanging a partition by DETACH and ATTACH would lose."""
    bare = Features(
        frozenset((k, n, _as_plain_table(d) if k == "relation" else d) for k, n, d in child.rows if k != "inheritance")
    )
    return swap_obstacles(bare)


def as_new_child(parent: Features) -> Features:
    """What a partition gets of its parent: its structure, not what was said of it or tuned on it.

    https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-PARTITION
    """
    own: dict[str, dict[str, Any]] = {
        "relation": {"options": None, "toast_options": None, "replica_identity": "d"},
        "column": {"comment": None, "statistics": None, "options": None},
        "constraint": {"comment": None},
        "index": {"comment": None, "statistics": None, "clustered": False, "replica_identity": False},
    }
    rows = ((kind, name, {**detail, **own.get(kind, {})}) for kind, name, detail in details(parent))
    return Features.read(rows)


def columns_made_otherwise(child: Features, parent: Features) -> list[str]:
    """The child's columns that are not where, or not stored or computed as, the parent has them."""

    def made(column: Mapping[str, Any]) -> tuple[Any, ...]:
        computed = column["default"] if column["generated"] else None
        return column["position"], column["storage"], column["compression"], column["collation"], computed

    return [
        f"column {name} is placed, stored or computed otherwise than the parent's"
        for name, column in child.columns.items()
        if made(column) != made(parent.columns[name])
    ]


def _as_plain_table(detail: str) -> str:
    return _canonical({**json.loads(detail), "partition_of": False})


def details(features: Features) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Every feature as (kind, name, detail), in order."""
    return [(kind, name, json.loads(detail)) for kind, name, detail in sorted(features.rows)]


def _index_obstacles(features: Features) -> list[str]:
    lines = []
    for name, index in features.of("index").items():
        if not index["valid"]:
            lines.append(f"index {name} is invalid")
        if index["tablespace"]:
            lines.append(f"index {name} is in another tablespace")
    return lines


def _sequence_obstacles(features: Features) -> list[str]:
    """An identity's sequence is made anew, a serial's moves: only the latter keeps what hangs on it."""
    lines = []
    for name, sequence in features.of("sequence").items():
        if not sequence["identity"]:
            continue
        if sequence["acl"] or sequence["comment"]:
            lines.append(f"grants or a comment on the identity sequence {name}")
        if sequence["persistence"] != "p":
            lines.append(f"the identity sequence {name} is not permanent")
    return lines
