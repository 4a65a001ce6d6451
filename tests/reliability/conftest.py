"""What the kill matrix has to say."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print at how many statements the process was killed."""
    reports = terminalreporter.getreports("passed")
    loads = [value for report in reports for name, value in report.user_properties if name == "killed"]
    if loads:
        points = sum(load["points"] for load in loads)
        statements = len({statement for load in loads for statement in load["statements"]})
        terminalreporter.section("kill matrix")
        terminalreporter.line(
            f"{len(loads)} loads, killed at {points} points before and after sending {statements} distinct statements"
        )
