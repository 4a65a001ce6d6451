"""The pytest plugin: the fixtures ``transform`` and ``rows``, and structural tests for every transform.

In ``pyproject.toml``::

    [tool.pytest.ini_options]
    dq_transforms = "transforms"

It is imported by every pytest that runs where the package is installed, so it imports nothing heavy by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_dataquality.testing.kit import Kit
    from airflow_dataquality.testing.rows import Rows
    from airflow_dataquality.testing.subject import Subject

_KIT: pytest.StashKey[Any] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``dq_transforms`` and the databases."""
    parser.addini("dq_transforms", "folder of transforms, which structural tests run for; relative to the ini-file")
    parser.addini("dq_connection", "Postgres to test transforms on, instead of an embedded one")
    parser.addini("dq_reflect", "database to look up the columns of tables in whose types no header declares")
    parser.addini("dq_dialect", "of the transforms' SQL: postgres or redshift", default="postgres")
    group = parser.getgroup("dq", "data quality: transforms")
    group.addoption("--dq-transforms", metavar="FOLDER", help="folder of transforms; overrides dq_transforms")
    place = "postgresql://… or the id of an Airflow connection"
    group.addoption("--dq-connection", metavar="CONN", help=f"test transforms there, and roll back: {place}")
    group.addoption("--dq-reflect", metavar="CONN", help=f"look up the columns of upstream tables there: {place}")
    group.addoption("--dq-no-structural", action="store_true", help="leave out the tests that run by themselves")


def pytest_configure(config: pytest.Config) -> None:
    """Have the folder collected, too, when nobody names what to run."""
    config.addinivalue_line("markers", "dq_structural: a test that every transform has, without anybody writing it")
    folder = _folder(config)
    if folder is None or config.getoption("dq_no_structural") or config.args_source is pytest.Config.ArgsSource.ARGS:
        return
    named = [Path(config.invocation_params.dir, each.partition("::")[0]).resolve() for each in config.args]
    if folder.is_dir() and not any(folder.is_relative_to(each) for each in named):
        config.args.append(str(folder))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    kit = config.stash.get(_KIT, None)
    if kit is not None:
        kit.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The header of a transform holds its structural tests."""
    folder = _folder(parent.config)
    if folder is None or file_path.suffix not in (".yaml", ".yml") or parent.config.getoption("dq_no_structural"):
        return None
    from airflow_dataquality.testing.collect import Header, is_header

    if not is_header(file_path, folder):
        return None
    header: Header = Header.from_parent(parent, path=file_path)
    header.kit = _kit(parent.config)
    return header


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say which rows differ, and in what."""
    if op != "==" or not {type(left).__name__, type(right).__name__} & {"Found"}:
        return None
    from airflow_dataquality.testing.found import Found
    from airflow_dataquality.testing.rows import Rows

    got, expected = (left, right) if isinstance(left, Found) else (right, left)
    if not isinstance(got, Found) or not isinstance(expected, Rows | list | tuple):
        return None
    return got.difference(Rows.of(expected))


def _folder(config: pytest.Config) -> Path | None:
    named = config.getoption("dq_transforms") or config.getini("dq_transforms")
    if not named:
        return None
    base = (
        config.invocation_params.dir if config.getoption("dq_transforms") else config.inipath and config.inipath.parent
    )
    return Path(base or config.rootpath, named).resolve()


def _kit(config: pytest.Config) -> Kit:
    if _KIT not in config.stash:
        from airflow_dataquality.testing.kit import Kit

        folder = _folder(config)
        assert folder is not None
        # Messages name files as one would, from where pytest was called.
        shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        config.stash[_KIT] = Kit(
            shown,
            connection=config.getoption("dq_connection") or config.getini("dq_connection") or None,
            reflect=config.getoption("dq_reflect") or config.getini("dq_reflect") or None,
            dialect=config.getini("dq_dialect"),
        )
    kit: Kit = config.stash[_KIT]
    return kit


@pytest.fixture
def transform(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Subject]]:
    """Find a transform by its name, for ``t = …("flights.daily_flights")`` to be given rows and run.

    Each test has schemas of its own, which all transforms in it share, and which are gone after it.
    """
    from airflow_dataquality.errors import SpecError

    if _folder(request.config) is None:
        raise SpecError(
            "nobody says where the transforms are", hint='write dq_transforms = "transforms" in the ini-file'
        )
    from airflow_dataquality.testing.subject import Subject

    kit = _kit(request.config)
    with kit.sandbox() as sandbox:
        yield lambda name: Subject(kit, sandbox, kit.project.transform(name))


@pytest.fixture
def rows() -> Callable[..., Rows]:
    """What writes rows, given or expected: ``rows("ds, carrier", "2013-01-01, UA", "2013-01-01, NULL")``."""
    from airflow_dataquality.testing.rows import rows as written

    return written
