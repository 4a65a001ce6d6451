"""New transforms to begin with: a header, the SQL, the function or the file beside it, and a test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_dataquality.errors import DataQualityError, SpecError, did_you_mean
from airflow_dataquality.transforms import beginnings
from airflow_dataquality.transforms.beginnings import Wanted
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.loading import load
from airflow_dataquality.transforms.model import KINDS
from airflow_dataquality.transforms.reading import SETTINGS_FILE

_ELSE = "choose another name; nothing was written"
_NAME = re.compile(r"[^\W\d][\w-]*(?:\.[^\W\d][\w-]*)*")


@dataclass(frozen=True)
class Scaffold:
    """What is to be written.

    :param name: of the transform, with its pipeline
    :param files: path → text
    :param following: what to do next, in order
    """

    name: str
    files: Mapping[Path, str]
    following: Sequence[str] = field(default=())

    def write(self) -> None:
        """Write all files, or none.

        :raises DataQualityError: if one of them is there already, or cannot be written
        """
        there = [str(file) for file in self.files if file.exists()]
        if there:
            raise DataQualityError(f"already there: {', '.join(there)}", hint=_ELSE)
        written: list[Path] = []
        try:
            for file, text in self.files.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("x", encoding="utf-8") as opened:
                    written.append(file)
                    opened.write(text)
        except OSError as error:
            for file in written:
                file.unlink(missing_ok=True)
            raise DataQualityError(
                f"{error.filename or 'the files'} cannot be written: {error.strerror}",
                hint="name a folder that you may write with --folder",
            ) from error


def scaffold(
    folder: Path, kind: str, name: str, *, table: str | None = None, inputs: Sequence[str] = (),
    owner: str | None = None, dialect: str = "postgres",
) -> Scaffold:  # fmt: skip
    """A transform to begin with, which has no mistakes if its inputs are known.

    :param name: ``pipeline.name``; ``name`` where there is one pipeline
    :param table: that it makes; by default of its name, in the schema ``analytics``
    :param inputs: tables that it reads
    :raises SpecError: for a kind or a name that cannot be, or a table that another transform makes
    """
    if kind not in KINDS:
        raise SpecError(f"unknown kind {kind!r}", hint=did_you_mean(kind, KINDS, label="Kinds"))
    project = _known(folder, dialect)
    pipeline, short = _placed(folder, project, name)
    made = table or f"analytics.{short.replace('-', '_')}"
    wanted = Wanted(kind, pipeline, short, made, tuple(inputs), owner, _columns(project, inputs))
    _refuse(project, wanted, folder)
    place = folder.joinpath(*pipeline.split("."))
    files = {place / file: text for file, text in beginnings.files(wanted).items()}
    if not (place / SETTINGS_FILE).exists():
        files[place / SETTINGS_FILE] = beginnings.settings(pipeline)
    return Scaffold(f"{pipeline}.{short}", files, _following(project, wanted, folder))


def _known(folder: Path, dialect: str) -> Project | None:
    """The project so far; None if it begins now."""
    try:
        return load(folder, dialect=dialect)
    except SpecError:
        if folder.exists() and not folder.is_dir():
            raise
        return None


def _placed(folder: Path, project: Project | None, name: str) -> tuple[str, str]:
    """The pipeline and the name in it."""
    if not _NAME.fullmatch(name):
        raise SpecError(f"{name!r} cannot be a name", hint="write pipeline.name: letters, digits, _ and -")
    pipeline, _, short = name.rpartition(".")
    if pipeline:
        return pipeline, short
    pipelines = [each for each in (project.pipelines if project else ()) if each]
    if len(pipelines) == 1:
        return pipelines[0], short
    if pipelines:
        hint = f"write its pipeline, too: {', '.join(f'{each}.{short}' for each in sorted(pipelines)[:5])}"
        raise SpecError(f"there are {len(pipelines)} pipelines in {str(folder)!r}", hint=hint)
    raise SpecError(f"there is no pipeline in {str(folder)!r} yet", hint=f"write the first one, too: flights.{short}")


def _columns(project: Project | None, inputs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Of each input its columns, as far as they are known."""
    return {name: columns for name in inputs if project and (columns := project.columns(name))}


def _refuse(project: Project | None, wanted: Wanted, folder: Path) -> None:
    made = project.producer(wanted.table) if project else None
    if made is not None:
        raise SpecError(f"{wanted.table} is made by {made.name} already ({made.path})",
                        hint="name another table with --table schema.name")  # fmt: skip
    if wanted.table in wanted.inputs:
        raise SpecError(f"{wanted.table} would read itself", hint="name another table with --table schema.name")
    twin = folder.joinpath(*wanted.pipeline.split("."), f"{wanted.name}.yml")
    if twin.exists():
        raise DataQualityError(f"already there: {twin}", hint=_ELSE)


def _modelled(table: str) -> str:
    """How the transform is called that models a table of others: not as one that makes a table of the same name.

    >>> _modelled("raw.flights")
    'raw_flights'
    """
    return re.sub(r"\W+", "_", table).strip("_")


def _following(project: Project | None, wanted: Wanted, folder: Path) -> list[str]:
    """What to do next."""
    where = "" if str(folder) == "transforms" else f" --folder {folder}"
    unknown = [name for name in wanted.inputs if project is None or project.producer(name) is None]
    steps = [
        f"Nobody makes {name}: say what it is with airflow dq start no_op {wanted.pipeline}.{_modelled(name)}"
        f" --table {name}{where}"
        for name in unknown
    ]
    steps += [beginnings.NEXT[wanted.kind].format(name=wanted.name)]
    steps.append(f"airflow dq lint {folder}")
    if beginnings.has_test(wanted.kind):
        place = folder.joinpath(*wanted.pipeline.split("."), "tests", f"test_{wanted.identifier}.py")
        steps.append(f"pytest --dq-transforms {folder} {place}")
    if wanted.kind != "no_op":
        steps.append(f"airflow dq run +{wanted.pipeline}.{wanted.name} --embedded{where}")
    return steps
