"""The example DAGs, and the transforms, SQL, rule sets and files that they use."""

from __future__ import annotations

import shutil
from pathlib import Path

from airflow_dataquality.errors import DataQualityError

SUFFIXES = {".csv", ".py", ".sql", ".yaml"}


def directory() -> Path:
    """Where they are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "example_dags"
    return installed if installed.is_dir() else package.parent / "example_dags"


def files() -> list[Path]:
    """Their paths, relative to the directory."""
    source = directory()
    return sorted(path.relative_to(source) for path in source.rglob("*") if path.suffix in SUFFIXES)


def copy(target: Path, *, force: bool = False) -> list[Path]:
    """Copy them into a directory, which is created if need be, and return the copies.

    :raises DataQualityError: if one is already there and ``force`` is not given; then nothing is copied
    """
    copies = [target / file for file in files()]
    if not force and (existing := [str(path) for path in copies if path.exists()]):
        raise DataQualityError(f"already there: {', '.join(existing)}", hint="--force overwrites them")
    for file, path in zip(files(), copies, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(directory() / file, path)
    return copies
