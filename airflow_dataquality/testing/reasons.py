"""``tests/structural.yaml`` of a pipeline: which structural tests do not run, and why; and rows that suit a transform.

::

    daily_flights:
      skip: {idempotent: "loaded_at is the time of the run"}
      one_row: {raw.flights: {dep_time: 517}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.lint import place_of

FILE = Path("tests") / "structural.yaml"
TESTS = ("renders", "inputs", "columns", "idempotent", "checks_on_empty", "checks_on_one_row")
_KEYS = ("skip", "one_row")


@dataclass(frozen=True)
class Said:
    """What is said of one transform.

    :param skip: test → why it does not run
    :param one_row: table → column → value
    """

    skip: Mapping[str, str] = field(default_factory=dict)
    one_row: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def said_in(folder: Path, transforms: tuple[str, ...]) -> dict[str, Said]:
    """What a pipeline's file says, by the name of the transform.

    :param transforms: the names of those in the folder
    :raises SpecError: naming the file, the line and the fix
    """
    import yaml

    from airflow_dataquality._yaml import UniqueKeyLoader

    file = folder / FILE
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    try:
        data = yaml.load(text, Loader=UniqueKeyLoader) or {}  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise SpecError(f"{file} is not valid YAML: {error}", hint="mend the file at that line") from error
    read = _Reader(file, text)
    found = {}
    for name, entry in read.mapping(data, ()).items():
        if name not in transforms:
            raise read.wrong((name,), f"no transform {name!r}", did_you_mean(str(name), transforms, label="Transforms"))
        for key in read.mapping(entry, (name,)):
            if key not in _KEYS:
                raise read.wrong((name, key), f"unknown key {key!r}", did_you_mean(str(key), _KEYS, label="Keys"))
        found[name] = Said(read.skips(entry.get("skip") or {}, name), read.rows(entry.get("one_row") or {}, name))
    return found


class _Reader:
    """Reads a file's parts, and knows where they are."""

    def __init__(self, file: Path, text: str) -> None:
        self.file, self.text = file, text

    def wrong(self, path: tuple[Any, ...], message: str, hint: str) -> SpecError:
        return SpecError(f"{self.file}:{place_of(self.text, path)[0]}: {message}", hint=hint)

    def mapping(self, found: Any, path: tuple[Any, ...]) -> Mapping[Any, Any]:
        if not isinstance(found, Mapping):
            raise self.wrong(path, f"{found!r} is no mapping", 'write daily_flights: {skip: {idempotent: "why"}}')
        return found

    def skips(self, found: Any, name: str) -> Mapping[str, str]:
        for test, reason in self.mapping(found, (name, "skip")).items():
            path = (name, "skip", test)
            if test not in TESTS:
                hint = did_you_mean(str(test), TESTS, label="Structural tests")
                raise self.wrong(path, f"no structural test {test!r}", hint)
            if not isinstance(reason, str) or not reason.strip():
                raise self.wrong(path, f"{test} is skipped without a reason", f'say why: {test}: "…"')
        return dict(found)

    def rows(self, found: Any, name: str) -> Mapping[str, Mapping[str, Any]]:
        path = (name, "one_row")
        return {str(table): {str(column): value for column, value in self.mapping(row, (*path, table)).items()}
                for table, row in self.mapping(found, path).items()}  # fmt: skip
