"""What SQL reads and yields, kept on disk by the hash of its text.

A DAG file is parsed every half minute and at the start of each task. Reading YAML each time is cheap; parsing SQL takes
a millisecond a text, and a quarter of a second to import what parses it. So each text is parsed once, wherever and
whenever that is, and a parse of unchanged texts imports no parser. What is kept is JSON, and is found by the hash of
all that it was made of: a stale entry cannot be found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

VERSION = 2
"""Of what is kept: another one is not read."""


class Cache:
    """One file for one project. A folder that cannot be written costs time, and nothing else.

    :param file: None keeps nothing
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._kept: Mapping[str, Any] = self._read()
        self._used: dict[str, Any] = {}

    @classmethod
    def of(cls, project: Path) -> Cache:
        """The one of a project, in Airflow's home."""
        home = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow")
        name = hashlib.blake2b(str(project.resolve()).encode(), digest_size=8).hexdigest()
        return cls(home / "dataquality" / f"transforms-{name}.json")

    def get(self, words: tuple[str, ...], compute: Callable[[], Any] | None) -> Any:
        """What was computed of the words, or is now: JSON. Without a way to compute it, None if it is not known."""
        key = hashlib.blake2b("\x1f".join(words).encode(errors="replace"), digest_size=16).hexdigest()
        if key not in self._used:
            if key not in self._kept and compute is None:
                return None
            self._used[key] = self._kept[key] if key in self._kept or compute is None else compute()
        return self._used[key]

    def save(self) -> None:
        """Keep what was asked for, and forget the rest."""
        if self.file is None or self._used.keys() == self._kept.keys():
            return
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self.file.parent, prefix=self.file.name)
            try:
                with os.fdopen(number, "w", encoding="utf-8") as file:
                    json.dump({"version": VERSION, "facts": self._used}, file)
                Path(name).replace(self.file)  # another process reads the old one, or the new one
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def _read(self) -> Mapping[str, Any]:
        if self.file is None:
            return {}
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            found = json.loads(self.file.read_text(encoding="utf-8"))
            if found["version"] == VERSION and isinstance(found["facts"], dict):
                return found["facts"]
        return {}
