"""Which transforms are selected, and where they go in a circle."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.transforms.model import Transform

if TYPE_CHECKING:
    from airflow_dataquality.transforms.graph import Project

_SELECTOR = re.compile(r"(?P<up>\d*\+)?(?P<what>[^+]+?)(?P<down>\+\d*)?")
_METHODS: Mapping[str, Callable[[Transform], Iterable[str]]] = {
    "tag": lambda each: each.tags,
    "owner": lambda each: [each.owner] if each.owner else [],
    "kind": lambda each: [each.kind],
    "pipeline": lambda each: [each.pipeline],
}
_Neighbours = Callable[[Transform], Iterable[Transform]]


def select(
    project: Project, selectors: Iterable[str], *, pipeline: str | None, start: str | None, end: str | None,
    tags: Sequence[str],
) -> list[Transform]:  # fmt: skip
    """What :meth:`Project.select` returns."""
    selectors = list(selectors)
    chosen = {each for text in selectors for each in _all_of(project, text)} if selectors else {*project.transforms}
    if pipeline is not None:
        if pipeline not in project.pipelines:
            hint = did_you_mean(pipeline, project.pipelines, label="Pipelines")
            raise SpecError(f"there is no pipeline {pipeline!r}", hint=hint)
        chosen &= {each.name for each in project.pipelines[pipeline].transforms}
    if tags:
        chosen &= {name for tag in tags for name in _by(project, "tag", tag)}
    if start is not None or end is not None:
        chosen &= _between(project, start, end)
    return project.order(project.transforms[name] for name in chosen)


def _all_of(project: Project, text: str) -> set[str]:
    parts = [_one(project, part.strip()) for part in text.split(",")]
    return set.intersection(*parts)


def _one(project: Project, text: str) -> set[str]:
    match = _SELECTOR.fullmatch(text)
    if match is None:
        raise SpecError(f"{text!r} selects nothing", hint="write name, +name, name+, tag:word, pipeline or pipeline.*")
    found = _named(project, match["what"])
    seeds = [project.transforms[name] for name in found]
    if match["up"]:
        found = found | _reach(seeds, project.upstream, match["up"].strip("+"))
    if match["down"]:
        found = found | _reach(seeds, project.downstream, match["down"].strip("+"))
    return found


def _named(project: Project, what: str) -> set[str]:
    method, colon, value = what.partition(":")
    if colon:
        if method not in _METHODS:
            raise SpecError(f"{what!r} selects nothing", hint=did_you_mean(method, _METHODS, label="Methods"))
        return _by(project, method, value)
    if what in project.pipelines:
        return {each.name for each in project.pipelines[what].transforms}
    if "*" in what:
        found = {name for name in project.transforms if fnmatchcase(name, what)}
        if not found:
            hint = did_you_mean(what, project.pipelines, label="Pipelines")
            raise SpecError(f"{what!r} selects nothing", hint=hint)
        return found
    return {project.transform(what).name}


def _by(project: Project, method: str, value: str) -> set[str]:
    found = {each.name for each in project.transforms.values() if value in _METHODS[method](each)}
    if not found:
        known = {word for each in project.transforms.values() for word in _METHODS[method](each)}
        raise SpecError(f"no transform has the {method} {value!r}", hint=did_you_mean(value, known))
    return found


def _reach(seeds: Iterable[Transform], neighbours: _Neighbours, steps: str = "") -> set[str]:
    """What is reached from the seeds, in so many steps at most; the seeds, too."""
    found = {each.name for each in seeds}
    edge, left = list(seeds), int(steps) if steps else -1
    while edge and left:
        edge = [each for seed in edge for each in neighbours(seed) if each.name not in found]
        found |= {each.name for each in edge}
        left -= 1
    return found


def _between(project: Project, start: str | None, end: str | None) -> set[str]:
    """From one to the other, along the edges."""
    first, last = (None if name is None else project.transform(name) for name in (start, end))
    after = {*project.transforms} if first is None else _reach([first], project.downstream)
    before = {*project.transforms} if last is None else _reach([last], project.upstream)
    if first is not None and last is not None and not after & before:
        turned = first.name in _reach([last], project.downstream)
        hint = f"{last} comes before {first}: exchange them" if turned else f"what {last} needs is +{last}"
        raise SpecError(f"no way leads from {first} to {last}", hint=hint)
    return after & before


def cycles(
    transforms: Mapping[str, Transform], above: Mapping[str, Iterable[Transform]]
) -> Sequence[tuple[Transform, ...]]:  # fmt: skip
    """The circles, each as the way through it, by depth-first search."""
    found: list[tuple[Transform, ...]] = []
    state: dict[str, bool] = {}
    for root in sorted(transforms):
        if root in state:
            continue
        state[root] = True
        way = [transforms[root]]
        stack = [iter(above[root])]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
                state[way.pop().name] = False
            elif following.name not in state:
                state[following.name] = True
                way.append(following)
                stack.append(iter(above[following.name]))
            elif state[following.name]:
                circle = way[[each.name for each in way].index(following.name) :]
                found.append(tuple(reversed(circle)))
    return found
