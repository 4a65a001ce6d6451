"""The YAML loader: safe, fast, and strict about keys that are given twice.

A module of its own, so that PyYAML is imported only when a file is read.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 7 times faster where libyaml is there


class UniqueKeyLoader(_Base):  # type: ignore[misc]
    """A safe loader that refuses a mapping with the same key twice: YAML would keep the last, silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"found the key {key!r} twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping
