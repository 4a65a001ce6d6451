"""A graph as SVG: layers from left to right, so that every line leads to the right, with few crossings.

The layout is Sugiyama's: each node in a layer behind all that it reads, lines that pass layers bent at a place of their
own in each, places ordered by the mean of their neighbours' (https://doi.org/10.1109/TSMC.1981.4308636).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from airflow_dataquality.transforms.drawing import OUTSIDE, Graph

LETTER, PAD, GAP, HIGH, BETWEEN, MARGIN = 7.2, 12, 64, 40, 14, 8
"""In pixels: the width of a letter, what is beside it, between layers, a box, between boxes, around all."""
_SWEEPS = 6
_STYLE = """
.dq-graph { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.dq-graph rect { fill: #f6f8fa; stroke: #8a94a3; }
.dq-graph .outside rect { stroke-dasharray: 4 3; fill: none; }
.dq-graph text { fill: #1b2430; }
.dq-graph .kind { fill: #57606d; font-size: 10px; }
.dq-graph path { fill: none; stroke: #8a94a3; }
.dq-graph .back { stroke-dasharray: 2 3; }
.dq-graph marker path { fill: #8a94a3; stroke: none; }
@media (prefers-color-scheme: dark) {
  .dq-graph rect { fill: #1f242b; stroke: #77818f; }
  .dq-graph text { fill: #e6eaf0; }
  .dq-graph .kind { fill: #a3adba; }
}
"""
Links = Callable[[str], str | None]


@dataclass
class _Layout:
    """Where everything is.

    :param layers: names in each, from above; the places of bent lines, too, which are pairs with a number
    :param ways: of each line the places that it leads through
    """

    layers: list[list[object]] = field(default_factory=list)
    ways: dict[tuple[str, str], list[object]] = field(default_factory=dict)
    back: list[tuple[str, str]] = field(default_factory=list)


def document(graph: Graph) -> str:
    """A file of its own, which follows the colours of whoever looks at it."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + svg(graph, style=_STYLE) + "\n"


def svg(graph: Graph, *, style: str = "", link: Links = lambda _: None, title: str = "What reads what") -> str:
    """An ``svg`` element.

    :param style: what colours it; a page has its own
    :param link: the address of a node; None for none
    """
    layout = _laid_out(graph)
    widths = {name: _wide(name, node.kind) for name, node in graph.nodes.items()}
    x, width = _columns(layout, widths)
    y, height = _rows(layout)
    lines = [_line(way, x, y, widths) for way in layout.ways.values()]
    lines += [_line(way, x, y, widths, "back") for way in layout.back]
    boxes = [_box(graph, name, x[name], y[name], widths[name], link(name)) for name in graph.nodes]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dq-graph" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}"><title>{escape(title)}</title>'
    )
    arrow = (
        '<defs><marker id="dq-arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
    )
    return "\n".join([head, f"<style>{style}</style>" if style else "", arrow, *lines, *boxes, "</svg>"])


def _wide(name: str, kind: str) -> float:
    return max(len(name), len(kind)) * LETTER + 2 * PAD


def _laid_out(graph: Graph) -> _Layout:
    layer, forward = _layers(graph)
    layout = _Layout([[] for _ in range(max(layer.values(), default=-1) + 1)])
    for name in graph.nodes:
        layout.layers[layer[name]].append(name)
    for number, (source, target) in enumerate(graph.edges):
        if (source, target) not in forward:
            layout.back.append((source, target))
            continue
        bends = [(number, step) for step in range(layer[source] + 1, layer[target])]
        for bend in bends:
            layout.layers[bend[1]].append(bend)
        layout.ways[source, target] = [source, *bends, target]
    _order(layout)
    return layout


def _layers(graph: Graph) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """The layer of each node, and the lines that lead to the right: in a cycle, one cannot."""
    above, below = graph.neighbours()
    waiting = {name: len(sources) for name, sources in above.items()}
    ready = [name for name, count in waiting.items() if not count]
    layer: dict[str, int] = {}
    forward: set[tuple[str, str]] = set()
    while len(layer) < len(graph.nodes):
        name = ready.pop(0) if ready else next(each for each in graph.nodes if each not in layer)
        if name in layer:
            continue
        before = [each for each in above[name] if each in layer]
        layer[name] = max((layer[each] for each in before), default=-1) + 1
        forward |= {(each, name) for each in before}
        for target in below[name]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for name in graph.nodes:  # what nobody makes stands right before who reads it first
        if not above[name] and below[name]:
            layer[name] = max(0, min(layer[each] for each in below[name]) - 1)
    return layer, forward


def _order(layout: _Layout) -> None:
    before: dict[object, list[object]] = {}
    behind: dict[object, list[object]] = {}
    for way in layout.ways.values():
        for one, other in pairwise(way):
            behind.setdefault(one, []).append(other)
            before.setdefault(other, []).append(one)
    for sweep in range(_SWEEPS):
        rightwards = sweep % 2 == 0
        for layer in layout.layers if rightwards else reversed(layout.layers):
            _sort(layout, layer, before if rightwards else behind)


def _sort(layout: _Layout, layer: list[object], neighbours: Mapping[object, Sequence[object]]) -> None:
    place = {each: number for others in layout.layers for number, each in enumerate(others)}

    def mean(each: object) -> float:
        known = [place[other] for other in neighbours.get(each, ())]
        return sum(known) / len(known) if known else place[each]

    layer.sort(key=mean)


def _columns(layout: _Layout, widths: Mapping[str, float]) -> tuple[dict[object, float], float]:
    at: dict[object, float] = {}
    left = float(MARGIN)
    for layer in layout.layers:
        wide = max((widths[each] for each in layer if isinstance(each, str)), default=0.0)
        at |= dict.fromkeys(layer, left)
        left += wide + GAP
    return at, max(left - GAP, 0) + MARGIN


def _rows(layout: _Layout) -> tuple[dict[object, float], float]:
    step = HIGH + BETWEEN
    most = max((len(layer) for layer in layout.layers), default=0)
    at: dict[object, float] = {}
    for layer in layout.layers:
        top = MARGIN + (most - len(layer)) * step / 2
        at |= {each: top + number * step + HIGH / 2 for number, each in enumerate(layer)}
    return at, most * step - (BETWEEN if most else 0) + 2 * MARGIN


def _line(
    way: Sequence[object], x: Mapping[object, float], y: Mapping[object, float], widths: Mapping[str, float],
    kind: str = "",
) -> str:  # fmt: skip
    here, *others = way
    right = x[here] + widths[str(here)]
    path = [f"M{right:.1f} {y[here]:.1f}"]
    below = y[here]
    for each in others:
        bend = GAP / 2
        left = x[each]
        path.append(f"C{left - GAP + bend:.1f} {below:.1f} {left - bend:.1f} {y[each]:.1f} {left:.1f} {y[each]:.1f}")
        right, below = left, y[each]
    marked = f' class="{kind}"' if kind else ""
    return f'<path d="{" ".join(path)}"{marked} marker-end="url(#dq-arrow)"/>'


def _box(graph: Graph, name: str, x: float, y: float, width: float, address: str | None) -> str:
    node = graph.nodes[name]
    outside = node.kind == OUTSIDE
    note = node.table if outside and node.table != name else "" if outside else node.kind
    place = y + 4 if not note else y - 3
    parts = [
        f'<g class="{"outside" if outside else "kind-" + escape(node.kind)}">',
        f"<title>{escape(node.table or name)}</title>",
        f'<rect x="{x:.1f}" y="{y - HIGH / 2:.1f}" width="{width:.1f}" height="{HIGH}" rx="5"/>',
        f'<text x="{x + PAD:.1f}" y="{place:.1f}">{escape(name)}</text>',
        f'<text class="kind" x="{x + PAD:.1f}" y="{y + 12:.1f}">{escape(note)}</text>' if note else "",
        "</g>",
    ]
    drawn = "".join(parts)
    return f'<a href="{escape(address)}">{drawn}</a>' if address else drawn
