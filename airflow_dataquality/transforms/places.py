"""Mistakes in headers, and where they are. Lines are looked up when there is something to say, not before."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.lint import ERROR, Finding, place_of

Steps = tuple[str | int, ...]


class Misfit(SpecError):
    """A mistake at a place in a header, before its file is known.

    :param path: the keys that lead to it
    """

    def __init__(self, message: str, *, hint: str, path: Steps = (), code: str = "header") -> None:
        super().__init__(message, hint=hint)
        self.path, self.code = path, code


def text_of(file: Path) -> str:
    """The text of a file that was read before; empty if it has gone since."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def in_yaml(file: Path, text: str, name: str | None, error: DataQualityError, path: Steps = ()) -> Finding:
    """The mistake, with the line and the column of its place in a file of YAML."""
    steps = (*path, *getattr(error, "path", ()))
    line, column, written = place_of(text, steps) if text.strip() else (1, 1, "")
    code = getattr(error, "code", "header")
    return Finding(str(file), line, column, written, name, code, ERROR, error.message, error.hint)


def in_sql(file: Path, text: str, name: str, word: str, message: str, hint: str, code: str) -> Finding:
    """The mistake, at the first place in a file of SQL where a word is written; at its beginning without one."""
    line, column = found_at(text, word)
    return Finding(str(file), line, column, "sql", name, code, ERROR, message, hint)


def found_at(text: str, word: str) -> tuple[int, int]:
    r"""Line and column of a name in a text, whatever its capitals, quotes and blanks; not in comments.

    >>> found_at("SELECT *\nFROM Raw . \"flights\"", "raw.flights")
    (2, 6)
    """
    if not word:
        return 1, 1
    bare = re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), text)
    pattern = r"\s*\.\s*".join(rf'"?{re.escape(part)}"?' for part in word.replace('"', "").split("."))
    before = r"[\w\"]" if "." not in word else r"[\w.\"]"  # a column may stand behind its table
    match = re.search(rf"(?<!{before}){pattern}(?![\w\"])", bare, re.IGNORECASE)
    start = match.start() if match else 0
    return text.count("\n", 0, start) + 1, start - (text.rfind("\n", 0, start) + 1) + 1


def unreadable(file: Path, name: str | None, error: SpecError | OSError) -> Finding:
    """A file that is no YAML, or no text."""
    cause: Any = error.__cause__
    mark = getattr(cause, "problem_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = getattr(cause, "problem", None) or str(cause or getattr(error, "message", error))
    hint = getattr(error, "hint", "save it again, as UTF-8")
    return Finding(str(file), line, column, "", name, "yaml", ERROR, f"not valid YAML: {problem}", hint)
