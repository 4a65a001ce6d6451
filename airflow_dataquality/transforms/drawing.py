"""Graphs of transforms: as a text tree, as Mermaid, and, in :mod:`airflow_dataquality.transforms.picture`, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.model import Transform

_ENTITIES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;"})
OUTSIDE = "outside"
"""The kind of what is not selected, and of tables that nobody makes."""


@dataclass(frozen=True)
class Node:
    """A transform, or a table that is read and not made here.

    :param kind: of the transform; :data:`OUTSIDE` if it is not selected
    :param table: that it makes
    """

    name: str
    kind: str
    table: str = ""


@dataclass(frozen=True)
class Graph:
    """What reads what.

    :param nodes: by name
    :param edges: from what is read to what reads it
    """

    nodes: Mapping[str, Node]
    edges: Sequence[tuple[str, str]] = field(default=())

    @classmethod
    def of(cls, project: Project, transforms: Iterable[Transform]) -> Graph:
        """Transforms, and what they read of others."""
        chosen = {each.name: each for each in transforms}
        nodes = {name: _node(each) for name, each in chosen.items()}
        edges: dict[tuple[str, str], None] = {}
        for name, each in chosen.items():
            for table in each.reads:
                made = project.producer(table)
                if made is each:
                    continue
                source = str(table) if made is None else made.name
                nodes.setdefault(source, Node(source, OUTSIDE, str(table)))
                edges[source, name] = None
        return cls(nodes, tuple(edges))

    def below(self, name: str) -> list[str]:
        """The names of those that read it."""
        return [target for source, target in self.edges if source == name]

    def neighbours(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Of each name those that it reads, and those that read it."""
        above: dict[str, list[str]] = {name: [] for name in self.nodes}
        below: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            above[target].append(source)
            below[source].append(target)
        return above, below


def _node(each: Transform) -> Node:
    return Node(each.name, each.kind, "" if each.writes is None else str(each.writes))


def as_text(graph: Graph) -> str:
    """A tree from what is read to what reads it. What has several sources is drawn out below the first of them."""
    above, below = graph.neighbours()
    drawn: set[str] = set()
    lines: list[str] = []
    roots = [name for name in graph.nodes if not above[name]]
    for root in [*roots, *graph.nodes]:  # of a cycle no node is a root
        if root not in drawn:
            lines += _tree(graph, root, below, drawn)
    return "\n".join(lines)


def _tree(graph: Graph, root: str, below: Mapping[str, Sequence[str]], drawn: set[str]) -> Iterator[str]:
    stack: list[tuple[str, str, str]] = [(root, "", "")]
    while stack:
        name, lead, indent = stack.pop()
        again = name in drawn and bool(below[name])
        yield lead + _label(graph.nodes[name]) + (" (see above)" if again else "")
        if name in drawn:
            continue
        drawn.add(name)
        children = below[name]
        for number in range(len(children) - 1, -1, -1):
            last = number == len(children) - 1
            lead, deeper = ("└── ", "    ") if last else ("├── ", "│   ")
            stack.append((children[number], indent + lead, indent + deeper))


def _label(node: Node) -> str:
    if node.kind == OUTSIDE:
        return f"[{node.name}]"
    return f"{node.name}  ({node.kind})"


def as_mermaid(graph: Graph) -> str:
    """A flowchart: https://mermaid.js.org/syntax/flowchart.html. Text is quoted, so that no name is syntax."""
    ids = {name: f"n{number}" for number, name in enumerate(graph.nodes, 1)}
    lines = ["flowchart LR"]
    for name, node in graph.nodes.items():
        shown = _quoted(name) if node.kind == OUTSIDE else f'"{name.translate(_ENTITIES)}<br/>{node.kind}"'
        lines.append(f"  {ids[name]}" + (f"[({shown})]" if node.kind == OUTSIDE else f"[{shown}]"))
    lines += [f"  {ids[source]} --> {ids[target]}" for source, target in graph.edges]
    outside = ",".join(ids[name] for name, node in graph.nodes.items() if node.kind == OUTSIDE)
    if outside:
        lines += ["  classDef outside stroke-dasharray: 4 3", f"  class {outside} outside"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return f'"{text.translate(_ENTITIES)}"'


def as_svg(graph: Graph) -> str:
    """A picture, as a document of its own."""
    from airflow_dataquality.transforms.picture import document

    return document(graph)


FORMATS: Mapping[str, Callable[[Graph], str]] = {"text": as_text, "mermaid": as_mermaid, "svg": as_svg}
