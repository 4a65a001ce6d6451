"""``start``, ``ls``, ``graph`` and ``docs``: transforms, written and read without running them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import LEDGER_SCHEMA, arg
from airflow_dataquality.cli.projects import DIALECT, FOLDER, SELECTORS, TAG, loaded, note_mistakes, selected
from airflow_dataquality.cli.running import JSON, command, counted, print_json, show


@command
def start(args: argparse.Namespace) -> None:
    """Begin a transform: write its header, its SQL and a test."""
    from airflow_dataquality.transforms.scaffold import scaffold

    found = scaffold(
        Path(args.folder), args.kind, args.name, table=args.table, inputs=args.inputs or (), owner=args.owner,
        dialect=args.dialect,
    )  # fmt: skip
    found.write()
    if args.json:
        print_json({"transform": found.name, "files": list(map(str, found.files)), "next": list(found.following)})
        return
    for file in found.files:
        print(file)
    print("\nNext:")
    for number, step in enumerate(found.following, 1):
        print(f"  {number}. {step}")


@command
def ls(args: argparse.Namespace) -> None:
    """List transforms, each after those that it reads."""
    project = loaded(args)
    if project.cycles and not (args.select or args.tag):  # a mistake that must not hide the others
        chosen = list(project.transforms.values())
    else:
        chosen = selected(project, args)
    if args.json:
        mistakes = [mistake.as_dict() for mistake in project.mistakes]
        print_json({"transforms": [_described(project, each) for each in chosen], "mistakes": mistakes})
        return
    show([_brief(each) for each in chosen])
    pipelines = {each.pipeline for each in chosen}
    print(f"\n{counted(len(chosen), 'transform')} in {counted(len(pipelines), 'pipeline')}")
    note_mistakes(project)


def _brief(each: Any) -> dict[str, Any]:
    output = each.output
    return {
        "transform": each.name,
        "kind": each.kind,
        "table": None if output is None else output.table,
        "partition": None if output is None else ", ".join(output.partition),
        "inputs": len(each.inputs),
        "owner": each.owner,
        "tags": ", ".join(each.tags),
    }


def _described(project: Any, each: Any) -> dict[str, Any]:
    """A transform as JSON."""
    output = each.output
    columns = project.columns(output.name) if output is not None else None
    return {
        **_brief(each),
        "pipeline": each.pipeline,
        "description": each.description,
        "inputs": list(each.inputs),
        "partition": {} if output is None else dict(output.partition),
        "columns": None if columns is None else list(columns),
        "tags": list(each.tags),
        "schedule": project.pipelines[each.pipeline].schedule,
        "upstream": [up.name for up in project.upstream(each)],
        "downstream": [down.name for down in project.downstream(each)],
        "file": str(each.path),
        "sql_file": None if each.sql_path is None else str(each.sql_path),
    }


@command
def graph(args: argparse.Namespace) -> None:
    """Draw what reads what."""
    from airflow_dataquality.suggest import write
    from airflow_dataquality.transforms.drawing import FORMATS, Graph

    project = loaded(args)
    if project.cycles and not (args.select or args.tag):
        chosen = list(project.transforms.values())
    else:
        chosen = selected(project, args)
    found = Graph.of(project, chosen)
    if args.json:
        nodes = [{"name": node.name, "kind": node.kind, "table": node.table or None} for node in found.nodes.values()]
        print_json({"nodes": nodes, "edges": [list(edge) for edge in found.edges]})
        return
    text = FORMATS[args.format or _format_of(args.output)](found).rstrip() + "\n"
    if args.output:
        write(Path(args.output), text, force=args.force)
        print(f"{args.output}: {counted(len(found.nodes), 'node')}, {counted(len(found.edges), 'edge')}")
    else:
        print(text, end="")
    note_mistakes(project)


def _format_of(file: str | None) -> str:
    """What a file's name asks for.

    >>> _format_of("flights.svg"), _format_of("flights.mmd"), _format_of(None)
    ('svg', 'mermaid', 'text')
    """
    return {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}.get(Path(file or "").suffix, "text")


@command
def docs(args: argparse.Namespace) -> None:
    """Write a catalog of all tables as a folder of HTML."""
    from airflow_dataquality.transforms.catalog import catalog

    project = loaded(args)
    found = catalog(
        project, Path(args.output), conn_id=args.conn_id, ledger_schema=args.ledger_schema, force=args.force
    )
    if args.json:
        print_json(found)
    else:
        print(f"{found['index']}: {counted(found['tables'], 'table')}, {counted(found['pages'], 'page')}")
        for note in found["notes"]:
            print(f"Note: {note}")
    note_mistakes(project)


COMMANDS = (
    ActionCommand(
        name="start",
        help="Begin a transform: write its header, its SQL and a test",
        func=start,
        args=(
            arg(
                "kind", metavar="KIND",
                help="create_table_as, upsert, incremental_summary, sql, python, load or no_op",
            ),
            arg("name", metavar="NAME", help="pipeline.name; the name will do where there is one pipeline"),
            arg("--table", metavar="TABLE", help="that it makes (default: analytics.NAME)"),
            arg("--inputs", nargs="+", metavar="TABLE", help="tables that it reads"),
            arg("--owner", help="who looks after it (default: the pipeline's owner)"),
            FOLDER,
            DIALECT,
            JSON,
        ),
    ),
    ActionCommand(
        name="ls",
        help="List transforms, each after those that it reads",
        func=ls,
        args=(SELECTORS, TAG, FOLDER, DIALECT, JSON),
    ),
    ActionCommand(
        name="graph",
        help="Draw what reads what: as a text tree, as Mermaid or as SVG",
        func=graph,
        args=(
            SELECTORS,
            TAG,
            arg(
                "--format", choices=("text", "mermaid", "svg"), metavar="NAME",
                help="text, mermaid or svg (default: what --output is named for, or text)",
            ),
            arg("--output", "-o", metavar="FILE", help="write it into this file, not to stdout"),
            arg("--force", action="store_true", help="overwrite the file"),
            FOLDER,
            DIALECT,
            JSON,
        ),
    ),
    ActionCommand(
        name="docs",
        help="Write a catalog of all tables, with lineage, as a folder of HTML",
        func=docs,
        args=(
            arg("--output", "-o", metavar="DIR", default="catalog", help="the folder (default: catalog)"),
            arg("--conn-id", help="look up types, publications and checks there; without it, files alone are read"),
            LEDGER_SCHEMA,
            arg("--force", action="store_true", help="write into a folder that holds something else"),
            FOLDER,
            DIALECT,
            JSON,
        ),
    ),
)  # fmt: skip
