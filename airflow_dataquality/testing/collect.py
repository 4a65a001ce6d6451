"""Structural tests as pytest's items: each header of the project is a file with tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_dataquality.errors import DataQualityError

if TYPE_CHECKING:
    from airflow_dataquality.testing.kit import Kit
    from airflow_dataquality.testing.reasons import Said

_SETTINGS = "pipeline.yaml"
_ELSEWHERE = ("tests", "checks")


def is_header(path: Path, folder: Path) -> bool:
    """Whether a file may be the header of a transform, by its place and its name."""
    if path.suffix not in (".yaml", ".yml") or not path.is_relative_to(folder):
        return False
    parts = path.relative_to(folder).parts
    return not any(part in _ELSEWHERE or part[0] in "._" for part in parts)


class Header(pytest.File):
    """The header of a transform, or of a pipeline."""

    kit: Kit

    def collect(self) -> Iterable[pytest.Item]:
        """Structural tests, or what is wrong with the header."""
        from airflow_dataquality.testing.structure import tests_of

        # load() looks into folders as they are given, pytest has resolved them.
        transforms = {each.path.resolve(): each for each in self.kit.project.transforms.values()}
        transform = transforms.get(self.path.resolve())
        if transform is None:
            if any(self.mistakes()):
                yield Broken.from_parent(self, name="header")
            return
        for test in tests_of(transform):
            item: Structural = Structural.from_parent(self, name=test)
            item.kit, item.transform = self.kit, transform
            item.add_marker("dq_structural")
            yield item

    def mistakes(self) -> Iterator[Any]:
        """What is wrong with it."""
        for each in self.kit.project.mistakes:
            if Path(each.file).resolve() == self.path.resolve():
                yield each


class _Item(pytest.Item):
    """A test whose failure says all that there is to say."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What is wrong, without the kit's own frames."""
        return str(excinfo.value) if isinstance(excinfo.value, DataQualityError) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.path.name}: {self.name}"


class Broken(_Item):
    """A header that cannot be used."""

    def runtest(self) -> None:
        from airflow_dataquality.testing.structure import Failure

        assert isinstance(self.parent, Header)
        raise Failure("\n".join(map(str, self.parent.mistakes())))


class Structural(_Item):
    """A structural test of a transform."""

    kit: Kit
    transform: Any

    def runtest(self) -> None:
        from airflow_dataquality.testing.structure import Excused, check

        said = self._said()
        if self.name in said.skip:
            self._skip(said.skip[self.name])
        try:
            check(self.kit, self.transform, self.name, said)
        except Excused as why:
            self._skip(str(why))

    def _skip(self, reason: str) -> None:
        # At the header, and not at this line, is where one looks for it.
        raise pytest.skip.Exception(f"{self.transform} {self.name}: {reason}", _use_item_location=True)

    def _said(self) -> Said:
        from airflow_dataquality.testing.reasons import Said, said_in

        pipeline = self.kit.project.pipelines[self.transform.pipeline]
        names = tuple(each.short_name for each in pipeline.transforms)
        return said_in(pipeline.path, names).get(self.transform.short_name, Said())
