"""Whether OpenLineage events are what the specification says.

The client is generated from the published schemas, and brings their classes but not the schemas; so facets are held
against the classes. With ``OPENLINEAGE_SPEC`` (the folder ``spec`` of a checkout of OpenLineage/OpenLineage) events are
validated against the schemas themselves, too.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attr

SPEC = "OPENLINEAGE_SPEC"


def mistakes(event: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an event, and where."""
    for where, facet in _facets(event):
        kind = _kinds().get(facet["_schemaURL"])
        if kind is None:
            yield f"{where}: unknown schema {facet['_schemaURL']}"
        else:
            yield from _differences(facet, kind, where)
    if SPEC in os.environ:
        yield from _by_schema(event)


def _facets(event: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    datasets = [(side, each) for side in ("inputs", "outputs") for each in event[side]]
    for side, each in [("job", event["job"]), *datasets]:
        for place in ("facets", "inputFacets", "outputFacets"):
            for name, facet in each.get(place, {}).items():
                if facet["_schemaURL"].startswith("https://openlineage.io/"):
                    yield f"{side} {each['name']}: {place}.{name}", facet
    if "test" in event["run"]["facets"]:
        yield "run: facets.test", event["run"]["facets"]["test"]


@cache
def _kinds() -> dict[str, Any]:
    """The classes of facets, by the schema that each is generated from."""
    from openlineage.client import generated

    names = [module.name for module in pkgutil.iter_modules(generated.__path__, f"{generated.__name__}.")]
    modules = [importlib.import_module(name) for name in names]
    kinds = [kind for module in modules for kind in vars(module).values() if attr.has(kind)]
    return {kind._get_schema(): kind for kind in kinds if hasattr(kind, "_get_schema")}


def _differences(value: Any, kind: Any, where: str) -> Iterator[str]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        found = [list(_differences(value, each, where)) for each in typing.get_args(kind)]
        yield from min(found, key=len)
    elif typing.get_origin(kind) is list and isinstance(value, list):
        for number, each in enumerate(value):
            yield from _differences(each, typing.get_args(kind)[0], f"{where}[{number}]")
    elif typing.get_origin(kind) is dict and isinstance(value, dict):
        for key, each in value.items():
            yield from _differences(each, typing.get_args(kind)[1], f"{where}.{key}")
    elif attr.has(kind) and isinstance(value, dict):
        yield from _of_class(value, kind, where)
    elif kind is not Any and not (isinstance(kind, type) and isinstance(value, (kind, int) if kind is float else kind)):
        yield f"{where}: {value!r} is no {kind}"


def _of_class(value: Mapping[str, Any], kind: Any, where: str) -> Iterator[str]:
    module = importlib.import_module(kind.__module__)
    hints = typing.get_type_hints(kind, {**vars(typing), **vars(module)})
    known = {field.name: field for field in attr.fields(kind) if not field.name.startswith("_")}
    given = {name: each for name, each in value.items() if not name.startswith("_")}
    yield from (f"{where}: unknown {name}" for name in given.keys() - known.keys())
    lacking = {name for name, field in known.items() if field.default is attr.NOTHING} - given.keys()
    yield from (f"{where}: no {name}" for name in lacking)
    for name in given.keys() & known.keys():
        yield from _differences(given[name], hints[name], f"{where}.{name}")


def _by_schema(event: Mapping[str, Any]) -> Iterator[str]:
    import jsonschema

    registry = _registry(Path(os.environ[SPEC]))
    newest = {url.rpartition("/")[2]: url for url in registry}  # of a facet that the client knows in an older version
    checked = [(event["job"]["name"], event["schemaURL"], event)]
    for where, facet in _facets(event):
        file = facet["_schemaURL"].partition("#")[0].rpartition("/")[2]
        checked.append((where, newest[file], {where.rpartition(".")[2]: facet}))
    for where, url, document in checked:
        validator = jsonschema.Draft202012Validator({"$ref": url}, registry=registry)
        yield from (f"{where}: {error.json_path}: {error.message}" for error in validator.iter_errors(document))


@cache
def _registry(folder: Path) -> Any:
    from referencing import Registry, Resource

    files = [folder / "OpenLineage.json", *(folder / "facets").glob("*.json")]
    schemas = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in schemas)
