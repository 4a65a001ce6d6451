"""Folders of YAML and SQL into pipelines of transforms. Each mistake is told of with its file, its line and its fix."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.lint import ERROR, Finding
from airflow_dataquality.model import Table
from airflow_dataquality.transforms.header import READERS, SETTINGS, kind_of, options_of
from airflow_dataquality.transforms.model import COMMON, WITH_SQL, Pipeline, Settings, Transform
from airflow_dataquality.transforms.needs import Given, complete
from airflow_dataquality.transforms.places import Misfit, in_yaml, text_of, unreadable

SETTINGS_FILE = "pipeline.yaml"
NO_TRANSFORMS = ("checks", "tests")
"""Folders of a pipeline that hold no transforms."""
_SUFFIXES = (".yaml", ".yml")
_TABLE = re.compile(r"^(?:\s*|.*[{,]\s*)table:\s*['\"]?([\w.$]+)", re.MULTILINE)
_NAME = re.compile(r"[^\W\d][\w-]*")
_LONGEST = 200
"""Characters of a pipeline's name: with a prefix, Airflow takes 250."""


def pipelines_in(root: Path) -> list[Pipeline]:
    """The pipelines of a project: each folder in it that has headers.

    :raises SpecError: if there is no such folder, or nothing in it
    """
    if not root.is_dir():
        raise SpecError(f"there is no folder {str(root)!r}", hint=f"looked at {root.absolute()}")
    found = _distinct([_pipeline(folder, _name(root, folder), files) for folder, files in _folders(root)])
    if not found:
        hint = "a pipeline is a folder in it: transforms/flights/daily_flights.yaml, and daily_flights.sql beside it"
        raise SpecError(f"there are no transforms in {str(root)!r}", hint=hint)
    return found


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    for place, folders, files in os.walk(root, followlinks=True):
        if any(above.samefile(place) for above in _above(root, Path(place))):
            folders.clear()  # a link that leads back
            continue
        folders[:] = sorted(each for each in folders if each not in NO_TRANSFORMS and each[0] not in "._")
        known = sorted(file for file in files if file[0] not in "._")
        if any(file.endswith((*_SUFFIXES, ".sql")) for file in known):
            yield Path(place), known


def _above(root: Path, place: Path) -> Iterator[Path]:
    while place != root:
        place = place.parent
        yield place


def _distinct(found: list[Pipeline]) -> list[Pipeline]:
    """Pipelines of which each has a name of its own: a folder ``a.b`` would be ``a/b`` again."""
    by_name: dict[str, Pipeline] = {}
    for each in found:
        other = by_name.get(each.name)
        if other is None:
            by_name[each.name] = each
            continue
        message = f"the pipeline {each.name} is in two folders: {other.path} and {each.path}"
        wrong = Finding(str(each.path), 1, 1, "", None, "name", ERROR, message, "rename one of them, without a dot")
        by_name[each.name] = replace(other, mistakes=(*other.mistakes, wrong))
    return list(by_name.values())


def _odd(folder: Path, name: str) -> Iterator[Finding]:
    """A folder's name that no DAG may have: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html."""
    if not re.fullmatch(r"[\w.-]+", name) or len(name) > _LONGEST:
        message = f"the folder {folder.name!r} is no name of a DAG"
        hint = f"use letters, digits, - and _, up to {_LONGEST} of them"
        yield Finding(str(folder), 1, 1, "", None, "name", ERROR, message, hint)


def _name(root: Path, folder: Path) -> str:
    return ".".join(folder.relative_to(root).parts)


def _pipeline(folder: Path, name: str, files: list[str]) -> Pipeline:
    headers = [file for file in files if file.endswith(_SUFFIXES) and file != SETTINGS_FILE]
    if not name:
        return _stray(folder, [*headers, *(file for file in files if file.endswith(".sql"))])
    settings, mistakes = _settings(folder) if SETTINGS_FILE in files else (Settings(), [])
    mistakes += _odd(folder, name)
    transforms: list[Transform] = []
    promised: set[Table] = set()
    for file in headers:
        read = _read(folder / file, name, settings, {*files})
        mistakes += read.mistakes
        if read.transform is not None:
            transforms.append(read.transform)
        promised |= read.promised
    mistakes += [*_orphans(folder, name, files, headers), *_schedules(settings, transforms)]
    return Pipeline(name, folder, settings, tuple(transforms), tuple(mistakes), frozenset(promised))


def _stray(folder: Path, files: Iterable[str]) -> Pipeline:
    hint = "move it into the folder of a pipeline: transforms/flights/"
    mistakes = [
        Finding(str(folder / file), 1, 1, "", None, "stray", ERROR, "it is in no pipeline's folder", hint)
        for file in files
    ]
    return Pipeline("", folder, mistakes=tuple(mistakes))


def _orphans(folder: Path, pipeline: str, files: Iterable[str], headers: Iterable[str]) -> Iterator[Finding]:
    stems = [Path(file).stem for file in headers]
    for stem in sorted({each for each in stems if stems.count(each) > 1}):
        hint = f"keep one of {stem}.yaml and {stem}.yml"
        yield Finding(str(folder / f"{stem}.yml"), 1, 1, "", f"{pipeline}.{stem}", "header", ERROR, "two headers", hint)
    for file in files:
        stem = Path(file).stem
        if file.endswith(".sql") and stem not in stems:
            message = f"no header: there is no {stem}.yaml beside it"
            hint = did_you_mean(stem, stems, label="Headers without such a file")
            yield Finding(str(folder / file), 1, 1, "sql", f"{pipeline}.{stem}", "header", ERROR, message, hint)


def _schedules(settings: Settings, transforms: Iterable[Transform]) -> Iterator[Finding]:
    """A pipeline is one DAG, which has one schedule."""
    wanted, where = settings.schedule, SETTINGS_FILE
    for each in transforms:
        if each.schedule is None:
            continue
        if wanted is None:
            wanted, where = each.schedule, each.path.name
        if each.schedule != wanted:
            misfit = Misfit(
                f"schedule is {each.schedule!r}, and {wanted!r} in {where}: a pipeline is one DAG, with one schedule",
                hint=f"write it in {SETTINGS_FILE} alone, or move the transform into a folder of its own: what it "
                "reads of other pipelines is waited for",
                path=("schedule",), code="schedule",
            )  # fmt: skip
            yield in_yaml(each.path, text_of(each.path), each.name, misfit)


def _settings(folder: Path) -> tuple[Settings, list[Finding]]:
    file = folder / SETTINGS_FILE
    try:
        text, data = _parsed(file)
    except (SpecError, OSError) as error:
        return Settings(), [unreadable(file, None, error)]
    header = _Header(file, text, None)
    for key in data:
        if key not in SETTINGS:
            hint = did_you_mean(str(key), SETTINGS, label="Keys")
            header.wrong(Misfit(f"unknown key of a pipeline {key!r}", hint=hint, path=(key,)))
    return Settings(**header.fields(data, SETTINGS)), header.mistakes


@dataclass
class Read:
    """What came of one header."""

    transform: Transform | None = None
    mistakes: list[Finding] = field(default_factory=list)
    promised: set[Table] = field(default_factory=set)


def _read(file: Path, pipeline: str, settings: Settings, beside: set[str]) -> Read:
    """Read one header; whatever is wrong with it, the others are to be read."""
    try:
        return read_header(file, pipeline, settings, beside)
    except Exception as error:  # noqa: BLE001 - a file that is gone, or no text; an anchor that names itself
        what = f"it cannot be read: {' '.join(str(error).split()) or type(error).__name__}"
        found = Finding(str(file), 1, 1, "", f"{pipeline}.{file.stem}", "yaml", ERROR, what, "save it again, as UTF-8")
        return Read(None, [found], _promised(text_of(file)))


def read_header(file: Path, pipeline: str, settings: Settings, beside: set[str]) -> Read:
    """Read one header, and the SQL beside it.

    :param beside: the names of the files in its folder
    """
    name = f"{pipeline}.{file.stem}"
    try:
        text, data = _parsed(file)
    except SpecError as error:
        content = file.read_bytes().decode(errors="replace")
        return Read(None, [unreadable(file, name, error)], _promised(content))
    header = _Header(file, text, name)
    if not _NAME.fullmatch(file.stem):
        header.wrong(Misfit(f"the name {file.stem!r} is no name of a task", hint="use letters, digits, - and _"))
    made = header.transform(name, data, settings, beside)
    if made is None or header.mistakes:
        return Read(None, header.mistakes, _promised(text))
    return Read(made)


def _promised(text: str) -> set[Table]:
    """The tables that an unusable header seems to make."""
    found = set()
    for match in _TABLE.finditer(text):
        try:
            found.add(Table.parse(match[1]))
        except SpecError:
            continue
    return found


def _parsed(file: Path) -> tuple[str, Mapping[str, Any]]:
    """The text of a file of YAML, and what is in it.

    :raises SpecError: if it is no mapping
    """
    import yaml

    from airflow_dataquality._yaml import UniqueKeyLoader

    try:
        text = file.read_text(encoding="utf-8")
        data = yaml.load(text, Loader=UniqueKeyLoader)  # noqa: S506 - a subclass of the safe loader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{file} is not valid YAML: {error}", hint="mend the file at that line") from error
    if not isinstance(data, dict):
        what = "it is empty" if data is None else f"it holds {type(data).__name__}, and no keys"
        raise SpecError(what, hint="write one key to a line: `kind: create_table_as`")
    return text, data


class _Header:
    """Reads one file, and goes on after a mistake."""

    def __init__(self, file: Path, text: str, name: str | None) -> None:
        self.file, self.text, self.name = file, text, name
        self.mistakes: list[Finding] = []

    def wrong(self, error: SpecError) -> None:
        self.mistakes.append(in_yaml(self.file, self.text, self.name, error))

    def fields(self, data: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        """The values of the keys that are there."""
        found = {}
        for key in keys:
            if data.get(key) is None or key not in READERS:
                continue
            try:
                found[key] = READERS[key](data[key])
            except SpecError as error:
                self.wrong(error)
        return found

    def transform(
        self, name: str, data: Mapping[str, Any], settings: Settings, beside: set[str]
    ) -> Transform | None:  # fmt: skip
        try:
            kind = kind_of(data)
        except Misfit as error:
            self.wrong(error)
            return None
        fields = self.fields(data, COMMON)
        try:
            options = options_of(data, kind)
            sql, sql_path = self._sql(kind, options, beside)
            complete(Given(kind, fields, options, sql, self.file, beside, unread=bool(self.mistakes)))
        except Misfit as error:
            self.wrong(error)
        if self.mistakes:
            return None
        inherited = {key: fields.get(key, getattr(settings, key)) for key in ("owner", "retries")}
        tags = tuple(dict.fromkeys((*settings.tags, *fields.pop("tags", ()))))
        return Transform(
            name, kind, self.file, sql=sql, sql_path=sql_path, options=MappingProxyType(options), tags=tags,
            **{**fields, **inherited},
        )  # fmt: skip

    def _sql(self, kind: str, options: dict[str, Any], beside: set[str]) -> tuple[str | None, Path | None]:
        """The text, and its file.

        :raises Misfit: if there are two, or none where one is needed
        """
        file = self.file.with_suffix(".sql")
        inline = options.pop("sql", None)
        if kind not in WITH_SQL:
            if file.name in beside:
                raise Misfit(f"a {kind} has no SQL, and there is {file.name}", hint="delete the file", path=("kind",))
            return None, None
        if inline is not None and file.name in beside:
            raise Misfit(f"both `sql` and {file.name}", hint="keep one of them", path=("sql",))
        if inline is not None and (not isinstance(inline, str) or not inline.strip()):
            raise Misfit(f"sql is {inline!r}, no text", hint="write a SELECT, or put it into a file", path=("sql",))
        if inline is not None or file.name not in beside:
            return inline, None
        text = file.read_text(encoding="utf-8")
        if not text.strip():
            raise Misfit(f"{file.name} is empty", hint="write the SELECT into it", path=("kind",))
        return text, file
