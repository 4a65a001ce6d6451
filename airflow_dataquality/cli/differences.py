"""How ``airflow dq diff`` shows what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dataquality.cli.running import counted, plain, show, shown

if TYPE_CHECKING:
    from airflow_dataquality.transforms.diff import ColumnChange, Found, Keys


def show_difference(found: Found) -> None:
    """Print one table: its rows, its keys, its columns."""
    key = shown(found.partition)
    place = f"{found.table}{f'/{key}' if key else ''}"
    if not found.exists:
        print(f"{found.transform}: there is no {place} yet; it would have {counted(found.rows[1], 'row')} "
              f"of {', '.join(column.name for column in found.columns)}")  # fmt: skip
        return
    if found.same:
        print(f"{found.transform}: {place} would be the same: {counted(found.rows[0], 'row')}")
        _problems(found)
        return
    print(f"{found.transform}: {place} would change: {_sizes(found)}\n")
    if found.keys is not None:
        _show_keys(found.keys)
    _show_columns(found.columns)
    _problems(found)


def _sizes(found: Found) -> str:
    held, staged = found.rows
    if found.keys is not None and found.keys.columns and found.keys.removed is None:
        return f"{counted(staged, 'row')} upserted into {held:,}"
    return f"{held:,} -> {counted(staged, 'row')}"


def _problems(found: Found) -> None:
    for problem in found.problems:
        print(f"Note: {problem}")


def _show_keys(keys: Keys) -> None:
    named = f"by {', '.join(keys.columns)}" if keys.columns else "as a whole, as the header names no key"
    counts = {"added": keys.added, "removed": keys.removed, "changed": keys.changed,
              "not compared, NULL in the key": keys.unpaired or None}  # fmt: skip
    told = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count is not None)
    print(f"Rows, compared {named}: {told}")
    for word, samples in (("added", keys.added_samples), ("removed", keys.removed_samples)):
        for sample in samples:
            print(f"  {word}: {shown(plain(sample))}")


def _show_columns(columns: Sequence[ColumnChange]) -> None:
    changed = [column for column in columns if column.state != "same" or column.numbers]
    if not changed:
        return
    print()
    briefs = [_brief(column) for column in changed]
    empty = [key for key in briefs[0] if not any(brief[key] or brief[key] == 0 for brief in briefs)]
    show([{key: value for key, value in brief.items() if key not in empty} for brief in briefs])
    for column in changed:
        if not column.samples:
            continue
        print()
        for sample in column.samples:
            print(f"  {column.name}, {shown(plain(sample['key']))}: {_value(sample['production'])} -> "
                  f"{_value(sample['changed'])}")  # fmt: skip
        if (more := (column.rows or 0) - len(column.samples)) > 0:
            print(f"  {column.name}, in {counted(more, 'more row')}")


def _brief(column: ColumnChange) -> dict[str, Any]:
    return {
        "column": column.name,
        "state": column.state,
        "rows": column.rows,
        "production -> changed": _numbers(column.numbers),
    }


def _numbers(numbers: Mapping[str, tuple[Any, Any]]) -> str:
    return "; ".join(f"{name} {_value(held)} -> {_value(staged)}" for name, (held, staged) in numbers.items())


def _value(value: Any) -> str:
    return "NULL" if value is None else shown(plain(value))
