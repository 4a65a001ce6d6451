"""Results as files, for other tools: a folder of an object store, or of this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.hooks import secrets

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^/@]*)@)?(?P<rest>.*)", re.DOTALL)
_PACKAGES = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
}


def check_path(path: Any) -> None:
    """Refuse what is no folder.

    :raises SpecError: saying what one looks like
    """
    hint = 'write "s3://bucket/prefix", "s3://conn_id@bucket/prefix", or the absolute path of a folder'
    if not isinstance(path, str) or not path.strip():
        raise SpecError(f"results_path is {path!r}, not a text", hint=hint)
    match = _URL.fullmatch(path)
    if match and ":" in (match["user"] or ""):
        # The path is not shown: the log is read by many.
        raise SpecError("results_path holds credentials, which would end up in logs", hint=hint)
    if match is None and not PurePath(path).is_absolute():
        raise SpecError(f"results_path {path!r} is relative, and a task runs in any folder", hint=hint)


def open_folder(path: str) -> ObjectStoragePath:
    """The folder, if there is what it takes to write there.

    :raises DataQualityError: saying what to install
    """
    from airflow.sdk import ObjectStoragePath

    check_path(path)
    match = _URL.fullmatch(path)
    scheme = match["scheme"] if match else "file"
    try:
        folder = ObjectStoragePath(path if match else f"file://{path}")
        _ = folder.fs
    except (ImportError, ValueError) as error:
        package = _PACKAGES.get({"s3a": "s3", "s3n": "s3", "gcs": "gs"}.get(scheme, scheme))
        hint = f"pip install '{package}'" if package else "install the Airflow provider of that store"
        raise DataQualityError(f"results_path {path!r} cannot be written: {error}", hint=hint) from error
    return folder


def write(folder: ObjectStoragePath, run: Run, document: Mapping[str, Any]) -> str:
    """Write the results of a run as one file of strict JSON; a retry replaces what the try before it wrote.

    :returns: the file's path
    :raises DataQualityError: if it cannot be written
    """
    file = folder / file_name(run)
    try:
        if folder.protocol in {"", "file", "local"}:  # object stores have no folders, and s3fs would make a bucket
            folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(_redacted(document), ensure_ascii=False, allow_nan=False), encoding="utf-8")
    except Exception as error:
        raise DataQualityError(
            f"the results cannot be written to {file}: {said(error)}", hint="grant the right to write there"
        ) from error
    return str(file)


def file_name(run: Run) -> str:
    """What the file of a run is called: of its DAG, task and DAG run, so that another run has another.

    >>> file_name(Run(dag_id="d", task_id="t", run_id="manual__2013-02-01T00:00:00+00:00", map_index=-1))
    'd.t.manual__2013-02-01T00_00_00_00_00.json'
    """
    index = run.map_index if run.map_index is not None and run.map_index >= 0 else None
    parts = (run.dag_id, run.task_id, run.run_id, index) if run.run_id else (run.run_uid,)
    named = ".".join(str(part) for part in parts if part is not None)
    return re.sub(r"[^\w.-]", "_", named, flags=re.ASCII) + ".json"


def _redacted(value: Any) -> Any:
    """The value without what Airflow knows to be secret. Names of columns tell nothing of that."""
    if isinstance(value, Mapping):
        return {name: _redacted(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_redacted(item) for item in value]
    return secrets.redacted(value) if isinstance(value, str) else value
