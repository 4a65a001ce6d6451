"""What a benchmark found, as a table and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

from rich.table import Table
from rich.text import Text

PACKAGES = ("apache-airflow", "apache-airflow-providers-common-sql", "apache-airflow-providers-postgres")


@dataclass
class Report:
    """One benchmark.

    :param setting: sizes and versions
    :param lines: one for each side, column → value
    :param agree: whether all sides computed the same
    :param bars: what is aimed at → whether it was reached; nothing fails by it, for machines differ
    :param notes: further lines below the table
    """

    title: str
    setting: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    agree: bool
    bars: Mapping[str, bool] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def table(self) -> Table:
        """The lines; above them the setting, below whether the sides agree and which bars are met."""
        setting = ", ".join(f"{name} {value}" for name, value in self.setting.items())
        shown = Table(title=f"{self.title}\n[dim]{setting}[/dim]", title_justify="left", title_style="bold")
        names = list(dict.fromkeys(name for line in self.lines for name in line))
        for name in names:
            text = any(isinstance(line.get(name), str) for line in self.lines)
            shown.add_column(name, justify="left" if text else "right", no_wrap=text)
        for line in self.lines:
            shown.add_row(*(_said(line.get(name)) for name in names))
        return shown

    def verdicts(self) -> Text:
        """Whether the sides agree, and which bars are met."""
        text = Text()
        for bar, met in {"all sides computed the same": self.agree, **self.bars}.items():
            text.append("  ✓ " if met else "  ✗ ", style="green" if met else "bold red")
            text.append(f"{bar}\n")
        for note in self.notes:
            text.append(f"    {note}\n", style="dim")
        return text


def versions(server: str | None = None) -> dict[str, Any]:
    """What ran where.

    :param server: the version of the database
    """
    found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "Python": platform.python_version()}
    if server:
        found["Postgres"] = server
    found |= {package.removeprefix("apache-airflow-providers-"): metadata.version(package) for package in PACKAGES}
    return found


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
