"""A catalog of all tables: a folder of HTML that needs no server and nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.transforms.drawing import Graph
from airflow_dataquality.transforms.entries import TableEntry, entries_of, look_up
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.picture import svg

LISTING = "catalog.json"
"""Names what was written, so that pages of tables that are gone can be removed; and says that the folder is ours."""
_PAGE = re.compile(r"(?:tables|pipelines)/[a-z0-9._~-]+\.html")
_LONGEST = 180
NONE = "–"


def catalog(
    project: Project, folder: Path, *, conn_id: str | None = None, ledger_schema: str = "dataquality",
    force: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write the catalog of a project.

    :param conn_id: a warehouse that is asked for types, publications and results; None asks none
    :param force: write into a folder that holds something else
    :returns: ``index``, ``tables``, ``pages``, ``notes``
    :raises DataQualityError: if the folder cannot be written, or the warehouse cannot be asked
    """
    before = _listed(folder, force=force)
    entries = entries_of(project)
    notes = list(look_up(entries, conn_id, ledger_schema)) if conn_id is not None else []
    pages = dict(_pages(project, entries, asked=conn_id is not None))
    try:
        _write(folder, {**pages, **_assets(), LISTING: _listing(pages, entries)}, before)
    except OSError as error:
        raise DataQualityError(f"{folder} cannot be written: {error.strerror or error}",
                               hint="name another folder with --output") from error  # fmt: skip
    return {"index": str(folder / "index.html"), "tables": len(entries), "pages": len(pages), "notes": notes}


def _listed(folder: Path, *, force: bool) -> list[str]:
    """The pages that an earlier catalog wrote there.

    :raises DataQualityError: if the folder holds something else
    """
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise DataQualityError(f"{folder} is a file", hint="name a folder with --output")
    try:
        found = json.loads((folder / LISTING).read_text(encoding="utf-8"))["pages"]
        return [str(page) for page in found]
    except (OSError, ValueError, KeyError, TypeError):
        if any(folder.iterdir()) and not force:
            raise DataQualityError(
                f"{folder} holds something else than a catalog",
                hint="name another folder with --output; --force writes into this one",
            ) from None
        return []


def _write(folder: Path, files: Mapping[str, str], before: Iterable[str]) -> None:
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    for name in before:
        if name not in files and _PAGE.fullmatch(name):
            (folder / name).unlink(missing_ok=True)


def _listing(pages: Iterable[str], entries: Mapping[str, TableEntry]) -> str:
    tables = {
        name: {
            "made_by": entry.transform.name if entry.transform else None,
            "columns": {column.name: column.type for column in entry.columns},
            "reads": entry.upstream,
            "page": table_page(name),
        }
        for name, entry in entries.items()
    }
    return json.dumps({"pages": sorted(pages), "tables": tables}, indent=1, ensure_ascii=False) + "\n"


def _assets() -> dict[str, str]:
    package = resources.files("airflow_dataquality")
    own = package / "transforms" / "templates"
    style = (package / "ui" / "static" / "dq.css").read_text(encoding="utf-8")
    return {
        "catalog.css": style + "\n" + (own / "catalog.css").read_text(encoding="utf-8"),
        "catalog.js": (own / "catalog.js").read_text(encoding="utf-8"),
    }


def _pages(project: Project, entries: Mapping[str, TableEntry], *, asked: bool) -> Iterable[tuple[str, str]]:
    render = _renderer(project, entries, asked=asked)
    yield "index.html", render("index.html", "", entries=list(entries.values()))
    for name, entry in entries.items():
        picture = _neighbourhood(project, entry)
        yield table_page(name), render("table.html", "../", entry=entry, picture=picture, sql=_sql_of(entry))
    for name, pipeline in project.pipelines.items():
        if name:
            whole = Graph.of(project, pipeline.transforms)
            picture = Markup(svg(whole, link=_linked(project), title=f"What reads what in {name}"))  # noqa: S704 - escaped there
            yield pipeline_page(name), render("pipeline.html", "../", pipeline=pipeline, picture=picture)


def _sql_of(entry: TableEntry) -> str | None:
    return None if entry.transform is None or entry.transform.sql is None else entry.transform.sql.strip("\n")


def _neighbourhood(project: Project, entry: TableEntry) -> Markup | None:
    """A table with what it reads and what reads it, drawn."""
    if entry.transform is None:
        return None
    around = [entry.transform, *project.downstream(entry.transform)]
    whole = Graph.of(project, around)
    edges = tuple(edge for edge in whole.edges if entry.transform.name in edge)
    near = {entry.transform.name, *(name for edge in edges for name in edge)}
    drawn = Graph({name: node for name, node in whole.nodes.items() if name in near}, edges)
    return Markup(svg(drawn, link=_linked(project), title=f"What {entry.name} reads, and what reads it"))  # noqa: S704 - escaped there


def _linked(project: Project) -> Callable[[str], str | None]:
    """The address of a node, from a page in a folder."""

    def address(name: str) -> str | None:
        made = project.transforms.get(name)
        if made is not None:
            return f"../{table_page(str(made.writes))}" if made.writes is not None else None
        return f"../{table_page(name)}"

    return address


def table_page(name: str) -> str:
    """The file of a table's page: letters that file systems or addresses take for something else are spelled out.

    >>> table_page("analytics.daily_flights"), table_page("analytics.Daily Flights")
    ('tables/analytics.daily_flights.html', 'tables/analytics.~44aily~20~46lights.html')
    """
    return f"tables/{_spelled(name)}.html"


def pipeline_page(name: str) -> str:
    """The file of a pipeline's page."""
    return f"pipelines/{_spelled(name)}.html"


def _spelled(name: str) -> str:
    import hashlib

    text = re.sub(r"[^a-z0-9._-]", lambda found: "".join(f"~{byte:02x}" for byte in found[0].encode()), name)
    text = re.sub(r"^\.|\.$", "~2e", text)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}~{hashlib.blake2b(name.encode(), digest_size=6).hexdigest()}"


def _renderer(project: Project, entries: Mapping[str, TableEntry], *, asked: bool) -> Callable[..., str]:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("airflow_dataquality.transforms", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "moment": moment, "partition": partition, "anchor": anchor}
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    environment.globals |= {"project": project, "entries": entries, "asked": asked, "now": now, "NONE": NONE,
                            "table_page": table_page, "pipeline_page": pipeline_page}  # fmt: skip
    return lambda template, up, **what: environment.get_template(template).render(up=up, **what)


def anchor(name: str) -> str:
    """A column's place on its page.

    >>> anchor("Delay in minutes")
    'c-~44elay~20in~20minutes'
    """
    return f"c-{_spelled(name)}"


def number(value: Any) -> str:
    """A number to read.

    >>> number(1234567), number(0.123456), number(None)
    ('1,234,567', '0.1235', '–')
    """
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return str(value)
    return f"{int(value):,}" if value == value // 1 else f"{float(value):.4g}"


def moment(value: Any) -> str:
    """A time, to the minute.

    >>> moment("2013-02-01 10:00:05.123+00:00"), moment(None)
    ('2013-02-01 10:00', '–')
    """
    return NONE if value is None else str(value).replace("T", " ")[: len("2013-02-01 10:00")]


def partition(value: Any) -> str:
    """A partition of the ledger, or of a header, in words.

    >>> partition('{"ds": "2013-02-01"}'), partition({}), partition("?")
    ('ds=2013-02-01', 'whole table', '?')
    """
    try:
        key = json.loads(value) if isinstance(value, str) else dict(value)
        return ", ".join(f"{column}={part}" for column, part in key.items()) or "whole table"
    except (ValueError, TypeError, AttributeError):
        return str(value)
